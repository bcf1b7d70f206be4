"""What is remembered of the nodes of a cluster: who lost jobs, and where jobs have run."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.vocabulary.evidence import Outcome


@dataclass(frozen=True, slots=True)
class NodeFault:
    """One attempt that a node may be to blame for; ``at`` is by our clock."""

    node: str
    at: float
    outcome: Outcome
    job_id: str
    image: str


@dataclass(frozen=True, slots=True)
class NodeWork:
    """Commands with one image that ran on a node.

    Parameters
    ----------
    last_at
        When the last of them ended.
    lately
        How many jobs they belong to, of those that ended in the time that faults count.
    """

    node: str
    image: str
    last_at: float
    lately: int
