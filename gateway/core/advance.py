"""Bring workflows forward: ask their engine what next, and write the answer down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.conclude import first_attempt
from gateway.core.each import for_each
from gateway.core.images import ImageResolution
from gateway.core.parts import Parts
from gateway.crash_points import CrashPoint, crash_point
from gateway.engines.base import Decision
from gateway.errors import GatewayError, SiteError
from gateway.store.store import Transaction
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.job import JobRequest, JobResult
from gateway.vocabulary.records import Event, EventKind, Job, Lease, Purpose, Workflow
from gateway.vocabulary.states import JobState, WorkflowStatus

logger = logging.getLogger(__name__)
FoundImages = Mapping[str, ResolvedImage | str | GatewayError]


BATCH = 100
"""Workflows that are written in one transaction."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written about one workflow, which had these jobs when it was looked at."""

    workflow: Workflow
    jobs: Sequence[Job]
    decision: Decision
    found: FoundImages


class Advance:
    """Moves workflows that have news."""

    def __init__(self, parts: Parts, lease: Lease, images: ImageResolution) -> None:
        self._parts = parts
        self._lease = lease
        self._images = images

    def move_all(self) -> int:
        """Make one pass over the workflows with news; return how many were looked at."""
        with self._parts.store.read() as transaction:
            ids = transaction.workflows.with_news()
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        return for_each(batches, self._move)

    def _move(self, ids: Sequence[str]) -> int:
        plans: list[Plan] = []
        with self._parts.store.read() as transaction:
            found = transaction.workflows.many(ids)
            jobs = transaction.jobs.of_workflows(ids)
            images = transaction.workflows.images_of(ids)

        def plan(workflow: Workflow) -> int:
            plans.append(self._plan(workflow, jobs[workflow.id], set(images[workflow.id])))
            crash_point(CrashPoint.ADVANCE_PLANNED)
            return 1

        try:
            return for_each([found[each] for each in ids if each in found], plan)
        finally:
            self._carry_out(plans)

    def _plan(self, workflow: Workflow, jobs: Sequence[Job], known: set[str]) -> Plan:
        """Ask the engine and look images up, which may take long, outside any transaction."""
        if workflow.stop_requested_at is not None:
            return Plan(workflow, jobs, Decision(), {})
        try:
            decision = self._ask_engine(workflow, jobs)
        except SiteError as error:
            logger.warning("%s waits: %s", workflow.full_name, error)
            decision = Decision()
        except GatewayError as error:
            decision = Decision(failure=error.message)
        wanted = {request.image for request in decision.requests} | {
            job.image for job in jobs if job.state is JobState.CREATED
        }
        found = self._images.wanted(workflow, wanted - known)
        return Plan(workflow, jobs, decision, found)

    def _carry_out(self, plans: Sequence[Plan]) -> None:
        ids = [plan.workflow.id for plan in plans]
        with self._parts.store.drive(self._lease) as transaction:
            # News is cleared before anything is read again: what comes in between is kept.
            transaction.workflows.clear_news(ids)
            present = transaction.workflows.many(ids)
            for plan in plans:
                workflow = present.get(plan.workflow.id)
                if workflow is not None and workflow.status.is_active:
                    self._bring_on(transaction, workflow, plan)
                crash_point(CrashPoint.ADVANCE_HALF)
        crash_point(CrashPoint.ADVANCE_WRITTEN)

    def _bring_on(self, transaction: Transaction, workflow: Workflow, plan: Plan) -> None:
        if workflow.stop_requested_at is not None:
            if all(job.state.is_terminal for job in plan.jobs):
                self._set(transaction, workflow, WorkflowStatus.STOPPED, "stopped on request")
        else:
            self._write(transaction, workflow, plan)

    def _ask_engine(self, workflow: Workflow, jobs: Sequence[Job]) -> Decision:
        engine = self._parts.engine(workflow)
        return engine.advance({job.key: JobResult(job.key, job.state, job.reason) for job in jobs})

    def _write(self, transaction: Transaction, workflow: Workflow, plan: Plan) -> None:
        decision = plan.decision
        if workflow.status is WorkflowStatus.QUEUED:
            self._set(transaction, workflow, WorkflowStatus.PENDING, "a driver has it")
        requested = [
            self._job(workflow, request, len(plan.jobs) + place)
            for place, request in enumerate(decision.requests)
        ]
        transaction.jobs.add(requested)
        if decision.total is not None and decision.total != workflow.total:
            transaction.workflows.set(workflow.id, total=decision.total)
        for reference, image in plan.found.items():
            self._images.remember(transaction, workflow, reference, image)
        unsent = requested or any(job.state is JobState.CREATED for job in plan.jobs)
        started = bool(unsent) and self._queue_jobs_with_image(transaction, workflow)
        if started or decision.over:
            self._set(transaction, workflow, WorkflowStatus.RUNNING, "its jobs can be sent")
        if decision.finished:
            self._set(transaction, workflow, WorkflowStatus.FINISHED, "all jobs finished")
        elif decision.failure is not None:
            self._set(transaction, workflow, WorkflowStatus.FAILED, decision.failure)

    def _retries(self, request: JobRequest) -> int:
        """Return how often an application error is tried again: the step says, or the site."""
        return self._parts.site.retries if request.retries is None else request.retries

    def _job(self, workflow: Workflow, request: JobRequest, position: int) -> Job:
        cluster = self._cluster_of(workflow, request)
        return Job(
            id=self._parts.new_id(),
            workflow_id=workflow.id,
            key=request.key,
            position=position,
            purpose=Purpose.STEP,
            step=request.step,
            command=request.command,
            image=request.image,
            cluster=cluster,
            resources=request.resources,
            retries=self._retries(request),
            cvmfs=request.cvmfs,
            state=JobState.CREATED,
            created_at=self._parts.clock(),
        )

    def _cluster_of(self, workflow: Workflow, request: JobRequest) -> str:
        site = self._parts.site
        named = site.cluster_for(request.backend) if request.backend else workflow.cluster
        cluster = named or site.cluster_for(None)
        if cluster is None or cluster not in self._parts.clusters:
            raise SiteError(
                f"cluster {cluster!r} of workflow {workflow.full_name} is not in the site file",
                hint="put it back into the site file; the workflow waits",
            )
        return cluster

    def _queue_jobs_with_image(self, transaction: Transaction, workflow: Workflow) -> bool:
        images = transaction.workflows.images(workflow.id)
        first = []
        for job in transaction.jobs.of_workflow(workflow.id):
            image = images.get(job.image)
            if job.state is not JobState.CREATED or image is None or image.resolved is None:
                continue
            if transaction.jobs.queue(job.id):
                cluster = self._parts.clusters[job.cluster]
                first.append(first_attempt(job, cluster, self._parts.clock()))
        transaction.jobs.add_attempts(first)
        return bool(first)

    def _set(
        self, transaction: Transaction, workflow: Workflow, status: WorkflowStatus, words: str
    ) -> None:
        now = self._parts.clock()
        values: dict[str, float | str] = {}
        if status is WorkflowStatus.RUNNING:
            values["started_at"] = now
        if status.is_terminal:
            values |= {"finished_at": now, "message": words}
        if transaction.workflows.move(workflow.id, status, **values):
            event = Event(now, EventKind.STATUS, f"{status.value}: {words}", workflow.id)
            transaction.events.add(event)
            if status in (WorkflowStatus.FINISHED, WorkflowStatus.FAILED):
                transaction.retention.activate(workflow.id, now)
