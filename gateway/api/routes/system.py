"""What there is: the server, the user, the site."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gateway import __version__
from gateway.api import wire
from gateway.api.identity import SignedIn
from gateway.composition.app import App
from gateway.service.usage import show_cpu_time

router = APIRouter(tags=["server"])

CAPABILITIES = ("workflow-specification-bundles-v1",)
"""What a 0.95 client asks for before it creates workflows."""
VERSION = f"{__version__} (batch gateway)"


@router.get("/api/ping", summary="Say that the server is there")
async def ping() -> dict[str, Any]:
    """Answer without a token."""
    return {
        "message": "OK",
        "status": "200",
        "api_capabilities": list(CAPABILITIES),
        "reana_server_version": VERSION,
    }


@router.get("/api/you", summary="Who the token belongs to, and what that user has used")
def you(request: Request, caller: SignedIn) -> dict[str, Any]:
    """Return the user; the client calls this ``ping``."""
    user = caller.user
    app: App = request.app.state.app
    used = app.usage.of(user.id)
    cpu = {"raw": round(used.cpu_s * 1000), "human_readable": show_cpu_time(used.cpu_s)}
    return {
        "email": user.email,
        "full_name": user.full_name,
        "username": user.email,
        "reana_server_version": VERSION,
        "reana_token": {"value": "", "status": "active", "requested_at": ""},
        "quota": {"cpu": {"usage": cpu}, "disk": {"usage": wire.size(used.disk_bytes)}},
    }


@router.get("/api/info", summary="What the site has")
def info(request: Request, caller: SignedIn) -> dict[str, Any]:
    """Return titles and values, which the client prints as they are."""
    del caller
    app: App = request.app.state.app
    site = app.site
    backends = list(dict.fromkeys(("kubernetes", *site.backends, *site.clusters)))
    default = site.cluster_for(None) or ""
    return {
        "workspaces_available": _item("List of available workspaces", [str(site.workspaces)]),
        "default_workspace": _item("Default workspace", str(site.workspaces)),
        "compute_backends": _item("List of supported compute backends", backends),
        "gateway_version": _item("Version of the batch gateway", __version__),
        "default_cluster": _item("Cluster of steps that name no backend", default),
        "clusters": _item(
            "Clusters", [f"{name} ({each.type})" for name, each in site.clusters.items()]
        ),
    }


def _item(title: str, value: str | list[str]) -> dict[str, Any]:
    return {"title": title, "value": value}
