"""The nodes of a cluster as the ledger of faults knows them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.nodes import WINDOW_S, WORKED_S, Avoided, avoided, stay_away_from, working
from gateway.store.store import Transaction
from gateway.vocabulary.nodes import NodeFault
from gateway.vocabulary.records import Attempt

logger = logging.getLogger(__name__)

FRESH_S = 30.0
"""So long the nodes that work are not looked up again, unless there is a new fault."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What new attempts of a cluster should know of its nodes."""

    avoided: Mapping[str, Avoided] = field(default_factory=dict)
    works: frozenset[str] = frozenset()

    def excluded(self, attempt: Attempt) -> tuple[str, ...]:
        """Return the nodes that an attempt is not sent to."""
        return stay_away_from(attempt.exclude_nodes, self.avoided, self.works)


def avoided_nodes(transaction: Transaction, cluster: str, now: float) -> list[Avoided]:
    """Return the nodes of a cluster that new attempts stay away from."""
    faults = transaction.nodes.faults(cluster, now - WINDOW_S)
    return list(_standing(transaction, cluster, faults, now).avoided.values()) if faults else []


def _standing(
    transaction: Transaction, cluster: str, faults: list[NodeFault], now: float
) -> Standing:
    work = transaction.nodes.work(cluster, now - WORKED_S, now - WINDOW_S)
    found = avoided(faults, work, now)
    return Standing({each.node: each for each in found}, working(work, now))


class Ledger:
    """Remembers the standing of nodes for a moment: it is asked for at every pass."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, list[NodeFault], Standing]] = {}

    def standing(self, transaction: Transaction, cluster: str, now: float) -> Standing:
        """Return the standing of the nodes of a cluster."""
        faults = transaction.nodes.faults(cluster, now - WINDOW_S)
        if not faults:
            self._known.pop(cluster, None)
            return Standing()
        at, known, before = self._known.get(cluster, (0.0, [], Standing()))
        if known == faults and abs(now - at) < FRESH_S:
            return before
        found = _standing(transaction, cluster, faults, now)
        for node in found.avoided.keys() - before.avoided.keys():
            words = found.avoided[node].words
            logger.warning("cluster %s: node %s is avoided: %s", cluster, node, words)
        self._known[cluster] = (now, faults, found)
        return found
