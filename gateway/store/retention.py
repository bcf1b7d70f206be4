"""Rules about how long files of workspaces are kept, in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, or_, select, update

from gateway.store.tables import retention_rules, workflows
from gateway.vocabulary.records import RetentionRule
from gateway.vocabulary.states import WorkflowStatus

CREATED, ACTIVE, INACTIVE, PENDING, APPLIED = (
    "created", "active", "inactive", "pending", "applied",
)  # fmt: skip
"""REANA's words for where a rule is."""

_KEPT_RUNS = (WorkflowStatus.FINISHED.value, WorkflowStatus.FAILED.value)


class Retention:
    """Everything that is read and written about these rules, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, workflow_id: str, days: Mapping[str, int]) -> None:
        """Insert the rules of a new workflow: days by pattern."""
        rows = [
            {"workflow_id": workflow_id, "pattern": pattern, "days": number, "status": CREATED}
            for pattern, number in days.items()
        ]
        if rows:
            self._connection.execute(retention_rules.insert(), rows)

    def of(self, workflow_id: str) -> list[RetentionRule]:
        """Return the rules of a workflow."""
        return self._rules(retention_rules.c.workflow_id == workflow_id)

    def due(self, now: float) -> list[RetentionRule]:
        """Return the rules to be applied now, those first whose application was cut short.

        A run that was deleted since keeps nothing that a rule could be about.
        """
        runs = select(workflows.c.id).where(workflows.c.status.in_(_KEPT_RUNS))
        return self._rules(
            or_(
                retention_rules.c.status == PENDING,
                (retention_rules.c.status == ACTIVE) & (retention_rules.c.apply_on <= now),
            )
            & retention_rules.c.workflow_id.in_(runs)
        )

    def _rules(self, condition: Any) -> list[RetentionRule]:
        query = select(retention_rules).where(condition).order_by(retention_rules.c.id)
        return [RetentionRule(**row._mapping) for row in self._connection.execute(query)]

    def activate(self, workflow_id: str, ended_at: float) -> None:
        """Set the day of each rule of a run that has ended: the end of that day, and its days."""
        for rule in self.of(workflow_id):
            if rule.status == CREATED:
                last_second = (ended_at // 86_400 + 1 + rule.days) * 86_400 - 1
                self.move([rule.id], (CREATED,), ACTIVE, apply_on=last_second)

    def move(
        self, ids: Collection[int], before: Collection[str], status: str, **values: Any
    ) -> int:
        """Set the status of rules that have one of ``before``; return how many had."""
        statement = (
            update(retention_rules)
            .where(retention_rules.c.id.in_(list(ids)), retention_rules.c.status.in_(list(before)))
            .values(status=status, **values)
        )
        return self._connection.execute(statement).rowcount
