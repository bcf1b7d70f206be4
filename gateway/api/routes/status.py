"""How busy the site is, and what a web interface asks first."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gateway import __version__
from gateway.api.identity import SignedIn
from gateway.composition.app import App

router = APIRouter(tags=["server"])


@router.get("/api/status", summary="How busy the site is")
def site_status(request: Request, caller: SignedIn) -> dict[str, dict[str, Any]]:
    """Return counts over all users; a node is a cluster of the site."""
    del caller
    app: App = request.app.state.app
    return app.site_status.read()


@router.get("/api/config", summary="Settings of a web interface")
def ui_config() -> dict[str, Any]:
    """Return what REANA's web interface reads before anybody signs in."""
    return {
        "announcement": None,
        "admin_email": None,
        "chat_url": None,
        "client_pyvenv": None,
        "cern_sso": False,
        "local_users": False,
        "hide_signup": True,
        "docs_url": None,
        "forum_url": None,
        "polling_secs": 15,
        "quota_enabled": True,
        "user_confirmation": False,
        "launcher_demo": False,
        "launcher_examples": [],
        "reana_server_version": f"{__version__} (batch gateway)",
    }
