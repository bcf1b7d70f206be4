"""Resolve the images of workflows, once each, and learn from fetch jobs.

An image that is not at hand is fetched by a job like any other: sent, claimed, judged, retried
and explained by the same machinery.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.conclude import first_attempt
from gateway.core.parts import Cluster, FetchResult, Parts
from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import GatewayError
from gateway.store.store import Transaction
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.records import Event, EventKind, Job, Lease, Purpose, Workflow
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import JobState

FETCH_RETRIES = 3


class ImageResolution:
    """Gives every workflow its images."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease

    def wanted(
        self, workflow: Workflow, references: set[str]
    ) -> dict[str, ResolvedImage | str | GatewayError]:
        """Look up images: usable ones, the names of those to fetch, or why never."""
        found: dict[str, ResolvedImage | str | GatewayError] = {}
        for reference in references:
            try:
                image = self._parts.images.look_up(reference, workflow)
            except GatewayError as error:
                found[reference] = error
                continue
            found[reference] = image if isinstance(image, ResolvedImage) else image.name
        return found

    def remember(
        self,
        transaction: Transaction,
        workflow: Workflow,
        reference: str,
        found: ResolvedImage | str | GatewayError,
    ) -> None:
        """Write down what was found; start or join a fetch job where one is needed."""
        now = self._parts.clock()
        if isinstance(found, GatewayError):
            self._refuse(transaction, workflow.id, reference, found.message, now)
        elif isinstance(found, ResolvedImage):
            transaction.workflows.add_image(workflow.id, reference, found, None)
            words = f"image {reference}: {found.path or 'host'}"
            transaction.events.add(Event(now, EventKind.DECISION, words, workflow.id))
        else:
            job_id = transaction.workflows.open_fetch_of(found) or self._fetch(
                transaction, found, now
            )
            transaction.workflows.add_image(workflow.id, reference, None, job_id)
            words = f"image {reference}: fetched by job {job_id}"
            transaction.events.add(Event(now, EventKind.DECISION, words, workflow.id))

    def _fetch(self, transaction: Transaction, name: str, now: float) -> str:
        containers = self._parts.site.containers
        names = self._parts.clusters
        cluster = containers.build_cluster if containers.build_cluster in names else "local"
        job = Job(
            id=self._parts.new_id(),
            workflow_id=None,
            key=f"{name} {now}",
            position=0,
            purpose=Purpose.IMAGE,
            step="image",
            command=f"fetch {name}",
            image=name,
            cluster=cluster,
            resources=self._to_convert(names[cluster]),
            retries=FETCH_RETRIES,
            cvmfs=False,
            state=JobState.QUEUED,
            created_at=now,
        )
        transaction.jobs.add([job])
        transaction.jobs.add_attempts([first_attempt(job, names[cluster], now)])
        return job.id

    def _to_convert(self, cluster: Cluster) -> Resources:
        """Return what a conversion asks for: a site's default for small jobs would kill it."""
        containers = self._parts.site.containers
        wanted = Resources(
            memory_mib=containers.build_memory, walltime_s=containers.build_timeout
        ).within(cluster.maximum)
        if cluster.submitter.refusal(wanted.over(cluster.settings.defaults.resources())):
            return replace(wanted, memory_mib=None)
        return wanted

    def learn(self) -> int:
        """Give fetched images to the workflows that wait for them; return how many jobs."""
        with self._parts.store.read() as transaction:
            ended = transaction.workflows.ended_fetches()
        for job in ended:
            result = self._parts.images.fetch_result(job.id)
            crash_point(CrashPoint.FETCH_READ)
            with self._parts.store.drive(self._lease) as transaction:
                self._apply(transaction, job, result)
            crash_point(CrashPoint.FETCH_WRITTEN)
        return len(ended)

    def _apply(self, transaction: Transaction, job: Job, result: FetchResult | None) -> None:
        now = self._parts.clock()
        if job.state is JobState.FINISHED and result is not None and result.image is not None:
            for workflow_id in transaction.workflows.fix_image(job.id, result.image):
                note = f"; {result.message}" if result.message else ""
                words = f"image {job.image}: {result.image.path} ({result.image.digest}){note}"
                transaction.events.add(Event(now, EventKind.DECISION, words, workflow_id))
            return
        message = (result.message if result else "") or job.reason or "no result"
        for workflow_id, reference in transaction.workflows.give_up_image(job.id):
            self._refuse(transaction, workflow_id, reference, message, now)

    def _refuse(
        self,
        transaction: Transaction,
        workflow_id: str,
        reference: str,
        message: str,
        now: float,
    ) -> None:
        """Fail the jobs that need an image which cannot be had."""
        words = f"image {reference} cannot be used: {message}"
        transaction.events.add(Event(now, EventKind.DECISION, words, workflow_id))
        for job in transaction.jobs.of_workflow(workflow_id):
            if job.image == reference and job.state is JobState.CREATED:
                transaction.jobs.end(
                    job.id,
                    JobState.FAILED,
                    reason=words,
                    outcome=Outcome.IMAGE.value,
                    finished_at=now,
                )
