"""Move bytes between connections and files: in blocks, in threads, within a fixed memory.

All transfers under way share the memory for their blocks, so that a few have large ones, which cost
fewer changes of threads, and many still fit. Threads that wait for a filesystem are counted apart
from those of other requests: a slow filesystem slows transfers down and nothing else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.api.problems import ApiError

Result = TypeVar("Result")

MIB = 1024 * 1024
ROOM = 8 * MIB
"""Bytes in the blocks of all transfers together. Each has up to two, and buffers below."""
LARGEST_BLOCK = MIB
MOST_AT_ONCE = 500
"""Transfers under way: the buffers of each connection come on top of the blocks. With so many, a
block has 16 KiB, and smaller ones would cost more than they save.
"""
THREADS = 16
PATIENCE_S = 60.0


class Traffic:
    """The transfers of one event loop."""

    def __init__(self) -> None:
        self.threads = anyio.CapacityLimiter(THREADS)
        self._under_way = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a transfer while it is under way.

        Raises
        ------
        ApiError
            503 if there are too many.
        """
        if self._under_way >= MOST_AT_ONCE:
            raise ApiError(503, "Too many transfers are under way.", {"Retry-After": "30"})
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    @property
    def block(self) -> int:
        """The size of a block now."""
        return min(LARGEST_BLOCK, ROOM // max(1, self._under_way))


_traffic: RunVar[Traffic] = RunVar("gateway_traffic")


def traffic() -> Traffic:
    """Return the transfers of the running event loop."""
    try:
        return _traffic.get()
    except LookupError:
        _traffic.set(Traffic())
        return _traffic.get()


async def in_thread(work: Callable[..., Result], *arguments: Any) -> Result:
    """Do something that may block."""
    return await anyio.to_thread.run_sync(work, *arguments, limiter=traffic().threads)


class Managed(Protocol):
    """A context manager whose beginning and end touch a filesystem."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


Manager = TypeVar("Manager", bound=Managed)


@asynccontextmanager
async def managed(manager: Manager) -> AsyncIterator[Manager]:
    """Enter and leave a context manager in threads; it is left also when all is cancelled."""
    await in_thread(manager.__enter__)
    try:
        yield manager
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await in_thread(manager.__exit__, type(error), error, error.__traceback__)
        raise
    await in_thread(manager.__exit__, None, None, None)


async def store(request: Request, write: Callable[[bytearray], None]) -> None:
    """Hand the body to ``write``, block by block; the next one comes in while one is written.

    Raises
    ------
    ApiError
        As ``received``.
    """
    writing: asyncio.Task[None] | None = None
    with traffic().counted():
        try:
            async for block in received(request):
                if writing:
                    await writing
                writing = asyncio.create_task(in_thread(write, block))
        finally:
            if writing:
                with anyio.CancelScope(shield=True):
                    await writing


async def received(request: Request) -> AsyncIterator[bytearray]:
    """Yield the body in large blocks.

    Raises
    ------
    ApiError
        400 if the sender went away, 408 if nothing came for a while.
    """
    block = bytearray()
    pieces = request.stream()
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                piece = await anext(pieces, None)
        except TimeoutError as error:
            raise ApiError(408, f"Nothing came for {PATIENCE_S:.0f} s.") from error
        except ClientDisconnect as error:
            raise ApiError(400, "The body ended before its announced length.") from error
        if piece is None:
            break
        block += piece
        if len(block) >= traffic().block:
            yield block
            block = bytearray()
    if block:
        yield block


class Source(Protocol):
    """Where the bytes of an answer come from; may hold on to something until it is closed."""

    def take(self, size: int) -> bytes:
        """Return about so many bytes; none at the end."""

    def close(self) -> None:
        """Let go."""


class FilePart:
    """A part of an open file; closes it in the end."""

    def __init__(self, handle: BinaryIO, start: int, length: int) -> None:
        self._handle = handle
        self._at = start
        self._left = length

    def take(self, size: int) -> bytes:
        """Read on.

        Raises
        ------
        OSError
            If the file has become shorter: an answer that ends early must not look whole.
        """
        block = os.pread(self._handle.fileno(), min(size, self._left), self._at)
        if self._left and not block:
            raise OSError("the file became shorter while it was sent")
        self._at += len(block)
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


class Pieces:
    """What a generator yields, small pieces joined: each would cost a change of threads."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def take(self, size: int) -> bytes:
        """Run the generator until it has yielded enough."""
        block = bytearray()
        for piece in self._pieces:
            block += piece
            if len(block) >= size:
                break
        return bytes(block)

    def close(self) -> None:
        """Close the generator, and so what it holds open."""
        close = getattr(self._pieces, "close", None)
        if close:
            close()


class Sending(StreamingResponse):
    """An answer that is read while it is sent; whatever ends it, its source is closed."""

    def __init__(self, source: Source, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_blocks(source), status, headers)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            with traffic().counted():
                await super().__call__(scope, receive, send)
        finally:
            # A generator that still runs in a thread cannot be closed, and ends with it.
            with anyio.CancelScope(shield=True), suppress(ValueError):
                await in_thread(self._source.close)


async def _blocks(source: Source) -> AsyncIterator[bytes]:
    while block := await in_thread(source.take, traffic().block):
        yield block
