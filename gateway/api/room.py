"""Memory for bodies that are read whole: all requests share it, and wait for their part.

A body that is small is read at once: even as many as there may be connections fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.lowlevel import RunVar

MIB = 1024 * 1024
ROOM = 128 * MIB
SMALL = 64 * 1024
"""Bytes of a body that needs no room."""


class Room:
    """The room of one event loop: whoever takes some takes all of it, and waits with none."""

    def __init__(self) -> None:
        self._left = ROOM
        self._given_back = asyncio.Event()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Wait for so many bytes, and have them until this is left."""
        while self._left < size:
            self._given_back.clear()
            await self._given_back.wait()
        self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._given_back.set()


_room: RunVar[Room] = RunVar("gateway_room")


def room() -> Room:
    """Return the room of the running event loop."""
    try:
        return _room.get()
    except LookupError:
        _room.set(Room())
        return _room.get()
