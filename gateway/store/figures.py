"""Counts over the whole state, for whoever watches the gateway."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.store.tables import attempts, calls, jobs, workflows
from gateway.vocabulary.figures import CallFigures, Figures, QueueFigures


class FiguresReader:
    """Counts within one transaction; a handful of grouped queries, whatever the size."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Figures:
        """Return all counts."""
        return Figures(
            workflows=self._workflows(),
            jobs=self._jobs(),
            queues=self._queues(),
            outcomes=self._outcomes(),
            calls=self._calls(),
        )

    def _workflows(self) -> dict[str, int]:
        query = select(workflows.c.status, func.count()).group_by(workflows.c.status)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _jobs(self) -> dict[tuple[str, str], int]:
        query = select(jobs.c.cluster, jobs.c.state, func.count()).group_by(
            jobs.c.cluster, jobs.c.state
        )
        return {
            (cluster, state): number for cluster, state, number in self._connection.execute(query)
        }

    def _queues(self) -> tuple[QueueFigures, ...]:
        since = func.coalesce(attempts.c.started_at, attempts.c.submitted_at, attempts.c.ready_at)
        query = (
            select(attempts.c.cluster, attempts.c.state, func.count(), func.min(since))
            .where(attempts.c.finished_at.is_(None), attempts.c.outcome.is_(None))
            .group_by(attempts.c.cluster, attempts.c.state)
        )
        return tuple(QueueFigures(*row) for row in self._connection.execute(query))

    def _outcomes(self) -> dict[tuple[str, str], int]:
        query = (
            select(attempts.c.cluster, attempts.c.outcome, func.count())
            .where(attempts.c.outcome.is_not(None))
            .group_by(attempts.c.cluster, attempts.c.outcome)
        )
        return {
            (cluster, name): number for cluster, name, number in self._connection.execute(query)
        }

    def _calls(self) -> tuple[CallFigures, ...]:
        query = select(
            calls.c.cluster,
            calls.c.kind,
            func.sum(calls.c.number),
            func.sum(calls.c.failures),
            func.sum(calls.c.seconds),
        ).group_by(calls.c.cluster, calls.c.kind)
        return tuple(
            CallFigures(cluster, kind, int(number), int(failures), float(seconds))
            for cluster, kind, number, failures, seconds in self._connection.execute(query)
        )
