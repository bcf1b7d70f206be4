"""Put the routes together into one ASGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from gateway import __version__
from gateway.api import problems
from gateway.api.documentation import describe
from gateway.api.identity import Throttle
from gateway.api.metrics import Metrics
from gateway.api.paths import without_last_slash
from gateway.api.routes import ROUTERS
from gateway.composition.app import App

DESCRIPTION = """The REANA API (0.9) for batch systems, with additions below `/gateway/`.

A token goes into `Authorization: Bearer TOKEN` or, as REANA's client sends it, into the query
parameter `access_token`. Times are UTC without a zone."""


def create_api(app: App, wake: Callable[[], None] = lambda: None) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    app
        The program behind it.
    wake
        Called when there is news for a driver of this process.
    """
    api = FastAPI(
        title="REANA batch gateway",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={400: _message("Malformed request"), 401: _message("Not signed in"),
                   403: _message("Not allowed")},
        generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    api.state.app = app
    api.state.wake = wake
    api.state.throttle = Throttle()
    api.state.metrics = Metrics(app.watch)
    api.add_middleware(api.state.metrics.measured)
    api.add_middleware(without_last_slash)
    problems.install(api)
    for router in ROUTERS:
        api.include_router(router)
    describe(api)
    return api


def _message(description: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"message": {"type": "string"}},
              "required": ["message"]}  # fmt: skip
    return {"description": description, "content": {"application/json": {"schema": schema}}}
