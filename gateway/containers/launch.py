"""How a command runs in an image: the argv of ``apptainer exec``. Pure.

A job sees its image, its workspace at the same path as outside, what the site binds, and an empty
HOME and /tmp of its own; of the host's environment nothing. Needs Apptainer 1.1, SingularityCE
3.10 or later, for ``--no-eval``: without it the runtime has a shell evaluate the *values* of
environment variables.

REANA runs ``bash -c "cd WORKSPACE && COMMAND"``. Here the working directory is set from outside
and the command is an argument of its own, so a command that starts with a comment or a ``||``
means what it says. An image without bash gets ``sh``; in REANA it would fail.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.containers.reference import RegistryImage
from gateway.errors import UsageError
from gateway.vocabulary.image import ImageSource, ResolvedImage
from gateway.vocabulary.launch import CONTAINER, MOUNTED, SCRATCH, JobSecrets, Launch

if TYPE_CHECKING:
    from gateway.site.model import Containers

HOME = "/gateway/home"
"""HOME in every container: images bring files below /home (ATLAS: /home/atlas) and sites bind
/home, and neither may be hidden."""

SECRETS = "/etc/reana/secrets"
"""Where REANA mounts the files among a user's secrets."""

LONGEST_COMMAND = 131_071
"""Bytes of one argument that Linux passes on (``MAX_ARG_STRLEN`` less the final NUL)."""

_OWN_HOME, _OWN_TMP = posixpath.join(SCRATCH, "home"), posixpath.join(SCRATCH, "tmp")

_SHELL = """\
if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi"""

_CLEAN_HOST = """\
export -n gateway_keep gateway_name
gateway_keep=" $1 "; shift
for gateway_name in $(compgen -e); do
    case $gateway_keep in *" $gateway_name "*) ;; *) unset -v "$gateway_name" 2>/dev/null ;; esac
done
for gateway_name in $(compgen -A function); do unset -f "$gateway_name"; done
while [ "$1" != -- ]; do export "$1"; shift; done
shift
exec "$@\""""


def build_launch(  # noqa: PLR0913 - one command line, all that it depends on
    image: ResolvedImage,
    command: str,
    workspace: Path,
    workflow_id: str,
    key: str,
    site: Containers,
    *,
    gpus: bool,
    cvmfs: bool,
    user: str,
    secrets: JobSecrets,
    secrets_dir: Path,
) -> Launch:
    """Build the command line of one attempt.

    Parameters
    ----------
    image
        As ``look_up`` or a fetch found it.
    command
        The user's shell text, passed on untouched.
    workspace
        Absolute; becomes the working directory.
    workflow_id
        For ``REANA_WORKFLOW_UUID``.
    key
        The attempt's, for ``GATEWAY_KEY``.
    user
        Account name, for ``USER``.
    secrets, secrets_dir
        The owner's, and the private directory where the node finds them. On the host, files
        cannot be mounted: ``REANA_SECRETS_DIR`` says in either case where they are.

    Raises
    ------
    UsageError
        If the command is longer than Linux passes on, or holds a NUL character.
    """
    _check(command, workspace)
    env = {
        "REANA_WORKSPACE": str(workspace),
        "REANA_WORKFLOW_UUID": workflow_id,
        "GATEWAY_KEY": key,
        "USER": user,
        "LOGNAME": user,
    }
    on_host = image.source is ImageSource.HOST
    files = secrets_dir / MOUNTED if secrets.files else None
    if files is not None:
        env["REANA_SECRETS_DIR"] = str(files) if on_host else SECRETS
    if on_host:
        runtime = host_runtime((*env, *secrets.env))
        inner: tuple[str, ...] = ("bash", "-c", command)
    else:
        runtime = container_runtime(
            image.path, workspace, site.binds, gpus=gpus, cvmfs=cvmfs, secret_files=files
        )
        inner = ("/bin/sh", "-c", _SHELL, "sh", command)
    return Launch(runtime, inner, env, str(workspace), secrets, str(secrets_dir))


def container_runtime(
    image_path: str,
    workspace: Path,
    binds: tuple[str, ...],
    *,
    gpus: bool,
    cvmfs: bool,
    secret_files: Path | None = None,
) -> tuple[str, ...]:
    """Return the command line up to and with the image.

    Binds are mounted in order, so the workspace comes last: it may lie below /tmp or HOME.
    """
    return (
        CONTAINER,
        "-s",
        "exec",
        "--cleanenv",
        "--no-eval",
        "--contain",
        *(("--nv",) if gpus else ()),
        "--home",
        f"{_OWN_HOME}:{HOME}",
        "--bind",
        f"{_OWN_TMP}:/tmp",
        "--bind",
        f"{_OWN_TMP}:/var/tmp",
        *(("--bind", "/cvmfs") if cvmfs and not _covers(binds, "/cvmfs") else ()),
        *(word for bind in binds for word in ("--bind", bind)),
        *(("--bind", f"{secret_files}:{SECRETS}:ro") if secret_files else ()),
        "--bind",
        f"{workspace}:{workspace}",
        "--pwd",
        str(workspace),
        image_path,
    )


def host_runtime(names: Iterable[str]) -> tuple[str, ...]:
    """Return what runs a command on the host with a clean environment, but for these variables.

    ``env -i NAME=value`` would put secrets into argv, so the variables that stay are named and
    all others are removed.
    """
    keep = " ".join(("PATH", *sorted(names)))
    return (
        "bash",
        "-c",
        _CLEAN_HOST,
        "gateway",
        keep,
        f"HOME={_OWN_HOME}",
        f"TMPDIR={_OWN_TMP}",
        "LANG=C.UTF-8",
        "--",
    )


def build_fetch(reference: RegistryImage, store: Path, result: Path, site: Containers) -> Launch:
    """Build the command line of a fetch, to be run on the host by ``site.build_cluster``.

    It keeps the user's environment: proxies, certificates and registry logins are found as in the
    user's own shell. Layers are unpacked in the job's scratch directory.
    """
    words = (
        sys.executable,
        "-m",
        "gateway.containers.fetch",
        f"--reference={reference.name}",
        f"--written={reference.written}",
        f"--store={store}",
        f"--result={result}",
        f"--timeout={site.build_timeout}",
    )
    return Launch(("env", f"TMPDIR={_OWN_TMP}"), words, {}, "/")


def _covers(binds: tuple[str, ...], path: str) -> bool:
    for bind in binds:
        source, _, rest = bind.partition(":")
        target = rest.partition(":")[0] or source
        if posixpath.commonpath((posixpath.normpath(target), path)) == posixpath.normpath(target):
            return True
    return False


def _check(command: str, workspace: Path) -> None:
    if any(mark in str(workspace) for mark in ":,\n"):
        raise UsageError(
            f"the workspace {str(workspace)!r} holds ':', ',' or a line break, which "
            "lists of binds cannot express"
        )
    if "\0" in command:
        raise UsageError("a command holds a NUL character, which no shell can read")
    size = len(command.encode("utf-8", "surrogateescape"))
    if size > LONGEST_COMMAND:
        raise UsageError(
            f"a command has {size} bytes, and Linux passes on at most {LONGEST_COMMAND}",
            hint="put it into a script file and run that",
        )
