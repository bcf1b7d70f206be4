"""What REANA does not have: health, figures, details of jobs. All below ``/gateway/``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from gateway import __version__
from gateway.api.documentation import page
from gateway.api.identity import SignedIn
from gateway.api.metrics import Metrics
from gateway.composition.app import App
from gateway.service.views import job_data, timestamp, view_data

router = APIRouter(prefix="/gateway", tags=["additions"])


@router.get("/health", summary="Whether this process answers")
async def health() -> dict[str, Any]:
    """Answer without a token and without touching anything."""
    return {"status": "ok", "version": __version__}


@router.get(
    "/ready",
    summary="Whether accepted work will be done",
    responses={503: {"description": "Nothing drives now"}},
)
def ready(request: Request, response: Response) -> dict[str, Any]:
    """Look at the state and the driver's lease, without a token; says no names."""
    app: App = request.app.state.app
    found = app.watch.health()
    response.status_code = 200 if found.ready else 503
    return {
        "ready": found.ready,
        "message": "" if found.ready else "Nothing drives now: is `gateway serve` or cron running?",
        "heartbeat_age_s": found.heartbeat_age_s,
        "active_workflows": found.active_workflows,
        "blocked_clusters": sorted(found.blocked),
    }


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(request: Request, caller: SignedIn) -> Response:
    """Return queue depths, ages, outcomes, scheduler calls and latencies."""
    del caller
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/workflows/{workflow}", summary="A workflow with its jobs, attempts and images")
def workflow_details(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return everything that `gateway status --json` says."""
    view = caller.services.views.show(workflow)
    return view_data(view, [each.to_json() for each in caller.services.holdups.of(view)])


@router.get("/workflows/{workflow}/jobs", summary="The jobs of a workflow with resources used")
def workflow_jobs(caller: SignedIn, workflow: str) -> dict[str, Any]:
    """Return each job with every attempt: node, times, memory, processor time, reason."""
    view = caller.services.views.show(workflow)
    return {"items": [job_data(each) for each in view.jobs]}


@router.get("/explain/{asked}", summary="Why a job or a workflow is where it is")
def explain(caller: SignedIn, asked: str) -> dict[str, Any]:
    """Return the sentence, the facts and the time line of `gateway explain`."""
    found = caller.services.explanations.of(asked)
    return {
        "title": found.title,
        "sentence": found.sentence,
        "facts": [{"name": name, "value": value} for name, value in found.facts],
        "events": [
            {"at": timestamp(event.at), "kind": event.kind.value, "text": event.text}
            for event in found.events
        ],
    }


@router.get("/docs", summary="This page", response_class=Response, include_in_schema=False)
def documentation(request: Request) -> Response:
    """Return the documentation of the API, for people; needs nothing from other hosts."""
    return Response(page(request.app.openapi()), media_type="text/html; charset=utf-8")
