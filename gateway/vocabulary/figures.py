"""Counts over everything that the gateway knows, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Open attempts of one cluster in one state; ``oldest`` is when the oldest came to be so."""

    cluster: str
    state: str
    number: int
    oldest: float


@dataclass(frozen=True, slots=True)
class CallFigures:
    """All commands of one kind that one cluster's scheduler was ever given."""

    cluster: str
    kind: str
    number: int
    failures: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is counted.

    Parameters
    ----------
    workflows
        By status.
    jobs
        By cluster and state.
    outcomes
        Ended attempts by cluster and class.
    """

    workflows: Mapping[str, int]
    jobs: Mapping[tuple[str, str], int]
    queues: tuple[QueueFigures, ...]
    outcomes: Mapping[tuple[str, str], int]
    calls: tuple[CallFigures, ...]
