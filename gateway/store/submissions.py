"""Submissions in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.store import rows
from gateway.store.tables import submissions
from gateway.vocabulary.records import SubmissionRecord
from gateway.vocabulary.states import SubmissionState

_UNSETTLED = [
    SubmissionState.PREPARED.value,
    SubmissionState.CALLING.value,
    SubmissionState.UNCLEAR.value,
]


_WITHOUT_FATE = (
    select(submissions)
    .where(submissions.c.state.in_(_UNSETTLED))
    .order_by(submissions.c.prepared_at)
)


class Submissions:
    """Everything that is read and written about submissions, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: SubmissionRecord) -> None:
        """Insert a new submission."""
        self._connection.execute(submissions.insert(), rows.submission_values(record))

    def get(self, key: str) -> SubmissionRecord | None:
        """Return one submission by its key."""
        row = self._connection.execute(select(submissions).where(submissions.c.key == key)).first()
        return rows.submission(row) if row else None

    def many(self, keys: Collection[str]) -> dict[str, SubmissionRecord]:
        """Return submissions by their keys."""
        found: dict[str, SubmissionRecord] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), 500):
            query = select(submissions).where(submissions.c.key.in_(wanted[start : start + 500]))
            found |= {row.key: rows.submission(row) for row in self._connection.execute(query)}
        return found

    def unsettled(self) -> list[SubmissionRecord]:
        """Return submissions whose fate is not known."""
        return [rows.submission(row) for row in self._connection.execute(_WITHOUT_FATE)]

    def set(self, key: str, **values: Any) -> None:
        """Change a submission."""
        self._connection.execute(
            update(submissions).where(submissions.c.key == key).values(**values)
        )
