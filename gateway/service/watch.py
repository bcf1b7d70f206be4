"""Whether the gateway is well, and its figures: for monitors, not for users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.store.store import Store
from gateway.vocabulary.figures import Figures


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the state answers and somebody drives.

    Parameters
    ----------
    driver
        What drives and where, empty if nothing does.
    heartbeat_age_s
        Seconds since the driver's last sign of life.
    blocked
        Clusters to which nothing is sent now, with the scheduler's words.
    """

    driver: str
    heartbeat_age_s: float | None
    active_workflows: int
    blocked: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether work that is accepted will be done by someone who is there now."""
        return bool(self.driver)


class Watch:
    """Answers monitors."""

    def __init__(self, store: Store, clusters: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._store = store
        self._clusters = clusters
        self._clock = clock

    def health(self) -> Health:
        """Look at the driver's lease and at what blocks clusters."""
        now = self._clock()
        with self._store.read() as transaction:
            lease = transaction.leases.current()
            active = transaction.workflows.count_active()
            states = [transaction.clusters.get(name) for name in self._clusters]
        alive = lease is not None and lease.expires_at > now
        return Health(
            driver=f"{lease.purpose} on {lease.host}" if lease and alive else "",
            heartbeat_age_s=now - lease.heartbeat_at if lease else None,
            active_workflows=active,
            blocked={
                state.name: state.blocked_reason
                for state in states
                if state.blocked_until is not None and state.blocked_until > now
            },
        )

    def figures(self) -> Figures:
        """Count everything."""
        with self._store.read() as transaction:
            return transaction.figures.read()

    @property
    def now(self) -> float:
        """The time by which ages are counted, in seconds since the epoch."""
        return self._clock()
