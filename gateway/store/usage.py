"""What users have used, and what is under way, as counts."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gateway.store.tables import attempts, jobs, workflows
from gateway.vocabulary.states import AttemptState, WorkflowStatus

_OPEN = [state.value for state in AttemptState if state is not AttemptState.ENDED]
_ACTIVE = [status.value for status in WorkflowStatus if status.is_active]


class Usage:
    """Counts within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cpu_s(self, owner: str) -> float:
        """Return the processor seconds that the attempts of a user are known to have used."""
        query = (
            select(func.sum(attempts.c.cpu_s))
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .join(workflows, workflows.c.id == jobs.c.workflow_id)
            .where(workflows.c.owner == owner)
        )
        return float(self._connection.execute(query).scalar() or 0.0)

    def workspaces(self, owner: str) -> dict[str, bool]:
        """Return the workspaces of a user, and whether a run that may write there is under way."""
        query = select(workflows.c.workspace, workflows.c.status).where(
            workflows.c.owner == owner, workflows.c.status != WorkflowStatus.DELETED.value
        )
        found: dict[str, bool] = {}
        for workspace, status in self._connection.execute(query):
            moves = not WorkflowStatus(status).is_terminal
            found[workspace] = found.get(workspace, False) or moves
        return found

    def active_workflows(self) -> dict[str, int]:
        """Return how many workflows of all users are in each active status."""
        query = (
            select(workflows.c.status, func.count())
            .where(workflows.c.status.in_(_ACTIVE))
            .group_by(workflows.c.status)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def open_attempts(self) -> dict[str, int]:
        """Return how many attempts of all users are in each state before the end."""
        query = (
            select(attempts.c.state, func.count())
            .where(attempts.c.state.in_(_OPEN))
            .group_by(attempts.c.state)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}
