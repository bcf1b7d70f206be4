"""What a command transport offers, and how every answer of a command looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Failure(StrEnum):
    """Why there is no exit status."""

    TIMEOUT = "no answer in time"
    NOT_FOUND = "command not found"
    """Or it can never be started as it is: not executable, too many words, a NUL in one."""
    DISCONNECTED = "connection failed"
    TOO_LONG = "answer longer than the cap"
    CUT_OFF = "ended for what it said"
    NOT_ATTEMPTED = "not asked"
    """The command was certainly not run this time; ``stderr`` says why."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came back. Exactly one of ``exit_status`` and ``failure`` is set.

    With a ``failure`` other than ``NOT_FOUND`` and ``NOT_ATTEMPTED`` the command may have had
    its effect.
    """

    argv: tuple[str, ...]
    exit_status: int | None
    stdout: str
    stderr: str
    seconds: float
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether the command ended with status 0."""
        return self.exit_status == 0

    @property
    def was_ended(self) -> bool:
        """Whether a signal or timeout(1) ended it from outside, at whatever moment.

        What it has said by then is not its last word: sbatch, for one, tries again by itself.
        """
        status = self.exit_status
        return status is not None and (status < 0 or status == 124 or 128 < status <= 192)

    @property
    def complaint(self) -> str:
        """What went wrong, in the command's own words, on one line."""
        words = " ".join((self.stderr or self.stdout).split())[:500]
        if self.failure:
            return f"{self.argv[0]}: {self.failure.value}" + (f" ({words})" if words else "")
        return words or f"{self.argv[0]} ended with status {self.exit_status}"


class Transport(Protocol):
    """A place where commands run."""

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0, enough: str = ""
    ) -> CommandResult:
        """Run one command; never raises for what the command does.

        Parameters
        ----------
        enough
            A command that says this on its standard error is ended at once (``CUT_OFF``), where the
            transport can make sure of its end.
        """

    def close(self) -> None:
        """Give back connections."""


class CallKind(StrEnum):
    """What a scheduler call is for; the unit of the budget and of the metrics."""

    SUBMIT = "submit"
    STATUS = "status"
    FIND = "find"
    CANCEL = "cancel"
    QUERY = "query"


class Gate(Protocol):
    """The one way to a scheduler: counts, times and limits every call."""

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        """Run one scheduler command and account for it."""
