"""The contract of every workflow language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.vocabulary.job import JobRequest, JobResult


@dataclass(frozen=True, slots=True)
class Decision:
    """What an engine says of a workflow, given the jobs so far.

    Parameters
    ----------
    requests
        Jobs that should exist now and do not. Empty once the workflow is over.
    total
        Jobs known to be needed in all, those that exist included; ``None`` if not known yet.
    finished
        Everything was done and went well. Never together with ``failure``.
    failure
        Why the workflow cannot go on, one sentence for the user.
    """

    requests: tuple[JobRequest, ...] = ()
    total: int | None = None
    finished: bool = False
    failure: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will be asked for."""
        return self.finished or self.failure is not None


class Engine(Protocol):
    """One workflow in one language, with its parameters and options.

    ``advance`` is a pure function of its argument: asked again, or by another process, with the
    same jobs it gives the same decision. It is called with news and without, any number of times.
    """

    def advance(self, jobs: Mapping[str, JobResult]) -> Decision:
        """Say what follows.

        Parameters
        ----------
        jobs
            Every job that exists, by the key under which the engine asked for it, as it is now:
            waiting and running ones too. Keys that the engine does not know are passed over.
        """
        ...
