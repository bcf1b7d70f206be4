"""Many workflows at once, written straight into the database."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.conclude import first_attempt
from gateway.vocabulary.records import Job, Purpose, Workflow
from gateway.vocabulary.states import JobState, WorkflowStatus
from tests.unit.core.conftest import Machine

IMAGE = "img:1"


def crowd(machine: Machine, number: int) -> list[Workflow]:
    """Start so many workflows of one command, up to where it is ready to be sent."""
    first = machine.create("run", name="w0")
    workflows = [
        replace(
            first,
            id=f"{place:08x}-0000-4000-9000-000000000000",
            name=f"w{place + 1}",
            status=WorkflowStatus.RUNNING,
            total=1,
        )
        for place in range(number)
    ]
    jobs = [_job(machine, workflow) for workflow in workflows]
    cluster = machine.parts.clusters["main"]
    image = machine.images.resolved(IMAGE)
    with machine.store.write() as transaction:
        for workflow in workflows:
            transaction.workflows.add(workflow)
            transaction.workflows.add_image(workflow.id, IMAGE, image, None)
        transaction.workflows.clear_news([workflow.id for workflow in workflows])
        transaction.jobs.add(jobs)
        transaction.jobs.add_attempts(first_attempt(job, cluster, machine.clock()) for job in jobs)
    return workflows


def _job(machine: Machine, workflow: Workflow) -> Job:
    resources = machine.parts.clusters["main"].settings.defaults.resources()
    return Job(
        id=f"{workflow.id[:8]}-0000-4000-a000-000000000000",
        workflow_id=workflow.id,
        key="0.0",
        position=0,
        purpose=Purpose.STEP,
        step="step",
        command="run",
        image=IMAGE,
        cluster="main",
        resources=resources,
        retries=0,
        cvmfs=False,
        state=JobState.QUEUED,
        created_at=machine.clock(),
    )


def stop(machine: Machine, workflows: list[Workflow]) -> None:
    """Ask for all to be stopped."""
    with machine.store.write() as transaction:
        for workflow in workflows:
            transaction.workflows.request_stop(workflow.id, machine.clock())
