"""What jobs wrote, also while they run."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api.bodies import JsonBody, documented
from gateway.api.identity import SignedIn
from gateway.api.problems import ApiError
from gateway.api.wire import BACKENDS
from gateway.service.logs import JobLog, read_end
from gateway.service.views import timestamp
from gateway.vocabulary.states import JobState

router = APIRouter(tags=["logs"])

LARGEST_SHOWN = 2 * 1024 * 1024
"""Bytes of one stream in an answer; the end of a longer one."""
LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes of all streams in an answer: jobs with more share it. Paging and steps show the rest."""
SMALLEST_SHOWN = 1024


@router.get(
    "/api/workflows/{workflow}/logs",
    summary="The output of a workflow's jobs",
    openapi_extra=documented({"type": "array", "items": {"type": "string"}}),
)
def workflow_logs(
    caller: SignedIn,
    workflow: str,
    body: JsonBody,
    page: Annotated[int, Query(ge=1, le=2**31)] = 1,
    size: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> dict[str, Any]:
    """Return logs as REANA's JSON text; paging applies to jobs, in order of their creation."""
    steps = _steps(body)
    found = caller.services.views.find(workflow)
    every = caller.services.logs.of_workflow(found.id)
    chosen = [each for each in every if steps is None or each.view.job.step in steps]
    shown = chosen[(page - 1) * size : page * size] if size else chosen
    types = caller.services.cluster_types
    most = _most_of_each(len(shown))
    logs = {
        "workflow_logs": None if steps is not None else found.message,
        "job_logs": {
            each.view.job.id: _item(each, found.id, types.get(each.view.job.cluster, ""), most)
            for each in shown
        },
        "engine_specific": None,
    }
    return {
        "workflow_id": found.id,
        "workflow_name": found.full_name,
        "user": found.owner,
        "live_logs_enabled": True,
        "logs": json.dumps(logs),
    }


def _steps(body: Any) -> list[str] | None:
    if body is None:
        return None
    if not isinstance(body, list) or not all(isinstance(each, str) for each in body):
        raise ApiError(400, "Malformed request: the body must be a list of step names.")
    return body


def _most_of_each(jobs: int) -> int:
    """Return how many bytes of each stream are shown."""
    share = LARGEST_ANSWER // (2 * max(1, jobs))
    return max(SMALLEST_SHOWN, min(LARGEST_SHOWN, share))


def _item(log: JobLog, workflow_id: str, cluster_type: str, most: int) -> dict[str, Any]:
    """Return one job's logs with REANA's keys and no other: the client fails on more."""
    job, last = log.view.job, log.view.last
    return {
        "workflow_uuid": workflow_id,
        "job_name": job.step,
        "compute_backend": BACKENDS.get(cluster_type, cluster_type),
        "backend_job_id": last.native_id if last else "",
        "docker_img": job.image,
        "cmd": job.command,
        "status": job.state.value,
        "logs": _text(log, most),
        "started_at": timestamp(job.started_at),
        "finished_at": timestamp(job.finished_at),
    }


def _text(log: JobLog, most: int) -> str:
    """Join what the job wrote and, where it did not go well, why."""
    parts = [read_end(log.stdout, most), read_end(log.stderr, most)]
    job = log.view.job
    if job.reason and job.state is not JobState.FINISHED:
        parts.append(f"[gateway] {job.state.value}: {job.reason}\n")
    return "".join(part if not part or part.endswith("\n") else f"{part}\n" for part in parts)
