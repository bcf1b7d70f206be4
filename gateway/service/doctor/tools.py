"""What the examination of a site needs from outside, given by the composition root."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.parts import Cluster
from gateway.store.store import Store


class Answer(Protocol):
    """What came back of a command."""

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""

    @property
    def exit_status(self) -> int | None:
        """``None`` if it did not run to its end."""

    @property
    def stdout(self) -> str:
        """Its standard output."""

    @property
    def stderr(self) -> str:
        """Its standard error."""

    @property
    def complaint(self) -> str:
        """What went wrong, on one line."""


Run = Callable[[Sequence[str]], Answer]
"""Runs one command, bounded in time; never raises for what the command does."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A cluster, and the way to run its scheduler's commands: here, or by ssh."""

    cluster: Cluster
    run: Run


@dataclass(frozen=True, slots=True)
class Tools:
    """The outside world.

    Parameters
    ----------
    store
        Opens the state; raises ``GatewayError``.
    endpoint
        Builds a cluster by its name; raises ``GatewayError``.
    run
        Runs a command on this host.
    environ
        Of this process.
    """

    store: Callable[[], Store]
    endpoint: Callable[[str], Endpoint]
    run: Run
    environ: Mapping[str, str]
    clock: Callable[[], float] = time.time


def first_line(answer: Answer) -> str:
    """Return the first words of an answer."""
    text = answer.stdout.strip() or answer.stderr.strip()
    return text.partition("\n")[0].strip()


def absent(run: Run, commands: Sequence[str]) -> list[str] | str:
    """Return which commands are not on PATH, or why that cannot be told; one call."""
    loop = 'for each; do command -v "$each" >/dev/null || echo "$each"; done'
    answer = run(("/bin/sh", "-c", loop, "sh", *commands))
    return answer.stdout.split() if answer.ok else answer.complaint
