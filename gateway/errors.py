"""Errors that a person reads.

Every error that leaves the package is a ``GatewayError``: one sentence that says what
happened and where, a ``hint`` that says what to do, and the exit code of the command line.
The module must not know who shows the error.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line, documented in ``docs/reference/exit-codes.md``."""

    OK = 0
    FAILED = 1
    """The workflow ended as ``failed``, or the command could not do what was asked."""
    USAGE = 2
    """The request is wrong: bad option, bad specification, bad site file."""
    SITE = 3
    """The site is in the way: scheduler, filesystem, database, image registry."""
    NOT_FOUND = 4
    """The workflow, job or file named does not exist."""
    CONFLICT = 5
    """The request does not fit the state of the workflow."""
    STOPPED = 6
    """The workflow ended as ``stopped`` or ``deleted``."""
    TIMED_OUT = 7
    """``--timeout`` of ``run`` or ``wait`` ran out; the workflow goes on."""
    UNREACHABLE = 75
    """Trouble that may pass: try again later (``EX_TEMPFAIL`` of ``sysexits.h``)."""
    INTERNAL = 70
    """A mistake of the gateway itself (``EX_SOFTWARE``); nothing that was accepted is lost."""
    DETACHED = 130
    """Ctrl-C: the view was closed, the workflow goes on."""


class GatewayError(Exception):
    """Something went wrong that the user should read about.

    Parameters
    ----------
    message
        What happened and where, one sentence, no trailing advice.
    hint
        What to do about it, or an empty string.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GatewayError):
    """The request itself is wrong."""

    exit_code = ExitCode.USAGE


class SpecError(UsageError):
    """A specification is wrong; ``problems`` lists everything found in it."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class SiteError(GatewayError):
    """The site file, the scheduler, the filesystem or a registry is in the way."""

    exit_code = ExitCode.SITE


class NoRoomError(SiteError):
    """A filesystem is full, or a quota is used up."""


class UnreachableError(SiteError):
    """A part of the site does not answer now and may answer later."""

    exit_code = ExitCode.UNREACHABLE


class NotFoundError(GatewayError):
    """No such workflow, job or file."""

    exit_code = ExitCode.NOT_FOUND


class ConflictError(GatewayError):
    """The request does not fit the present state."""

    exit_code = ExitCode.CONFLICT
