"""Submissions in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.store import rows
from gateway.store.portions import portions
from gateway.store.tables import attempts, jobs, submissions, workflows
from gateway.vocabulary.records import SubmissionRecord
from gateway.vocabulary.states import AttemptState, SubmissionState, WorkflowStatus

_UNSETTLED = [
    SubmissionState.PREPARED.value,
    SubmissionState.CALLING.value,
    SubmissionState.UNCLEAR.value,
]
_WORKFLOW_ENDS = [status.value for status in WorkflowStatus if status.is_terminal]


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
        for some in portions(keys):
            query = select(submissions).where(submissions.c.key.in_(some))
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

    def over(self, keys: Collection[str], before: float) -> list[str]:
        """Return those of which nothing was left to do at a time.

        Their attempts have ended, and so had all workflows that these are for; a fetch of an image
        is for none.
        """
        found: list[str] = []
        for some in portions(keys):
            needed = (
                select(attempts.c.submission_key)
                .join(jobs, jobs.c.id == attempts.c.job_id)
                .join(workflows, workflows.c.id == jobs.c.workflow_id, isouter=True)
                .where(
                    attempts.c.submission_key.in_(some),
                    or_(
                        attempts.c.state != AttemptState.ENDED.value,
                        attempts.c.finished_at >= before,
                        workflows.c.status.not_in(_WORKFLOW_ENDS),
                        workflows.c.id.is_not(None) & workflows.c.finished_at.is_(None),
                        workflows.c.finished_at >= before,
                    ),
                )
            )
            query = select(submissions.c.key).where(
                submissions.c.key.in_(some),
                submissions.c.state.not_in(_UNSETTLED),
                submissions.c.prepared_at < before,
                submissions.c.key.not_in(needed),
            )
            found += self._connection.execute(query.order_by(submissions.c.key)).scalars()
        return found

    def workflows(self, keys: Collection[str]) -> frozenset[str]:
        """Return the ids of the workflows that have attempts in submissions."""
        found: list[str] = []
        for some in portions(keys):
            query = (
                select(jobs.c.workflow_id)
                .distinct()
                .join(attempts, attempts.c.job_id == jobs.c.id)
                .where(attempts.c.submission_key.in_(some), jobs.c.workflow_id.is_not(None))
            )
            found += self._connection.execute(query).scalars()
        return frozenset(found)
