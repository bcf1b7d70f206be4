"""The time line: what was observed, decided and asked."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from gateway.store import rows
from gateway.store.tables import events
from gateway.vocabulary.records import Event

_INSERT = events.insert()


def _values(record: Event) -> dict[str, object]:
    return {name: getattr(record, name) for name in Event.__slots__}


class Events:
    """Append to and read the time line, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, *records: Event) -> None:
        """Append entries."""
        if records:
            self._connection.execute(_INSERT, [_values(record) for record in records])

    def of_job(self, job_id: str) -> list[Event]:
        """Return the time line of a job."""
        query = select(events).where(events.c.job_id == job_id).order_by(events.c.id)
        return [rows.event(row) for row in self._connection.execute(query)]

    def of_workflow(self, workflow_id: str, job_ids: Sequence[str] = ()) -> list[Event]:
        """Return the time line of a workflow and of the jobs named."""
        query = (
            select(events)
            .where(or_(events.c.workflow_id == workflow_id, events.c.job_id.in_(list(job_ids))))
            .order_by(events.c.id)
        )
        return [rows.event(row) for row in self._connection.execute(query)]
