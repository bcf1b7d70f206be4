"""Workflows and their images in the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    bindparam,
    delete,
    func,
    null,
    select,
    update,
)

from gateway.store import rows
from gateway.store.portions import portions
from gateway.store.tables import attempts, images, jobs, workflows
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.records import Job, RunNumber, Workflow, WorkflowImage
from gateway.vocabulary.states import WORKFLOW_FOLLOWS, JobState, WorkflowStatus

_ACTIVE = [status.value for status in WorkflowStatus if status.is_active]


@cache
def _move(status: WorkflowStatus, names: tuple[str, ...]) -> Update:
    """Built once: building a statement takes longer than executing it."""
    before = [old.value for old, following in WORKFLOW_FOLLOWS.items() if status in following]
    return (
        update(workflows)
        .where(workflows.c.id == bindparam("of_id"), workflows.c.status.in_(before))
        .values({name: bindparam(f"new_{name}") for name in names})
    )


_WITH_NEWS = (
    select(workflows.c.id)
    .where(workflows.c.status.in_(_ACTIVE), workflows.c.news == 1)
    .order_by(workflows.c.created_at)
)
_STOPPING = select(workflows).where(
    workflows.c.status.in_(_ACTIVE), workflows.c.stop_requested_at.is_not(None)
)
_ENDED_FETCHES = select(jobs).where(
    jobs.c.id.in_(select(images.c.fetch_job_id).where(images.c.resolved.is_(null()))),
    jobs.c.state.in_([state.value for state in JobState if state.is_terminal]),
)
"""What every pass asks: building a statement takes longer than executing it."""

Order = Literal["newest", "oldest", "cpu"]


def _cpu_s() -> ColumnElement[float]:
    """Return the processor seconds of a workflow as an expression."""
    query = (
        select(func.coalesce(func.sum(attempts.c.cpu_s), 0.0))
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.workflow_id == workflows.c.id)
    )
    return query.scalar_subquery()


class Workflows:
    """Everything that is read and written about workflows, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: Workflow) -> None:
        """Insert a new workflow."""
        self._connection.execute(workflows.insert(), rows.workflow_values(record))

    def next_run(self, owner: str, name: str) -> RunNumber:
        """Return the number of the next new run under ``name``; deleted runs count too."""
        query = select(func.max(workflows.c.run_major)).where(
            workflows.c.owner == owner, workflows.c.name == name
        )
        return RunNumber((self._connection.execute(query).scalar() or 0) + 1)

    def next_restart(self, owner: str, name: str, major: int) -> RunNumber:
        """Return the number of the next restart of a run."""
        query = select(func.max(workflows.c.run_minor)).where(
            workflows.c.owner == owner,
            workflows.c.name == name,
            workflows.c.run_major == major,
        )
        return RunNumber(major, (self._connection.execute(query).scalar() or 0) + 1)

    def get(self, workflow_id: str) -> Workflow | None:
        """Return one workflow by its id."""
        return self._one(workflows.c.id == workflow_id)

    def many(self, workflow_ids: Collection[str]) -> dict[str, Workflow]:
        """Return workflows by their ids."""
        found: dict[str, Workflow] = {}
        for some in portions(workflow_ids):
            query = select(workflows).where(workflows.c.id.in_(some))
            found |= {row.id: rows.workflow(row) for row in self._connection.execute(query)}
        return found

    def by_key(self, owner: str, key: str) -> Workflow | None:
        """Return the workflow that was created under an idempotency key."""
        return self._one(workflows.c.owner == owner, workflows.c.key == key)

    def by_run(self, owner: str, name: str, run: RunNumber) -> Workflow | None:
        """Return one run of a name."""
        return self._one(
            workflows.c.owner == owner,
            workflows.c.name == name,
            workflows.c.run_major == run.major,
            workflows.c.run_minor == run.minor,
        )

    def latest(self, owner: str, name: str) -> Workflow | None:
        """Return the latest run of a name; deleted runs count, as in REANA."""
        return self._one(workflows.c.owner == owner, workflows.c.name == name)

    def _one(self, *conditions: Any) -> Workflow | None:
        query = (
            select(workflows)
            .where(*conditions)
            .order_by(workflows.c.run_major.desc(), workflows.c.run_minor.desc())
            .limit(1)
        )
        row = self._connection.execute(query).first()
        return rows.workflow(row) if row else None

    def listed(
        self, owner: str, *, statuses: Collection[WorkflowStatus], name: str | None = None
    ) -> list[Workflow]:
        """Return workflows in any of ``statuses``, newest first."""
        query = select(workflows).where(
            workflows.c.owner == owner, workflows.c.status.in_([s.value for s in statuses])
        )
        if name is not None:
            query = query.where(workflows.c.name == name)
        found = self._connection.execute(query.order_by(workflows.c.created_at.desc()))
        return [rows.workflow(row) for row in found]

    def search(
        self,
        owner: str,
        *,
        statuses: Collection[WorkflowStatus],
        name_part: str | None,
        ids: Collection[str] | None,
        order: Order,
        limit: int | None,
        offset: int,
    ) -> tuple[list[Workflow], int]:
        """Return a part of a user's workflows, and how many there are."""
        query = select(workflows).where(
            workflows.c.owner == owner, workflows.c.status.in_([s.value for s in statuses])
        )
        if name_part is not None:
            query = query.where(workflows.c.name.icontains(name_part, autoescape=True))
        if ids is not None:
            query = query.where(workflows.c.id.in_(ids))
        number = select(func.count()).select_from(query.subquery())
        total = int(self._connection.execute(number).scalar() or 0)
        newest = workflows.c.created_at.desc()
        first = {"newest": newest, "oldest": workflows.c.created_at, "cpu": _cpu_s().desc()}[order]
        query = query.order_by(first, newest, workflows.c.id).limit(limit).offset(offset)
        return [rows.workflow(row) for row in self._connection.execute(query)], total

    def runs_of(self, owner: str, name: str) -> list[str]:
        """Return the ids of all runs of a name."""
        query = select(workflows.c.id).where(workflows.c.owner == owner, workflows.c.name == name)
        return list(self._connection.execute(query).scalars())

    def has_any(self, owner: str) -> bool:
        """Tell whether a user ever had a workflow."""
        query = select(workflows.c.id).where(workflows.c.owner == owner).limit(1)
        return self._connection.execute(query).first() is not None

    def with_news(self) -> list[str]:
        """Return the ids of active workflows that a driver should look at, oldest first."""
        return list(self._connection.execute(_WITH_NEWS).scalars())

    def stopping(self) -> list[Workflow]:
        """Return active workflows that the user wants stopped."""
        return [rows.workflow(row) for row in self._connection.execute(_STOPPING)]

    def count_active(self) -> int:
        """Return how many workflows a driver has work for."""
        query = select(func.count()).select_from(workflows).where(workflows.c.status.in_(_ACTIVE))
        return int(self._connection.execute(query).scalar() or 0)

    def sharing_workspace(self, workspace: str) -> list[Workflow]:
        """Return all runs, also ended ones, that use a workspace."""
        query = select(workflows).where(workflows.c.workspace == workspace)
        return [rows.workflow(row) for row in self._connection.execute(query)]

    def move(self, workflow_id: str, status: WorkflowStatus, **values: Any) -> bool:
        """Set the status if it may follow the present one; say whether it did."""
        values = {"status": status.value, **values}
        parameters = {f"new_{name}": value for name, value in values.items()}
        statement = _move(status, tuple(values))
        found = self._connection.execute(statement, {"of_id": workflow_id, **parameters})
        return found.rowcount == 1

    def clear_news(self, workflow_ids: Collection[str]) -> None:
        """Say that what is new of some workflows is being dealt with."""
        for some in portions(workflow_ids):
            these = workflows.c.id.in_(some)
            self._connection.execute(update(workflows).where(these).values(news=0))

    def set(self, workflow_id: str, **values: Any) -> None:
        """Change columns other than the status."""
        statement = update(workflows).where(workflows.c.id == workflow_id).values(**values)
        self._connection.execute(statement)

    def request_stop(self, workflow_id: str, at: float) -> bool:
        """Write down the intent to stop, once; say whether the workflow is active."""
        statement = (
            update(workflows)
            .where(workflows.c.id == workflow_id, workflows.c.status.in_(_ACTIVE))
            .values(stop_requested_at=func.coalesce(workflows.c.stop_requested_at, at), news=1)
        )
        return self._connection.execute(statement).rowcount == 1

    def images(self, workflow_id: str) -> dict[str, WorkflowImage]:
        """Return the images of a workflow by the reference that the user wrote."""
        found = self._connection.execute(select(images).where(images.c.workflow_id == workflow_id))
        return {row.reference: rows.workflow_image(row) for row in found}

    def images_of(self, workflow_ids: Collection[str]) -> dict[str, dict[str, WorkflowImage]]:
        """Return the images of some workflows, each by the reference that the user wrote."""
        found: dict[str, dict[str, WorkflowImage]] = {each: {} for each in workflow_ids}
        for some in portions(found):
            query = select(images).where(images.c.workflow_id.in_(some))
            for row in self._connection.execute(query):
                found[row.workflow_id][row.reference] = rows.workflow_image(row)
        return found

    def add_image(
        self,
        workflow_id: str,
        reference: str,
        resolved: ResolvedImage | None,
        fetch_job_id: str | None,
    ) -> None:
        """Write down how an image of a workflow is resolved, or which job finds out."""
        self._connection.execute(
            images.insert(),
            {
                "workflow_id": workflow_id,
                "reference": reference,
                "resolved": asdict(resolved) if resolved else None,
                "fetch_job_id": fetch_job_id,
            },
        )

    def fix_image(self, fetch_job_id: str, resolved: ResolvedImage) -> list[str]:
        """Give a fetched image to every workflow that waits for it; return their ids."""
        query = select(images).where(images.c.fetch_job_id == fetch_job_id)
        found = self._connection.execute(query).all()
        open_ids = [row.workflow_id for row in found if row.resolved is None]
        for workflow_id in open_ids:
            self._connection.execute(
                update(images)
                .where(images.c.workflow_id == workflow_id, images.c.fetch_job_id == fetch_job_id)
                .values(resolved=asdict(resolved))
            )
            self.set(workflow_id, news=1)
        return open_ids

    def give_up_image(self, fetch_job_id: str) -> list[tuple[str, str]]:
        """Forget an image that a job could not fetch; return who wanted it, and as what."""
        waiting = (images.c.fetch_job_id == fetch_job_id) & images.c.resolved.is_(null())
        query = select(images.c.workflow_id, images.c.reference).where(waiting)
        found = [(row.workflow_id, row.reference) for row in self._connection.execute(query)]
        self._connection.execute(delete(images).where(waiting))
        return found

    def ended_fetches(self) -> list[Job]:
        """Return fetch jobs that have ended while workflows still wait for their image."""
        return [rows.job(row) for row in self._connection.execute(_ENDED_FETCHES)]

    def open_fetch_of(self, reference: str) -> str | None:
        """Return the id of a job that fetches this reference now, if there is one."""
        query = (
            select(jobs.c.id)
            .where(
                jobs.c.purpose == "image",
                jobs.c.image == reference,
                jobs.c.state.in_([JobState.CREATED, JobState.QUEUED, JobState.RUNNING]),
            )
            .limit(1)
        )
        return self._connection.execute(query).scalar()
