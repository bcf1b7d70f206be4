"""Listen: on TCP for those with a token, on a unix socket for the owner of its file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from gateway.api.identity import TRUSTED
from gateway.api.protocol import BoundedProtocol
from gateway.errors import SiteError

logger = logging.getLogger(__name__)

SOCKET_FILE = "gateway.sock"
_LONGEST_PATH = 107
"""Bytes of a unix socket's path (``sun_path`` in unix(7))."""
_BACKLOG = 1024
_FAREWELL_S = 5
_IDLE_S = 30
STANDBY_S = 0.5
"""How often a process that stands by looks whether the unix socket is free."""
SWITCH_S = 0.0005

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tcp:
    """Where to listen on TCP; port 0 chooses a free one."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


class Listener:
    """Serves an application from a thread of its own until told to end.

    Parameters
    ----------
    api
        The application.
    tcp
        ``None`` for no TCP.
    unix
        Path of the unix socket, ``None`` for none. While another process serves it, it stays
        theirs.
    on_failure
        Called if the servers end by a mistake; ``failure`` says by which.
    """

    def __init__(
        self,
        api: Asgi,
        tcp: Tcp | None,
        unix: Path | None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_failure = on_failure
        self.failure: BaseException | None = None
        self._servers: list[tuple[uvicorn.Server, socket.socket]] = []
        self._unix: Path | None = None
        self._unix_path: Path | None = None
        self._over = False
        self.url: str | None = None
        if tcp is not None:
            self._add_tcp(api, tcp)
        if unix is not None:
            self._add_unix(api, unix)
        self._thread = threading.Thread(target=self._serve, name="api", daemon=True)

    def _add_tcp(self, api: Asgi, tcp: Tcp) -> None:
        try:
            found = socket.getaddrinfo(tcp.host, tcp.port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, address = found[0]
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
        except OSError as error:
            raise SiteError(
                f"cannot listen on {tcp.host}:{tcp.port}: {error.strerror or error}",
                hint="choose another --port; --port 0 takes a free one",
            ) from error
        sock.listen(_BACKLOG)
        port = sock.getsockname()[1]
        host = f"[{tcp.host}]" if ":" in tcp.host else tcp.host
        self.url = f"{'https' if tcp.certificate else 'http'}://{host}:{port}"
        config = _config(api)
        if tcp.certificate is not None:
            _load_certificate(config, tcp.certificate, tcp.key)
        self._add(config, sock)

    def _add_unix(self, api: Asgi, path: Path) -> None:
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise SiteError(
                f"the path of the socket {path} is longer than {_LONGEST_PATH} bytes",
                hint="set `state_dir` in the site file to a shorter path",
            )
        self._unix_config = _config(trusted(api))
        self._unix_path = path
        if not _is_served(path):
            self._add(self._unix_config, self._bound(path))

    def _bound(self, path: Path) -> socket.socket:
        """Make the socket; its path never leads to one that is not ready."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name[:8]}.{os.getpid()}")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            part.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                sock.bind(str(part))
            finally:
                os.umask(before)
            sock.listen(_BACKLOG)
            part.replace(path)
        except OSError as error:
            raise SiteError(
                f"cannot make the socket {path}: {error.strerror}",
                hint="some filesystems (AFS) hold no sockets: set `state_dir` in the site file to "
                "a directory of yours on a local disk",
            ) from error
        self._unix = path
        self._inode = path.stat().st_ino
        return sock

    def _add(self, config: uvicorn.Config, sock: socket.socket) -> None:
        self._servers.append((_Server(config), sock))

    def __enter__(self) -> Listener:
        _allow_many_connections()
        # Each call of the database gives the interpreter away. While the driver computes, a request
        # would wait the default of 5 ms to get it back, some forty times.
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over = True
        for server, _ in self._servers:
            server.should_exit = True
        self._thread.join(_FAREWELL_S + 2)
        if self._unix is not None:
            with contextlib.suppress(OSError):
                if self._unix.stat().st_ino == self._inode:
                    self._unix.unlink()

    def _serve(self) -> None:
        try:
            asyncio.run(self._serve_all())
        except BaseException as error:
            self.failure = error
            logger.exception("the API has ended")
            self._on_failure()

    async def _serve_all(self) -> None:
        serving = (server.serve([sock]) for server, sock in self._servers)
        await asyncio.gather(*serving, self._take_over_unix())

    async def _take_over_unix(self) -> None:
        """Serve the unix socket when the process that does so now has ended."""
        path = self._unix_path
        while path is not None and self._unix is None and not self._over:
            await asyncio.sleep(STANDBY_S)
            if not _is_served(path):
                server = _Server(self._unix_config)
                sock = self._bound(path)
                self._servers.append((server, sock))
                await server.serve([sock])


def _is_served(path: Path) -> bool:
    """Whether a process answers on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _load_certificate(config: uvicorn.Config, certificate: Path, key: Path | None) -> None:
    """Read certificate and key now: whoever starts the server is told what is wrong with them."""
    config.ssl_certfile, config.ssl_keyfile = certificate, key
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        named = f"{certificate} and {key}" if key else str(certificate)
        raise SiteError(
            f"the certificate cannot be used: {named}: {error.strerror or error}",
            hint="both must be PEM and belong together; --tls-key names the key if it is in a "
            "file of its own",
        ) from error


class _Server(uvicorn.Server):
    """A server that leaves signals to the process that has it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def trusted(api: Asgi) -> Asgi:
    """Mark requests as those of the gateway's own account."""

    async def marked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope[TRUSTED] = True
        await api(scope, receive, send)

    return marked


def _config(api: Asgi) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        loop="asyncio",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        # Tokens stand in the query, which an access log would keep.
        access_log=False,
        log_config=None,
        server_header=False,
        # Who is asked by a header where a request comes from can be told anything.
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_FAREWELL_S,
    )


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
