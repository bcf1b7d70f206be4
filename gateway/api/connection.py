"""Serve one connection that exists already, for whoever has it: `gateway connect`."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.api.server import Asgi, trusted

_IDLE_S = 24 * 3600
"""The other side closes the connection when it needs it no more."""


def serve_connection(api: Asgi, connection: socket.socket) -> None:
    """Answer requests until the other side has closed the connection.

    Requests are trusted as on the unix socket: ssh has made sure of the account.
    """
    asyncio.run(_serve(api, connection))


async def _serve(api: Asgi, connection: socket.socket) -> None:
    config = Config(
        trusted(api),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
    )
    config.load()
    state = ServerState()
    over = asyncio.Event()

    class Protocol(H11Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            over.set()

    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(
        lambda: Protocol(config=config, server_state=state, app_state={}), connection
    )
    await over.wait()
    if state.tasks:
        await asyncio.gather(*state.tasks, return_exceptions=True)
