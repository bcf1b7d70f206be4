"""Which nodes new attempts stay away from: those that eat the jobs of several steps. Pure.

A node that fails every job within seconds is always free, so the scheduler feeds it the whole
queue. That a job's own retries go elsewhere (``policy``) saves this job, not the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.nodes import NodeFault, NodeWork

EATEN = 3
"""So many different jobs must be lost on a node within the window."""
WINDOW_S = 3600.0
"""Faults older than this count no more."""
AVOIDED_S = 1800.0
"""So long after its last fault a node is avoided; one more fault in the window starts it again."""
WORKED_S = 86400.0
"""A node on which a command ran to its end in this time is known to work."""
QUICK_S = 60.0
"""A container that cannot start says so within this time."""
MOST_AVOIDED = 20
"""Nodes that are avoided at once: the longest list that a scheduler is given for this."""

_BLAMED = frozenset({Outcome.NODE_LOST, Outcome.NODE_BAD})


@dataclass(frozen=True, slots=True)
class Avoided:
    """A node to stay away from.

    Parameters
    ----------
    jobs, of
        Jobs that were lost there, of those that ended there in the window.
    since, until
        Its first fault in the window, and when it gets another chance.
    """

    node: str
    jobs: int
    of: int
    since: float
    until: float

    @property
    def words(self) -> str:
        """Why it is avoided, for people."""
        began = datetime.fromtimestamp(self.since).astimezone()
        return f"{self.jobs} jobs of {self.of} lost there since {began:%H:%M}"


def is_fault(outcome: Outcome, ran_for_s: float | None) -> bool:
    """Say whether the node of an attempt may be to blame for its end.

    Parameters
    ----------
    ran_for_s
        From the start of its job script to its exit record, ``None`` without one.
    """
    if outcome is Outcome.IMAGE:
        return ran_for_s is not None and ran_for_s <= QUICK_S
    return outcome in _BLAMED


def avoided(faults: Iterable[NodeFault], work: Sequence[NodeWork], now: float) -> list[Avoided]:
    """Return the nodes that new attempts of a cluster stay away from, worst first.

    Never the last one that is known to work.
    """
    works = working(work, now)
    found: list[Avoided] = []
    for each in sorted(_suspects(faults, work, now), key=lambda one: (-one.jobs, one.node)):
        others = works - {each.node} - {one.node for one in found}
        if others and len(found) < MOST_AVOIDED:
            found.append(each)
    return found


def _suspects(
    faults: Iterable[NodeFault], work: Sequence[NodeWork], now: float
) -> Iterable[Avoided]:
    by_node: dict[str, list[NodeFault]] = {}
    for fault in faults:
        if abs(now - fault.at) < WINDOW_S and _is_blamed(fault, work):
            by_node.setdefault(fault.node, []).append(fault)
    for node, group in by_node.items():
        lost = len({fault.job_id for fault in group})
        good = sum(each.lately for each in work if each.node == node)
        until = max(fault.at for fault in group) + AVOIDED_S
        if lost >= EATEN and lost > good and now < until:
            yield Avoided(node, lost, lost + good, min(fault.at for fault in group), until)


def _is_blamed(fault: NodeFault, work: Sequence[NodeWork]) -> bool:
    """Blame a node for a container that does not start only if the image has run elsewhere."""
    if fault.outcome is not Outcome.IMAGE:
        return True
    return any(each.image == fault.image and each.node != fault.node for each in work)


def working(work: Iterable[NodeWork], now: float) -> frozenset[str]:
    """Return the nodes that are known to work."""
    return frozenset(each.node for each in work if now - each.last_at < WORKED_S)


def stay_away_from(
    own: Collection[str], others: Mapping[str, Avoided], works: Collection[str]
) -> tuple[str, ...]:
    """Return the nodes that one attempt is not sent to.

    Parameters
    ----------
    own
        Nodes that its job was lost on.
    others
        Nodes that the cluster's new attempts avoid.
    works
        Nodes that are known to work: if all of them were excluded, none of them is.
    """
    wanted = {*own, *others}
    if works and wanted.issuperset(works):
        wanted -= set(works)
    return tuple(sorted(wanted))
