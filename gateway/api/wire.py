"""REANA's shapes of workflows, jobs and sizes.

The client checks every answer against its own copy of the OpenAPI file: a null in a field that is
not nullable fails the whole command, so such keys are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.service.views import JobView, Progress, WorkflowView, timestamp
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import JobState
from gateway.vocabulary.units import show_bytes

BACKENDS = {"slurm": "Slurm", "htcondor": "HTCondor", "local": "Local"}
"""REANA's spelling by type of cluster; the client filters by it."""

NOT_ASKED = {"raw": -1, "human_readable": ""}
"""The size of a workspace that was not asked for."""


def size(raw: int) -> dict[str, Any]:
    """Return a number of bytes with its human form."""
    return {"raw": raw, "human_readable": show_bytes(raw)}


def findings(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return what a validation found, as clients of REANA 0.95 read it."""
    return [{"code": "specification", "message": line} for line in lines]


def _times(workflow: Workflow) -> dict[str, Any]:
    stopped = workflow.status.value == "stopped"
    return {
        "run_started_at": timestamp(workflow.started_at),
        "run_finished_at": None if stopped else timestamp(workflow.finished_at),
        "run_stopped_at": timestamp(workflow.finished_at) if stopped else None,
    }


def progress_counts(workflow: Workflow, progress: Progress) -> dict[str, Any]:
    """Return the progress of a listed workflow, without the ids of its jobs."""
    counts = {
        "total": progress.total,
        "running": progress.running,
        "finished": progress.finished,
        "failed": progress.failed,
    }
    buckets = {name: {"total": number, "job_ids": []} for name, number in counts.items()}
    return buckets | _times(workflow)


def times_only(workflow: Workflow) -> dict[str, Any]:
    """Return what REANA says of progress when it was not asked for."""
    return _times(workflow)


def progress(view: WorkflowView) -> dict[str, Any]:
    """Return the whole progress of one workflow."""
    found = progress_counts(view.workflow, view.progress)
    found["total"]["job_ids"] = [each.job.id for each in view.jobs]
    for state in (JobState.RUNNING, JobState.FINISHED, JobState.FAILED):
        found[state.value]["job_ids"] = _ids(view.jobs, state)
    running = [each.job for each in view.jobs if each.job.state is JobState.RUNNING]
    if running:
        found |= {"current_command": running[-1].command, "current_step_name": running[-1].step}
    else:
        found |= {"current_command": None, "current_step_name": None}
    return found


def _ids(jobs: Sequence[JobView], state: JobState) -> list[str]:
    return [each.job.id for each in jobs if each.job.state is state]


def status(view: WorkflowView) -> dict[str, Any]:
    """Return the answer to a question for the status.

    ``logs`` is empty: REANA puts all job logs there, which no client shows.
    """
    workflow = view.workflow
    return {
        "id": workflow.id,
        "name": workflow.full_name,
        "created": timestamp(workflow.created_at),
        "status": workflow.status.value,
        "user": workflow.owner,
        "progress": progress(view),
        "logs": "{}",
    }


def accepted(workflow: Workflow, message: str) -> dict[str, Any]:
    """Return the answer to start, stop and delete; start and restart want the bare name."""
    return {
        "message": message,
        "workflow_id": workflow.id,
        "workflow_name": workflow.name,
        "run_number": str(workflow.run),
        "status": workflow.status.value,
        "user": workflow.owner,
    }
