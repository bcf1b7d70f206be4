"""The routes, one module per subject."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.api.routes import (
    additions,
    comparison,
    downloads,
    files,
    launch,
    lifecycle,
    logs,
    retention,
    secrets,
    sessions,
    sharing,
    status,
    system,
    validation,
    workflows,
)

ROUTERS: tuple[APIRouter, ...] = (
    system.router,
    additions.router,
    validation.router,
    files.router,
    downloads.router,
    comparison.router,
    launch.router,
    workflows.router,
    lifecycle.router,
    logs.router,
    secrets.router,
    retention.router,
    sessions.router,
    sharing.router,
    status.router,
)
"""In the order in which a path is looked up: fixed paths before those with a workflow's name."""
