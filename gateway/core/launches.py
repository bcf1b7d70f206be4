"""Find the command lines of attempts: the meeting of jobs, workflows and their images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from gateway.core.parts import Parts
from gateway.errors import GatewayError, SiteError
from gateway.store.store import Transaction
from gateway.vocabulary.launch import JobSecrets, Launch
from gateway.vocabulary.records import (
    Attempt,
    Event,
    EventKind,
    Job,
    Purpose,
    Workflow,
    WorkflowImage,
)


@dataclass
class Launches:
    """Command lines of one group of attempts, and why some have none."""

    good: dict[str, Launch] = field(default_factory=dict)
    bad: dict[str, GatewayError] = field(default_factory=dict)


def launches_of(
    parts: Parts, transaction: Transaction, attempts: Sequence[Attempt], jobs: Mapping[str, Job]
) -> Launches:
    """Return the command line of each attempt, by its key."""
    owners = {job.workflow_id for job in jobs.values() if job.workflow_id is not None}
    workflows = transaction.workflows.many(owners)
    images = transaction.workflows.images_of(owners)
    secrets_of = cache(partial(parts.secrets_of, transaction))
    found = Launches()
    for attempt in attempts:
        job = jobs[attempt.job_id]
        try:
            if job.purpose is Purpose.IMAGE or job.workflow_id is None:
                found.good[attempt.key] = parts.images.fetch_launch(job.image, job.id)
            else:
                owner = job.workflow_id
                launch = _step(parts, job, attempt, workflows.get(owner), images[owner], secrets_of)
                found.good[attempt.key] = launch
        except GatewayError as error:
            found.bad[attempt.key] = error
    return found


def say_secrets(attempts: Sequence[Attempt], launches: Launches, now: float) -> list[Event]:
    """Say by name which secrets attempts get: those of now, which an earlier one had or not."""
    events = []
    for attempt in attempts:
        marks = launches.good[attempt.key].secrets.marks
        if marks:
            listed = ", ".join(f"{name} (version {mark})" for name, mark in sorted(marks.items()))
            words = f"it gets the secrets {listed}"
            events.append(Event(now, EventKind.DECISION, words, None, attempt.job_id, attempt.key))
    return events


def _step(
    parts: Parts,
    job: Job,
    attempt: Attempt,
    workflow: Workflow | None,
    images: Mapping[str, WorkflowImage],
    secrets_of: Callable[[str], JobSecrets],
) -> Launch:
    image = images.get(job.image)
    if workflow is None or image is None or image.resolved is None:
        raise SiteError(f"the image {job.image} of job {job.id} is not resolved")
    secrets = secrets_of(workflow.owner)
    return parts.images.step_launch(job, attempt, workflow, image.resolved, secrets)
