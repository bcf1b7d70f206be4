"""Find workflows and show them as plain data, ready for JSON and tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.errors import NotFoundError
from gateway.service.names import find
from gateway.store.store import Store, Transaction
from gateway.vocabulary.records import DEFAULT_USER, Attempt, Job, Workflow
from gateway.vocabulary.states import JobState, WorkflowStatus


class UnknownWorkflowError(NotFoundError):
    """There is no such workflow, or it is somebody else's."""

    def __init__(self, asked: str) -> None:
        super().__init__(
            f"there is no workflow {asked!r}", hint="`gateway list --all` shows what there is"
        )
        self.asked = asked


def timestamp(at: float | None) -> str | None:
    """Return REANA's form of a time: naive UTC, whole seconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Progress:
    """Jobs of a workflow by state; ``total`` is what the engine knows to be needed."""

    total: int
    queued: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    stopped: int = 0

    @classmethod
    def of(cls, workflow: Workflow, counts: Mapping[JobState, int]) -> Progress:
        """Count."""
        known = sum(counts.values())
        return cls(
            total=max(workflow.total or 0, known),
            queued=counts.get(JobState.CREATED, 0) + counts.get(JobState.QUEUED, 0),
            running=counts.get(JobState.RUNNING, 0),
            finished=counts.get(JobState.FINISHED, 0),
            failed=counts.get(JobState.FAILED, 0),
            stopped=counts.get(JobState.STOPPED, 0),
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its attempts, first one first."""

    job: Job
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Attempt | None:
        """The attempt that counts."""
        return self.attempts[-1] if self.attempts else None


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A workflow with everything that a user may want to see of it."""

    workflow: Workflow
    progress: Progress
    jobs: tuple[JobView, ...]
    images: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Which workflows to list.

    Parameters
    ----------
    name_part
        Part of the name, in whatever case.
    named
        An id, or a name: all its runs.
    order
        ``disk`` is by the sizes in ``sizes``, which are bytes by workspace.
    page, size
        From 1; without a size, everything is one page.
    """

    statuses: Collection[WorkflowStatus]
    name_part: str | None = None
    named: str | None = None
    order: Literal["newest", "oldest", "cpu", "disk"] = "newest"
    sizes: Mapping[str, int] = field(default_factory=dict)
    page: int = 1
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; ``total`` counts the whole of it."""

    items: list[tuple[Workflow, Progress]]
    total: int
    user_has_workflows: bool


class Views:
    """Read-only questions about workflows."""

    def __init__(self, store: Store, owner: str = DEFAULT_USER) -> None:
        self._store = store
        self.owner = owner

    def find(self, asked: str) -> Workflow:
        """Return the workflow that the user means.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with self._store.read() as transaction:
            return found(transaction, self.owner, asked)

    def sharing_workspace(self, workflow: Workflow) -> list[Workflow]:
        """Return all runs that use the workspace of a workflow, itself included."""
        with self._store.read() as transaction:
            return transaction.workflows.sharing_workspace(workflow.workspace)

    def show(self, asked: str) -> WorkflowView:
        """Return a workflow with its jobs and images."""
        with self._store.read() as transaction:
            workflow = found(transaction, self.owner, asked)
            jobs = transaction.jobs.of_workflow(workflow.id)
            attempts = transaction.jobs.attempts_of_workflow(workflow.id)
            images = transaction.workflows.images(workflow.id)
        by_job: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            by_job.setdefault(attempt.job_id, []).append(attempt)
        counts: dict[JobState, int] = {}
        for job in jobs:
            counts[job.state] = counts.get(job.state, 0) + 1
        return WorkflowView(
            workflow,
            Progress.of(workflow, counts),
            tuple(JobView(job, tuple(by_job.get(job.id, ()))) for job in jobs),
            tuple(_image(reference, each) for reference, each in images.items()),
        )

    def listed(
        self, statuses: Collection[WorkflowStatus], name: str | None = None
    ) -> list[tuple[Workflow, Progress]]:
        """Return workflows with their progress, newest first."""
        with self._store.read() as transaction:
            workflows = transaction.workflows.listed(self.owner, statuses=statuses, name=name)
            counts = transaction.jobs.counts([workflow.id for workflow in workflows])
        return [(each, Progress.of(each, counts.get(each.id, {}))) for each in workflows]

    def search(self, search: Search) -> Page:
        """Return one page of workflows with their progress."""
        with self._store.read() as transaction:
            items, total = self._chosen(transaction, search)
            counts = transaction.jobs.counts([workflow.id for workflow in items])
            has_any = total > 0 or transaction.workflows.has_any(self.owner)
        progress = [(each, Progress.of(each, counts.get(each.id, {}))) for each in items]
        return Page(progress, total, has_any)

    def _chosen(self, transaction: Transaction, search: Search) -> tuple[list[Workflow], int]:
        """Return one page and the number of all; only by size must all be looked at."""
        begin = (search.page - 1) * search.size if search.size else 0
        by_size = search.order == "disk"
        items, total = transaction.workflows.search(
            self.owner,
            statuses=search.statuses,
            name_part=search.name_part,
            ids=self._ids(transaction, search.named),
            order="newest" if search.order == "disk" else search.order,
            limit=None if by_size else search.size,
            offset=0 if by_size else begin,
        )
        if by_size:
            items.sort(key=lambda each: search.sizes.get(each.workspace, 0), reverse=True)
            items = items[begin : begin + search.size] if search.size else items
        return items, total

    def _ids(self, transaction: Transaction, named: str | None) -> list[str] | None:
        if named is None:
            return None
        one = find(transaction, self.owner, named)
        if one is not None and one.name != named:
            return [one.id]
        return transaction.workflows.runs_of(self.owner, named)


