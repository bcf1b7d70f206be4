"""How busy the gateway is, in the shape of REANA's cluster status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.site.model import Site
from gateway.store.store import Store
from gateway.vocabulary.states import AttemptState


class SiteStatus:
    """Counts over all users; asks no scheduler."""

    def __init__(self, store: Store, site: Site, clock: Callable[[], float]) -> None:
        self._store = store
        self._site = site
        self._clock = clock

    def read(self) -> dict[str, dict[str, Any]]:
        """Return counts of clusters (REANA's nodes), jobs and workflows.

        Shares and health are there only where the site sets a limit.
        """
        now = self._clock()
        with self._store.read() as transaction:
            attempts = transaction.usage.open_attempts()
            workflows = transaction.usage.active_workflows()
            states = [transaction.clusters.get(name) for name in self._site.clusters]
        blocked = sum(1 for state in states if (state.blocked_until or 0.0) > now)
        total = len(states)
        nodes = {"total": total, "available": total - blocked, "unschedulable": blocked}
        return {
            "node": nodes | _share(total - blocked, total) | {"sort": 0},
            "job": self._jobs(attempts) | {"sort": 1},
            "workflow": {name: workflows.get(name, 0) for name in ("running", "queued", "pending")}
            | {"sort": 2},
            "session": {"active": 0, "sort": 3},
        }

    def _jobs(self, attempts: Mapping[str, int]) -> dict[str, Any]:
        running = attempts.get(AttemptState.RUNNING.value, 0)
        counts = {"running": running, "pending": sum(attempts.values()) - running}
        limits = [cluster.max_active_tasks for cluster in self._site.clusters.values()]
        if not all(limits):
            return counts
        most = sum(limit or 0 for limit in limits)
        sent = sum(attempts.values()) - attempts.get(AttemptState.READY.value, 0)
        free = max(0, most - sent)
        return counts | {"available": free, "total": most} | _share(free, most)


def _share(free: int, total: int) -> dict[str, Any]:
    """Return the free share with REANA's word for it."""
    percentage = 100 * free // total
    health = "healthy" if percentage > 50 else "warning" if percentage > 25 else "critical"
    return {"percentage": percentage, "health": health}
