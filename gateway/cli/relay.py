"""Run a command of the gateway on a login node, as if it ran here."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from gateway.cli.output import talk
from gateway.errors import ExitCode, SiteError, UnreachableError

if TYPE_CHECKING:
    from paramiko.channel import Channel  # type: ignore[import-untyped]

    from gateway.client.ssh import Login

_CHUNK = 32 * 1024
_POLL_S = 0.1
_FAREWELL_S = 10.0
_PASSED_ON = ("REANA_WORKON", "NO_COLOR")
_NOT_FOUND = (126, 127)


def run_on(login: Login, arguments: Sequence[str]) -> int:
    """Run a command there; show what it writes and return its exit code. Ctrl-C detaches.

    On a terminal it has a terminal there too, and so the same colours and tables.

    Raises
    ------
    SiteError
        If there is no gateway there.
    UnreachableError
        If the line broke.
    """
    on_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    size = shutil.get_terminal_size()
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    channel = login.start(
        arguments,
        environment=environment,
        terminal=(size.columns, size.lines) if on_terminal else None,
    )
    try:
        code = _Relay(channel, on_terminal).until_end()
    finally:
        channel.close()
    if code is None:
        raise UnreachableError(
            f"the line to {login.destination} broke", hint="what was started goes on there"
        )
    if code in _NOT_FOUND:
        raise SiteError(
            f"there is no program {' '.join(login.program)!r} on {login.destination}",
            hint="install the gateway there, or say where it is with --host-command",
        )
    return code


class _Relay:
    """Moves output from a channel to our own until the command has ended."""

    def __init__(self, channel: Channel, on_terminal: bool) -> None:
        self._channel = channel
        self._on_terminal = on_terminal
        self._output = _Stream(sys.stdout)
        self._errors = _Stream(sys.stderr)
        self._deadline: float | None = None

    def until_end(self) -> int | None:
        """Return the exit code, ``None`` if the line broke."""
        self._channel.settimeout(_FAREWELL_S)
        if not self._on_terminal:
            self._channel.shutdown_write()
        while not self._over():
            try:
                if not self._move():
                    self._rest()
            except KeyboardInterrupt:
                if not self._pass_on():
                    talk("detached: what was started goes on")
                    return int(ExitCode.DETACHED)
            if self._deadline is not None and time.monotonic() > self._deadline:
                return int(ExitCode.DETACHED)
        status = self._channel.exit_status
        return None if status is None or status < 0 else int(status)

    def _pass_on(self) -> bool:
        """Press Ctrl-C on the terminal there, once; without one there is nothing to press."""
        if not self._on_terminal or self._deadline is not None:
            return False
        self._deadline = time.monotonic() + _FAREWELL_S
        self._channel.sendall(b"\x03")
        return True

    def _over(self) -> bool:
        channel = self._channel
        ended = channel.closed or (channel.exit_status_ready() and channel.eof_received)
        return ended and not (channel.recv_ready() or channel.recv_stderr_ready())

    def _move(self) -> bool:
        moved = False
        if self._channel.recv_ready():
            self._output.show(self._channel.recv(_CHUNK))
            moved = True
        if self._channel.recv_stderr_ready():
            self._errors.show(self._channel.recv_stderr(_CHUNK))
            moved = True
        return moved

    def _rest(self) -> None:
        if self._channel.eof_received or self._channel.closed:
            self._channel.status_event.wait(_POLL_S)
        else:
            select.select([self._channel], [], [], _POLL_S)


class _Stream:
    """Shows what comes after the marker; what start-up files print before is not ours to show."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._noise: bytes | None = b""

    def show(self, piece: bytes) -> None:
        """Write what is the command's own."""
        from gateway.client.ssh import STARTS

        if self._noise is not None:
            self._noise += piece
            _, found, rest = self._noise.partition(STARTS.encode())
            line, ended, piece = rest.partition(b"\n")
            if not found or not ended or line.strip():
                return
            self._noise = None
        self._out.buffer.write(piece)
        self._out.flush()
