"""Jobs and their attempts in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, or_, select, update

from gateway.store import rows
from gateway.store.portions import portions
from gateway.store.tables import attempts, jobs, submissions, workflows
from gateway.vocabulary.records import Attempt, Job
from gateway.vocabulary.states import AttemptState, JobState

LONGEST_DELAY_S = 3600.0
"""More than any delay between two attempts."""

_OPEN_JOBS = [JobState.CREATED.value, JobState.QUEUED.value, JobState.RUNNING.value]
_IN_SCHEDULER = [
    AttemptState.SUBMITTING.value,
    AttemptState.PENDING.value,
    AttemptState.HELD.value,
    AttemptState.RUNNING.value,
]


# Building a statement takes longer than executing it, so each is built once.


@cache
def _change_of_attempt(names: tuple[str, ...]) -> Update:
    return (
        update(attempts)
        .where(attempts.c.key == bindparam("of_key"), attempts.c.state != AttemptState.ENDED.value)
        .values({name: bindparam(f"new_{name}") for name in names})
    )


@cache
def _change_of_job(before: tuple[JobState, ...], names: tuple[str, ...]) -> Update:
    # Not an IN: its parameters cannot be used in a statement that is executed for many rows.
    was = or_(*[jobs.c.state == old.value for old in before])
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("of_id"), was)
        .values({name: bindparam(f"new_{name}") for name in names})
    )


_READY = (
    select(attempts)
    .where(
        attempts.c.cluster == bindparam("of_cluster"),
        attempts.c.state == AttemptState.READY.value,
        or_(
            attempts.c.ready_at <= bindparam("now"),
            attempts.c.ready_at > bindparam("far"),
        ),
    )
    .order_by(attempts.c.ready_at, attempts.c.key)
)
_OPEN = (
    select(attempts)
    .where(attempts.c.state.in_(_IN_SCHEDULER))
    .order_by(attempts.c.submission_key, attempts.c.task_index)
)
_NEWS_OF_JOB = (
    update(workflows)
    .where(
        workflows.c.id
        == select(jobs.c.workflow_id).where(jobs.c.id == bindparam("of_id")).scalar_subquery()
    )
    .values(news=1)
)


def _parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in values.items()}


class Jobs:
    """Everything that is read and written about jobs and attempts, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, records: Sequence[Job]) -> None:
        """Insert new jobs."""
        if records:
            self._connection.execute(jobs.insert(), [rows.job_values(job) for job in records])

    def get(self, job_id: str) -> Job | None:
        """Return one job by its id."""
        row = self._connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        return rows.job(row) if row else None

    def many(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Return jobs by their ids."""
        found: dict[str, Job] = {}
        for some in portions(job_ids):
            query = select(jobs).where(jobs.c.id.in_(some))
            found |= {row.id: rows.job(row) for row in self._connection.execute(query)}
        return found

    def ids_of(self, workflow_ids: Collection[str]) -> set[str]:
        """Return the ids of all jobs of some workflows."""
        found: set[str] = set()
        for some in portions(workflow_ids):
            query = select(jobs.c.id).where(jobs.c.workflow_id.in_(some))
            found |= set(self._connection.execute(query).scalars())
        return found

    def of_workflows(self, workflow_ids: Collection[str]) -> dict[str, list[Job]]:
        """Return the jobs of some workflows, each in the order in which they were asked for."""
        found: dict[str, list[Job]] = {workflow_id: [] for workflow_id in workflow_ids}
        for some in portions(found):
            query = select(jobs).where(jobs.c.workflow_id.in_(some))
            for row in self._connection.execute(query.order_by(jobs.c.position)):
                found[row.workflow_id].append(rows.job(row))
        return found

    def of_workflow(self, workflow_id: str) -> list[Job]:
        """Return the jobs of a workflow in the order in which they were asked for."""
        query = select(jobs).where(jobs.c.workflow_id == workflow_id).order_by(jobs.c.position)
        return [rows.job(row) for row in self._connection.execute(query)]

    def matching(self, prefix: str) -> list[Job]:
        """Return jobs whose id begins with ``prefix``."""
        query = select(jobs).where(jobs.c.id.startswith(prefix, autoescape=True)).limit(20)
        return [rows.job(row) for row in self._connection.execute(query)]

    def counts(self, workflow_ids: Collection[str]) -> dict[str, dict[JobState, int]]:
        """Return, for each workflow, how many jobs are in which state."""
        query = (
            select(jobs.c.workflow_id, jobs.c.state, func.count().label("number"))
            .where(jobs.c.workflow_id.in_(list(workflow_ids)))
            .group_by(jobs.c.workflow_id, jobs.c.state)
        )
        found: dict[str, dict[JobState, int]] = {}
        for row in self._connection.execute(query):
            found.setdefault(row.workflow_id, {})[JobState(row.state)] = row.number
        return found

    def start(self, job_id: str, at: float) -> bool:
        """Mark a job as running, unless it is or has ended; say whether it changed."""
        return self._change(
            job_id, [JobState.CREATED, JobState.QUEUED], JobState.RUNNING, started_at=at
        )

    def start_all(self, started_at: Mapping[str, float]) -> None:
        """Mark jobs as running, as ``start`` does; takes times by job id."""
        values = [
            {"of_id": job_id, **_parameters({"state": JobState.RUNNING.value, "started_at": at})}
            for job_id, at in started_at.items()
        ]
        if values:
            before = (JobState.CREATED, JobState.QUEUED)
            self._connection.execute(_change_of_job(before, ("state", "started_at")), values)

    def end(self, job_id: str, state: JobState, **values: Any) -> bool:
        """Give a job its result, once; tell its workflow; say whether it changed."""
        open_states = [JobState.CREATED, JobState.QUEUED, JobState.RUNNING]
        changed = self._change(job_id, open_states, state, **values)
        if changed:
            self._connection.execute(_NEWS_OF_JOB, {"of_id": job_id})
        return changed

    def queue(self, job_id: str) -> bool:
        """Mark a job as handed to dispatch."""
        return self._change(job_id, [JobState.CREATED], JobState.QUEUED)

    def _change(
        self, job_id: str, before: Sequence[JobState], state: JobState, **values: Any
    ) -> bool:
        values = {"state": state.value, **values}
        statement = _change_of_job(tuple(before), tuple(values))
        parameters = {"of_id": job_id, **_parameters(values)}
        return self._connection.execute(statement, parameters).rowcount == 1

    def ready_attempts(self, cluster: str, now: float) -> list[Attempt]:
        """Return attempts that may be sent to a cluster now, oldest first.

        A time further off than any delay means that a clock was set back: it counts as past.
        """
        values = {"of_cluster": cluster, "now": now, "far": now + LONGEST_DELAY_S}
        return [rows.attempt(row) for row in self._connection.execute(_READY, values)]

    def in_scheduler(self, cluster: str) -> int:
        """Return how many attempts a cluster has, or may have."""
        query = (
            select(func.count())
            .select_from(attempts)
            .where(attempts.c.cluster == cluster, attempts.c.state.in_(_IN_SCHEDULER))
        )
        return int(self._connection.execute(query).scalar() or 0)

    def open_attempts(self) -> list[Attempt]:
        """Return all attempts that a scheduler has, or may have, in a stable order."""
        return [rows.attempt(row) for row in self._connection.execute(_OPEN)]

    def attempts_of(self, job_id: str) -> list[Attempt]:
        """Return the attempts of a job, first one first."""
        query = select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
        return [rows.attempt(row) for row in self._connection.execute(query)]

    def last_attempts(self, job_ids: Collection[str]) -> dict[str, Attempt]:
        """Return the last attempt of each job that has any."""
        found: dict[str, Attempt] = {}
        for some in portions(job_ids):
            query = select(attempts).where(attempts.c.job_id.in_(some))
            for row in self._connection.execute(query.order_by(attempts.c.number)):
                found[row.job_id] = rows.attempt(row)
        return found

    def attempts_of_workflow(self, workflow_id: str) -> list[Attempt]:
        """Return the attempts of all jobs of a workflow."""
        query = (
            select(attempts)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(jobs.c.workflow_id == workflow_id)
            .order_by(jobs.c.position, attempts.c.number)
        )
        return [rows.attempt(row) for row in self._connection.execute(query)]

    def attempts_in(self, submission_key: str) -> list[Attempt]:
        """Return the attempts of a submission in the order of their tasks."""
        query = (
            select(attempts)
            .where(attempts.c.submission_key == submission_key)
            .order_by(attempts.c.task_index)
        )
        return [rows.attempt(row) for row in self._connection.execute(query)]

    def add_attempts(self, records: Iterable[Attempt]) -> None:
        """Insert new attempts."""
        values = [rows.attempt_values(record) for record in records]
        if values:
            self._connection.execute(attempts.insert(), values)

    def set_attempt(self, key: str, **values: Any) -> bool:
        """Change an attempt that has not ended; say whether there was one."""
        parameters = {"of_key": key, **_parameters(values)}
        statement = _change_of_attempt(tuple(values))
        return self._connection.execute(statement, parameters).rowcount == 1

    def set_attempts(self, changes: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Change attempts that have not ended; takes keys, each with its columns."""
        for names, same in groupby(changes, key=lambda change: tuple(change[1])):
            parameters = [{"of_key": key, **_parameters(values)} for key, values in same]
            self._connection.execute(_change_of_attempt(names), parameters)

    def not_ended(self, keys: Sequence[str]) -> set[str]:
        """Return those of the attempts that have not ended."""
        found: set[str] = set()
        for some in portions(keys):
            query = select(attempts.c.key).where(
                attempts.c.key.in_(some),
                attempts.c.state != AttemptState.ENDED.value,
            )
            found |= set(self._connection.execute(query).scalars())
        return found

    def control_dirs(self, workflow_id: str) -> dict[str, str]:
        """Return the control directory of each attempt of a workflow, by attempt key."""
        query = (
            select(attempts.c.key, submissions.c.control_dir)
            .join(submissions, submissions.c.key == attempts.c.submission_key)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(jobs.c.workflow_id == workflow_id)
        )
        return {row.key: row.control_dir for row in self._connection.execute(query)}

    def control_dir(self, attempt_key: str) -> str | None:
        """Return the control directory of one attempt, once it is part of a submission."""
        query = (
            select(submissions.c.control_dir)
            .join(attempts, submissions.c.key == attempts.c.submission_key)
            .where(attempts.c.key == attempt_key)
        )
        return self._connection.execute(query).scalar()
