"""A server in a process of its own, and clients that do what well-behaved ones never do."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.api.conftest import SPEC

PATIENCE_S = 60.0
_LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes


@dataclass(frozen=True)
class Serving:
    """A running server with a workflow ``w``."""

    pid: int
    port: int
    token: str
    root: Path

    def url(self, path: str = "", **query: str) -> str:
        words = "".join(f"&{key}={quote(value)}" for key, value in query.items())
        return f"/api/workflows/w/workspace{path}?access_token={self.token}{words}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def call(self, method: str, url: str, body: bytes | None = None) -> Reply:
        connection = self.connect()
        connection.request(method, url, body, {"Content-Type": "application/octet-stream"})
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return Reply(reply.status, reply.headers, content)

    def upload(self, name: str, body: bytes) -> Reply:
        return self.call("POST", self.url(file_name=name), body)

    def socket(self, receive_buffer: int | None = None) -> socket.socket:
        found = socket.socket()
        if receive_buffer:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        found.settimeout(PATIENCE_S)
        found.connect(("127.0.0.1", self.port))
        return found

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return all that comes back."""
        with self.socket() as sock:
            sock.sendall(request)
            return b"".join(iter(lambda: sock.recv(65536), b""))

    def peak_memory_mib(self) -> float:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1024

    def open_files(self) -> list[str]:
        """Return what the server has open in the workspace."""
        found = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = str(fd.readlink())
            except FileNotFoundError:
                continue
            if target.startswith(str(self.root)):
                found.append(target)
        return found

    def wait_until_nothing_is_open(self) -> None:
        wait_until(lambda: not self.open_files())


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def serving(place: Path) -> Iterator[Serving]:
    """Serve a site of its own from another process."""
    site = place / "site.yaml"
    shared, state = place / "shared", place / "state"
    words = {"shared_root": str(shared), "state_dir": str(state), "containers": "host"}
    site.write_text(json.dumps(words))
    environ = os.environ | {"GATEWAY_SITE": str(site), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", "0"],
        env=environ, cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            said = iter(process.stdout)
            port = next(int(found[1]) for line in said if (found := _LISTENS.search(line)))
            token = (state / "token").read_text().strip()
            server = Serving(process.pid, port, token, place)
            body = json.dumps(SPEC).encode()
            url = f"/api/workflows?workflow_name=w&access_token={token}"
            reply = server.call("POST", url, body)
            assert reply.status == 201, reply.content
            workspace = next((shared / "workspaces").iterdir())
            yield Serving(process.pid, port, token, workspace)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)
