"""A tee on the wire: passes bytes on unchanged and reads along what was asked and answered.

So both sides stay unmodified, and the framing that they use reaches the other side as it is.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11

LARGEST_KEPT = 4 * 1024 * 1024
_PIECE = 256 * 1024


@dataclass
class Exchange:
    """A request and its answer."""

    method: str
    target: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, encoded as it was sent."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/json")

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status} {self.body[:400]!r}"


class _Reader:
    """Reads along one connection; requests do not overlap on it."""

    def __init__(self, note: Callable[[Exchange], None]) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._asking = h11.Connection(h11.SERVER)
        self._answering = h11.Connection(h11.CLIENT)
        self._exchange: Exchange | None = None
        self._over = False

    def asked(self, data: bytes) -> None:
        with self._lock:
            if self._over:
                self._begin()
            self._asking.receive_data(data)
            while isinstance(event := self._asking.next_event(), h11.Event):
                if isinstance(event, h11.Request):
                    self._exchange = Exchange(event.method.decode(), event.target.decode())
                if isinstance(event, h11.Request | h11.Data | h11.EndOfMessage):
                    self._answering.send(event)
                if isinstance(event, h11.EndOfMessage):
                    return

    def answered(self, data: bytes) -> None:
        with self._lock:
            self._answering.receive_data(data)
            while isinstance(event := self._answering.next_event(), h11.Event):
                assert self._exchange is not None
                if isinstance(event, h11.Response):
                    self._exchange.status = event.status_code
                    self._exchange.headers = {
                        name.decode().lower(): value.decode("latin-1")
                        for name, value in event.headers
                    }
                elif isinstance(event, h11.Data) and len(self._exchange.body) < LARGEST_KEPT:
                    self._exchange.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self._note(self._exchange)
                    self._over = True
                    return


class Wiretap:
    """Listens on this machine and connects every caller with the server.

    Parameters
    ----------
    connect
        Opens a connection to the server.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._exchanges: list[Exchange] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> list[Exchange]:
        """Return what was exchanged since this was last asked."""
        taken = self._exchanges[:]
        del self._exchanges[: len(taken)]
        return taken

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        reader = _Reader(self._exchanges.append)
        with caller, self._connect() as server:
            back = threading.Thread(
                target=pass_on, args=(server, caller, reader.answered), daemon=True
            )
            back.start()
            pass_on(caller, server, reader.asked)
            back.join()


def pass_on(
    source: socket.socket,
    target: socket.socket,
    read_along: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Pass bytes on to their end; what has arrived has been read along."""
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            read_along(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
