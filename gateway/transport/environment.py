"""The environment in which scheduler commands run.

Schedulers copy the environment of a submission into jobs, and tools change their output with
it, so only what a command needs to find its scheduler and its user is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping

_KEPT = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TZ",
        "KRB5CCNAME",
        "KRB5_CONFIG",
        "SLURM_CONF",
        "CONDOR_CONFIG",
        "X509_USER_PROXY",
    }
)
_KEPT_PREFIX = "_CONDOR_"
_ENGLISH = {"LANG": "C.UTF-8", "LC_ALL": "C"}
_PATH = "/usr/local/bin:/usr/bin:/bin"


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that scheduler commands get.

    Left out on purpose: ``SLURM_*`` and ``SQUEUE_*`` options, which change what is printed;
    ``LD_LIBRARY_PATH`` and ``PYTHON*`` of an analysis setup, which break the tools;
    ``XDG_RUNTIME_DIR``, which names a directory that no worker node has.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIX)
    }
    return {"PATH": _PATH} | kept | _ENGLISH
