"""HTTP connections that may neither be silent for ever nor be too many.

uvicorn gives up a connection that idles between two requests, but waits without end for the first
request and for the rest of a half one. It does not answer who has sent all and closes that
direction, and refuses what is no HTTP in plain text.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 30.0
"""How long the lines of a request may take; what follows them has a patience of its own."""
MOST_CONNECTIONS = 2000
"""Of one server. Each holds a descriptor, of which a driver in this process needs some too."""

_NO_HTTP = json.dumps({"message": "Malformed request: this is no HTTP."}).encode()
_BODY = json.dumps({"message": "Too many connections; try again in a minute."}).encode()
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 60\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class BoundedProtocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or turn it away where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
            return
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Read on; a request that has begun must come to the end of its lines."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._wait_for_request()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the way back open for the answer to a request that is whole."""
        whole = self.cycle is not None and not self.cycle.more_body
        if self.scheme == "https" or not whole or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; in the middle of an answer only by ending it."""
        del msg
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(_NO_HTTP))),
            ("Connection", "close"),
        ]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=_NO_HTTP),
            h11.EndOfMessage(),
        )
        with contextlib.suppress(h11.LocalProtocolError):
            self.transport.write(b"".join(self.conn.send(each) or b"" for each in events))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_request(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(REQUEST_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
