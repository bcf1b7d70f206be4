"""Requests of httpx through the channels of a login."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

from gateway.client.ssh import Login
from gateway.errors import UnreachableError


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, login: Login) -> None:
        self._login = login

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Open a channel, whatever the address.

        A host that has answered before is worth another try; one that never did gets none.
        """
        del host, port, timeout, local_address, socket_options
        try:
            return self._login.dial()
        except UnreachableError as error:
            if self._login.version is None:
                raise
            raise httpcore2.ConnectError(error.message) from error


class _Body(httpx2.SyncByteStream):
    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except _CORE_ERRORS as error:
            raise _translated(error) from error

    def close(self) -> None:
        self._body.close()


_CORE_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


def _translated(error: Exception) -> Exception:
    kind: type[Exception] = getattr(httpx2, type(error).__name__, httpx2.NetworkError)
    return kind(str(error))


class LoginTransport(httpx2.BaseTransport):
    """Sends requests through channels of a login.

    Parameters
    ----------
    most
        Channels at once; sshd allows 10 sessions (``MaxSessions``), commands need some.
    """

    def __init__(self, login: Login, keepalive_s: float, most: int = 4) -> None:
        self._pool = httpcore2.ConnectionPool(
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=keepalive_s,
            network_backend=_Backend(login),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        assert isinstance(request.stream, httpx2.SyncByteStream)
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        try:
            found = self._pool.handle_request(
                httpcore2.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except _CORE_ERRORS as error:
            raise _translated(error) from error
        return httpx2.Response(
            found.status,
            headers=found.headers,
            stream=_Body(found.stream),
            extensions=found.extensions,
        )

    def close(self) -> None:
        """Close all channels."""
        self._pool.close()
