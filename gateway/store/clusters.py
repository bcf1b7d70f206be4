"""What outlives a process about clusters: intervals, limits, and a count of calls."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from gateway.store import rows
from gateway.store.tables import calls, clusters
from gateway.vocabulary.records import ClusterState

_NAMED = select(clusters).where(clusters.c.name == bindparam("of_name"))


class Clusters:
    """Everything that is read and written about clusters, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> ClusterState:
        """Return what is known of a cluster."""
        row = self._connection.execute(_NAMED, {"of_name": name}).first()
        return rows.cluster_state(row) if row else ClusterState(name)

    def set(self, name: str, **values: Any) -> None:
        """Change what is known of a cluster."""
        changed = self._connection.execute(
            update(clusters).where(clusters.c.name == name).values(**values)
        )
        if changed.rowcount == 0:
            self._connection.execute(clusters.insert().values(name=name, **{"gate": {}} | values))

    def count_call(self, cluster: str, kind: str, minute: int, ok: bool, seconds: float) -> None:
        """Count one scheduler call in its minute."""
        failed = 0 if ok else 1
        changed = self._connection.execute(
            update(calls)
            .where(calls.c.cluster == cluster, calls.c.kind == kind, calls.c.minute == minute)
            .values(
                number=calls.c.number + 1,
                failures=calls.c.failures + failed,
                seconds=calls.c.seconds + seconds,
            )
        )
        if changed.rowcount == 0:
            self._connection.execute(
                calls.insert().values(
                    cluster=cluster,
                    kind=kind,
                    minute=minute,
                    number=1,
                    failures=failed,
                    seconds=seconds,
                )
            )

    def calls_since(self, minute: int) -> dict[str, dict[str, tuple[int, int, int]]]:
        """Return, by cluster and kind: calls, failures, and the most calls in one minute."""
        query = (
            select(
                calls.c.cluster,
                calls.c.kind,
                func.sum(calls.c.number).label("number"),
                func.sum(calls.c.failures).label("failures"),
                func.max(calls.c.number).label("peak"),
            )
            .where(calls.c.minute >= minute)
            .group_by(calls.c.cluster, calls.c.kind)
        )
        found: dict[str, dict[str, tuple[int, int, int]]] = {}
        for row in self._connection.execute(query):
            counts = (int(row.number), int(row.failures), int(row.peak))
            found.setdefault(row.cluster, {})[row.kind] = counts
        return found
