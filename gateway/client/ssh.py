"""A login node by ssh, with no port opened: one channel for each connection and each command.

A connection is `gateway connect` over there, whose input and output are the API's bytes. What the
user's start-up files print comes before a marker line and is skipped.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpcore2

from gateway import __version__
from gateway.errors import ExitCode, GatewayError, SiteError, UnreachableError, UsageError
from gateway.quoting import shell_command
from gateway.vocabulary.greeting import GREETING, PROTOCOL

if TYPE_CHECKING:
    from fabric import Connection  # type: ignore[import-untyped]
    from paramiko.channel import Channel  # type: ignore[import-untyped]

STARTS = "gateway-command-starts-here"
_MOST_NOISE = 256 * 1024
_MOST_WORDS = 8 * 1024
_DESTINATION = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?P<host>[^@:\s]+|\[[^\]\s]+\])(?::(?P<port>\d+))?"
)
_PROGRAM = (
    'unset GATEWAY_HOST; until [ "$1" = -- ]; do export "$1"; shift; done; shift; '
    'program=$1; shift; case $program in "~/"*) program=$HOME/${program#??} ;; esac; '
    '[ -t 2 ] || printf "%s\\n" "$0" >&2; printf "%s\\n" "$0"; exec "$program" "$@"'
)
"""Prints the marker on both streams, once where a terminal joins them. The start-up files there may
be those of here, and name the host that we are on."""
_LOGIN = (
    "shell=sh; command -v bash >/dev/null 2>&1 && shell=bash; "
    'code=$1; shift; exec "$shell" -lc "$code" "$@"'
)
"""The PATH of a login shell is where people put programs; `bash` where the login shell is not one
that reads POSIX words."""


class Login:
    """One ssh connection to a login node, opened at first use and again when it broke.

    Parameters
    ----------
    destination
        ``host``, ``user@host`` or ``user@host:port``; an alias of ``~/.ssh/config`` too.
    program
        The gateway over there: a name, or a path, which may begin with ``~/``, and words.
    options
        Of the gateway there, before each command.
    timeout_s, patience_s
        Longest waits for each step of the login, and for the first words of the gateway, which a
        cold network filesystem can make slow.
    """

    def __init__(
        self,
        destination: str,
        program: str = "gateway",
        timeout_s: float = 15.0,
        options: Sequence[str] = (),
        patience_s: float = 60.0,
    ) -> None:
        found = _DESTINATION.fullmatch(destination)
        words = _program_words(program)
        if found is None or destination.startswith("-"):
            raise UsageError(
                f"{destination!r} is no login node", hint="write host, user@host or user@host:port"
            )
        if find_spec("fabric") is None:
            raise SiteError(
                "the ssh support is not installed", hint="pip install 'reana-batch-gateway[client]'"
            )
        self.destination = destination
        self.program = words
        self._options = tuple(options)
        self.version: str | None = None
        """Of the gateway over there, once it has greeted."""
        self._host = found["host"].strip("[]")
        self._user = found["user"]
        self._port = int(found["port"]) if found["port"] else None
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._lock = Lock()
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        terminal: tuple[int, int] | None = None,
    ) -> Channel:
        """Run the gateway over there; return the channel, on which the marker is still to come.

        Parameters
        ----------
        terminal
            Columns and lines of a terminal to run it on.

        Raises
        ------
        SiteError
            If the host refuses us.
        UnreachableError
            If it does not answer.
        """
        given = [f"{name}={value}" for name, value in (environment or {}).items()]
        words = [*given, "--", *self.program, *self._options, *arguments]
        text = shell_command(["/bin/sh", "-c", _LOGIN, "sh", _PROGRAM, STARTS, *words])
        channel = self._channel()
        try:
            channel.settimeout(self._timeout_s)
            if terminal is not None:
                columns, lines = terminal
                channel.get_pty(term="xterm-256color", width=columns, height=lines)
            channel.exec_command(text.encode("utf-8", "surrogateescape"))
        except _broken() as error:
            channel.close()
            self.close()
            raise UnreachableError(f"{self.destination} does not run anything: {error}") from error
        return channel

    def _channel(self) -> Channel:
        with self._lock:
            for again in (True, False):
                fresh = self._connection is None
                if self._connection is None:
                    self._connection = self._connected()
                try:
                    return self._connection.transport.open_session(timeout=self._timeout_s)
                except _broken() as error:
                    broken, self._connection = self._connection, None
                    with suppress(Exception):
                        broken.close()
                    if fresh or not again:
                        raise UnreachableError(
                            f"{self.destination} opens no session: {error}"
                        ) from error
        raise AssertionError("not reached")

    def _connected(self) -> Connection:
        from gateway.site.model import Ssh
        from gateway.transport.login import open_connection

        return open_connection(
            Ssh(host=self._host, user=self._user, port=self._port, known_hosts=None),
            self._timeout_s,
        )

    def dial(self) -> Stream:
        """Open one connection to the API.

        Raises
        ------
        SiteError, UnreachableError
            If there is no gateway over there, or none that answers.
        """
        channel = self.start(["connect"])
        words = bytearray()
        try:
            rest = self._greeted(channel, words, time.monotonic() + self._patience_s)
        except _broken() as error:
            channel.close()
            raise UnreachableError(
                f"the gateway on {self.destination} does not answer: {error or 'no answer in time'}"
            ) from error
        except GatewayError:
            channel.close()
            raise
        return Stream(channel, rest, words)

    def _greeted(self, channel: Channel, words: bytearray, deadline: float) -> bytes:
        """Skip to the greeting and note the version; return what came after it."""
        heard = bytearray()
        while True:
            *lines, rest = heard.split(b"\n")
            for number, line in enumerate(lines):
                found = re.fullmatch(rf"{GREETING} (\d+) (\S+)\s*", line.decode("utf-8", "replace"))
                if found:
                    self.version = found[2]
                    if int(found[1]) != PROTOCOL:
                        raise SiteError(self.difference() or "the gateways cannot talk")
                    return b"\n".join([*lines[number + 1 :], rest])
            channel.settimeout(max(0.1, deadline - time.monotonic()))
            piece = channel.recv(32 * 1024)
            drain(channel, words)
            heard += piece
            if not piece or len(heard) > _MOST_NOISE:
                raise self._no_gateway(channel, words, started=STARTS.encode() in heard)

    def _no_gateway(self, channel: Channel, words: bytearray, *, started: bool) -> GatewayError:
        status = exit_status(channel, 5.0)
        drain(channel, words)
        _, _, own = words.decode("utf-8", "replace").rpartition(STARTS)
        said = " ".join(own.split())[-500:]
        if status in (126, 127) or not started:
            return SiteError(
                f"there is no program {' '.join(self.program)!r} on {self.destination}"
                + (f": {said}" if said else ""),
                hint="install the gateway there, or say where it is with --host-command or "
                "GATEWAY_REMOTE_COMMAND",
            )
        if status == ExitCode.USAGE and "connect" in said:
            return SiteError(
                f"the gateway on {self.destination} is too old for this: {said}",
                hint=f"install version {__version__} there, as here",
            )
        return SiteError(f"the gateway on {self.destination} cannot be used: {said or status}")

    def version_there(self) -> str | None:
        """Ask the gateway there for its version, if it is not known; ``None`` if it says none."""
        if self.version is None:
            channel = self.start(["--version"])
            heard = bytearray()
            with suppress(*_broken()):
                while piece := channel.recv(32 * 1024):
                    heard += piece
            channel.close()
            found = re.search(rb"gateway (\d\S*)\s*$", bytes(heard))
            self.version = found[1].decode("ascii", "replace") if found else None
        return self.version

    def difference(self) -> str | None:
        """Say that the versions here and there differ, if they are known to."""
        if self.version is None or self.version == __version__:
            return None
        return (
            f"the gateway on {self.destination} is version {self.version}, the one here "
            f"{__version__}"
        )


def _program_words(program: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(program))
    except ValueError as error:
        raise UsageError(f"the remote command {program!r} cannot be read: {error}") from error
    if not words:
        raise UsageError("the remote command is empty")
    return words


def _broken() -> tuple[type[Exception], ...]:
    from paramiko.ssh_exception import SSHException  # type: ignore[import-untyped]

    return (OSError, EOFError, SSHException)


def drain(channel: Channel, words: bytearray) -> None:
    """Take what is there of standard error, so that its writer never waits; keep the end."""
    while channel.recv_stderr_ready():
        words += channel.recv_stderr(32 * 1024)
    del words[:-_MOST_WORDS]


def exit_status(channel: Channel, timeout_s: float) -> int | None:
    """Return the exit status, ``None`` if it does not come in time or the line broke."""
    channel.status_event.wait(timeout_s)
    status = channel.exit_status
    return None if status is None or status < 0 else int(status)


class Stream(httpcore2.NetworkStream):
    """The bytes of one connection."""

    def __init__(self, channel: Channel, rest: bytes, words: bytearray) -> None:
        self._channel = channel
        self._rest = rest
        self._words = words

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read; empty at the end."""
        if self._rest:
            piece, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
            return piece
        drain(self._channel, self._words)
        self._channel.settimeout(timeout)
        try:
            return bytes(self._channel.recv(max_bytes))
        except TimeoutError as error:
            raise httpcore2.ReadTimeout("no answer in time") from error
        except _broken() as error:
            raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything."""
        drain(self._channel, self._words)
        self._channel.settimeout(timeout)
        try:
            self._channel.sendall(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout("nothing is taken") from error
        except _broken() as error:
            raise httpcore2.WriteError(str(error) or "the line broke") from error

    def close(self) -> None:
        """Close the channel; what runs over there ends."""
        with suppress(Exception):
            self._channel.close()

    def get_extra_info(self, info: str) -> Any:
        """Say whether the other side has closed an idle connection."""
        if info == "is_readable":
            channel = self._channel
            return channel.closed or channel.eof_received or channel.recv_ready()
        return None
