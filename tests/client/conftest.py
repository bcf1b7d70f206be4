"""A gateway that serves in this process, on a unix socket and on TCP, and lines that break."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.api.application import create_api
from gateway.api.server import Listener, Tcp
from gateway.client import Client
from gateway.composition.app import App
from tests.unit.transport.conftest import SshServer, home, known_hosts, server

__all__ = ["home", "known_hosts", "server"]

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = f"{sys.executable} -m gateway"
SPEC: dict[str, Any] = {
    "version": "0.9.4",
    "inputs": {"files": ["data/in.txt"], "parameters": {"greeting": "hello"}},
    "workflow": {
        "type": "serial",
        "specification": {
            "steps": [
                {
                    "name": "greet",
                    "environment": "img:1",
                    "commands": ["mkdir -p results; echo ${greeting} | tee results/out.txt"],
                }
            ]
        },
    },
    "outputs": {"files": ["results/out.txt"]},
}


@dataclass
class Served:
    """One site whose API listens."""

    app: App
    site: Path
    socket: Path
    url: str
    token: str
    root: Path

    def client(self, way: str = "unix") -> Client:
        if way == "unix":
            return Client.local(site=self.site)
        return Client.tcp(self.url, self.token)

    def drive(self) -> None:
        """Drive everything to its end."""
        driver = self.app.driver("test")
        while self.app.has_work():
            driver.once(lambda _: None, span_s=0.2)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the user."""
        path = self.root / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def specification(self) -> Path:
        """Write a specification with its input."""
        self.write("data/in.txt", "input\n")
        return self.write("reana.yaml", json.dumps(SPEC))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    site = tmp_path / "site.yaml"
    settings = {
        "shared_root": str(tmp_path / "shared"),
        "state_dir": str(tmp_path / "state"),
        "containers": "host",
        # Gateways of one account share a host's room by the name of the cluster.
        "clusters": {"local": {"type": "local", "cpus": 16, "memory": "16 GiB"}},
    }
    site.write_text(json.dumps(settings))
    app = App(site)
    app.prepare_to_serve()
    token = app.accounts.ensure_token()
    assert token is not None
    unix = app.site.state_dir / "gateway.sock"
    with Listener(create_api(app), Tcp("127.0.0.1", 0), unix) as listener:
        assert listener.url is not None
        yield Served(app, site, unix, listener.url, token, tmp_path)
    app.store.close()


@pytest.fixture(params=["unix", "tcp"])
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Client]:
    with served.client(request.param) as found:
        yield found


@dataclass
class Cutter:
    """Passes connections on to a server and breaks them.

    ``plan`` says for each connection in turn after how many bytes of the answer it breaks; ``-1``
    breaks it after the whole request and before any of the answer; afterwards none is broken.
    """

    target: tuple[str, int]
    plan: list[int]
    requests: list[bytes] = field(default_factory=list)
    on_cut: Callable[[], object] = lambda: None

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            most = self.plan.pop(0) if self.plan else None
            threading.Thread(target=self._pass_on, args=(line, most), daemon=True).start()

    def _pass_on(self, line: socket.socket, most: int | None) -> None:
        server = socket.create_connection(self.target)
        index = len(self.requests)
        self.requests.append(b"")
        up = threading.Thread(target=self._up, args=(line, server, index), daemon=True)
        up.start()
        passed = 0
        with line, server, suppress(OSError):
            while piece := server.recv(16384):
                if most is not None and passed + len(piece) > max(0, most):
                    line.sendall(piece[: max(0, most - passed)])
                    self.on_cut()
                    line.shutdown(socket.SHUT_RDWR)
                    return
                line.sendall(piece)
                passed += len(piece)

    def _up(self, line: socket.socket, server: socket.socket, index: int) -> None:
        with suppress(OSError):
            while piece := line.recv(16384):
                self.requests[index] += piece
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)


@pytest.fixture
def cutter(served: Served) -> Iterator[Callable[..., tuple[Cutter, Client]]]:
    """Return a maker of lines that break, each with a client that uses it."""
    listeners: list[socket.socket] = []
    clients: list[Client] = []

    def make(*plan: int) -> tuple[Cutter, Client]:
        host, _, port = served.url.removeprefix("http://").partition(":")
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        found = Cutter((host, int(port)), list(plan))
        threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
        client = Client.tcp(f"http://127.0.0.1:{listener.getsockname()[1]}", served.token)
        client.wire.sleep = lambda _: None
        clients.append(client)
        return found, client

    yield make
    for each in clients:
        each.close()
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def destination(
    server: SshServer, known_hosts: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    del known_hosts
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.delenv("GATEWAY_HOST", raising=False)
    (home / ".bash_profile").write_text("echo welcome; echo be careful >&2; printf 'no line end'\n")
    return f"tester@127.0.0.1:{server.port}"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site where nothing serves."""
    site = tmp_path / "alone.yaml"
    site.write_text(
        json.dumps(
            {
                "shared_root": str(tmp_path / "s"),
                "state_dir": str(tmp_path / "d"),
                "containers": "host",
            }
        )
    )
    monkeypatch.setenv("GATEWAY_SITE", str(site))
    return site
