"""A small ssh server on the loopback, so that the client is tested without any sshd."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko  # type: ignore[import-untyped]
import pytest

from gateway.site.model import Ssh

USER = "tester"


def _serve_channel(channel: Any, command: bytes, server: SshServer, cut_after: int | None) -> None:
    """Run a command as sshd does: by the login shell, without a terminal."""
    with subprocess.Popen(
        [*server.shell, "-c", command.decode("utf-8", "surrogateescape")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    ) as process:
        server.processes.append(process)
        pumps = [
            _thread(_pump, process, process.stdout, channel.sendall),
            _thread(_pump, process, process.stderr, channel.sendall_stderr),
        ]
        _thread(_feed, channel, process.stdin, cut_after)
        for pump in pumps:
            pump.join()
        status = process.wait()
        with suppress(OSError, EOFError):
            channel.send_exit_status(status if status >= 0 else 128 - status)
            channel.close()


def _thread(work: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread


def _feed(channel: Any, pipe: Any, cut_after: int | None) -> None:
    """Pass input on; a line that breaks ends it like an end of file, as with sshd."""
    taken = 0
    with suppress(OSError, ValueError):
        while chunk := channel.recv(65536):
            taken += len(chunk)
            if cut_after is not None and taken > cut_after:
                pipe.write(chunk[: cut_after - taken])
                channel.get_transport().close()
                break
            pipe.write(chunk)
        pipe.close()


def _pump(process: Any, pipe: Any, send: Callable[[bytes], None]) -> None:
    try:
        while chunk := pipe.read(65536):
            send(chunk)
    except (OSError, ValueError, EOFError, paramiko.SSHException):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@dataclass
class SshServer:
    """What a test sees of the server, and the knobs that it turns."""

    port: int
    allowed: paramiko.PKey
    host_key: paramiko.PKey
    shell: list[str]
    transports: list[Any] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    processes: list[Any] = field(default_factory=list)
    dead: bool = False
    """Accept commands and never answer them."""
    cut_after: int | None = None
    """Break the line after so many bytes of a command's input."""

    def site(self, known_hosts: Path) -> Ssh:
        return Ssh(host="127.0.0.1", user=USER, port=self.port, known_hosts=known_hosts)

    def known_hosts_line(self, key: paramiko.PKey | None = None) -> str:
        key = key or self.host_key
        return f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n"

    def drop_connections(self) -> None:
        for transport in self.transports:
            transport.close()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(self.host_key)
            self.transports.append(transport)
            try:
                transport.start_server(server=_Session(self))
            except (paramiko.SSHException, EOFError):
                continue


class _Session(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == USER and key == self._server.allowed
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self._server.commands.append(command)
        if not self._server.dead:
            server = self._server
            args = (channel, command, server, server.cut_after)
            threading.Thread(target=_serve_channel, args=args, daemon=True).start()
        return True


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one key, and no agent."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    paramiko.ECDSAKey.generate().write_private_key_file(str(home / ".ssh" / "id_ecdsa"))
    return home


@pytest.fixture
def server(home: Path) -> Iterator[SshServer]:
    key = paramiko.ECDSAKey.from_private_key_file(str(home / ".ssh" / "id_ecdsa"))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    found = SshServer(port, key, paramiko.ECDSAKey.generate(), [shutil.which("sh") or "/bin/sh"])
    thread = threading.Thread(target=found.serve, args=(listener,), daemon=True)
    thread.start()
    yield found
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    found.drop_connections()
    thread.join(5)


@pytest.fixture
def known_hosts(server: SshServer, home: Path) -> Path:
    path = home / ".ssh" / "known_hosts"
    path.write_text(server.known_hosts_line())
    return path
