"""How a job script starts a command: the meeting point of containers and submitters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCRATCH = "@GATEWAY_SCRATCH@"
"""Stands in ``Launch.runtime`` for the job's private directory, known only on the node."""

CONTAINER = "@GATEWAY_CONTAINER@"
"""Stands in ``Launch.runtime`` for ``apptainer`` or ``singularity``, whichever the node has."""

MOUNTED, SOURCED = "files", "environment"
"""Below an attempt's directory of secrets: files for the job, and variables as shell text."""


@dataclass(frozen=True, slots=True)
class JobSecrets:
    """What a job gets of its owner's secrets, in the clear.

    Parameters
    ----------
    env, files
        Values by the name of a variable or file; left out of ``repr``, which logs might show.
    marks
        By name, what changes whenever a secret is added again; says nothing about its value.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    marks: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.env or self.files)


@dataclass(frozen=True, slots=True)
class Launch:
    """One command line in two parts, and what it needs around it.

    Parameters
    ----------
    runtime
        What comes before the user's words: ``(CONTAINER, "-s", "exec", ..., image)``, or
        ``("env", "-i", ...)`` on the host. Only here ``SCRATCH`` and ``CONTAINER`` are replaced.
    inner
        What runs inside: the shell and the user's command, passed on untouched.
    env
        Variables of the command. They travel in the environment, never in argv.
    workspace
        Absolute path, the working directory of the command.
    secrets, secrets_dir
        They are written to files of their own below this private directory, which go when the
        attempt has ended; nothing else holds them.
    """

    runtime: tuple[str, ...]
    inner: tuple[str, ...]
    env: Mapping[str, str]
    workspace: str
    secrets: JobSecrets = JobSecrets()
    secrets_dir: str = ""