def found(transaction: Transaction, owner: str, asked: str) -> Workflow:
    """Return the workflow that the user means, or say that there is none."""
    workflow = find(transaction, owner, asked)
    if workflow is None:
        raise UnknownWorkflowError(asked)
    return workflow


def _image(reference: str, image: Any) -> dict[str, Any]:
    resolved = image.resolved
    return {
        "reference": reference,
        "path": resolved.path if resolved else None,
        "digest": resolved.digest if resolved else None,
        "source": resolved.source.value if resolved else None,
        "resolved_at": timestamp(resolved.resolved_at) if resolved else None,
        "fetch_job": image.fetch_job_id,
    }


def workflow_data(workflow: Workflow, progress: Progress) -> dict[str, Any]:
    """Return a workflow as JSON types, with REANA's key names."""
    return {
        "id": workflow.id,
        "name": workflow.name,
        "run_number": str(workflow.run),
        "status": workflow.status.value,
        "message": workflow.message,
        "created": timestamp(workflow.created_at),
        "started": timestamp(workflow.started_at),
        "ended": timestamp(workflow.finished_at),
        "stop_requested": timestamp(workflow.stop_requested_at),
        "workspace": workflow.workspace,
        "progress": {
            "total": progress.total,
            "queued": progress.queued,
            "running": progress.running,
            "finished": progress.finished,
            "failed": progress.failed,
            "stopped": progress.stopped,
        },
    }


def view_data(view: WorkflowView, held_up: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """Return a whole view as JSON types, with what holds the workflow up."""
    return workflow_data(view.workflow, view.progress) | {
        "held_up": list(held_up),
        "images": list(view.images),
        "jobs": [job_data(each) for each in view.jobs],
    }


def job_data(view: JobView) -> dict[str, Any]:
    """Return a job and its last attempt as JSON types."""
    job, last = view.job, view.last
    return {
        "id": job.id,
        "step": job.step,
        "command": job.command,
        "image": job.image,
        "cluster": job.cluster,
        "state": job.state.value,
        "reason": job.reason,
        "outcome": job.outcome.value if job.outcome else None,
        "exit_code": job.exit_code,
        "started": timestamp(job.started_at),
        "ended": timestamp(job.finished_at),
        "attempts": [attempt_data(attempt) for attempt in view.attempts],
        "scheduler_id": last.native_id if last else None,
        "node": last.node if last else None,
    }


def attempt_data(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as JSON types."""
    return {
        "key": attempt.key,
        "number": attempt.number,
        "state": attempt.state.value,
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "reason": attempt.reason,
        "waits_for": attempt.waits_for,
        "scheduler_id": attempt.native_id,
        "submission": attempt.submission_key,
        "node": attempt.node,
        "restart": attempt.restart,
        "exit_code": attempt.exit_code,
        "resources": attempt.resources.to_json(),
        "max_rss_mib": attempt.max_rss_mib,
        "cpu_s": attempt.cpu_s,
        "submitted": timestamp(attempt.submitted_at),
        "started": timestamp(attempt.started_at),
        "ended": timestamp(attempt.finished_at),
    }


def current_job(jobs: Sequence[JobView]) -> JobView | None:
    """Return the job that a user would ask about: running, else waiting, else the last."""
    for state in (JobState.RUNNING, JobState.QUEUED, JobState.CREATED):
        for each in jobs:
            if each.job.state is state:
                return each
    return jobs[-1] if jobs else None
