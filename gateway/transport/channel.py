"""The traffic of one command on one ssh channel: input, output, status, deadline.

Knows paramiko's channels. Must not know what is run or how connections are made.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Timer
from typing import TYPE_CHECKING

from gateway.transport.base import Failure
from gateway.transport.here import STDERR_CAP

if TYPE_CHECKING:
    from paramiko.channel import Channel  # type: ignore[import-untyped]

_CHUNK = 32 * 1024
_POLL_S = 0.05
_NO_STATUS = -1


@dataclass(slots=True)
class Heard:
    """What came over a channel. ``words`` is standard error, or what broke."""

    stdout: bytes
    words: str
    status: int | None = None
    failure: Failure | None = None


def converse(
    channel: Channel, command: bytes, stdin: bytes, deadline: float, stdout_cap: int
) -> Heard:
    """Run one command on a fresh channel and close the channel; never raises.

    Parameters
    ----------
    deadline
        On the clock of ``time.monotonic``.
    """
    late = Event()
    # Some waits of paramiko have no time-out of their own; closing the connection ends them.
    alarm = Timer(max(0.0, deadline - time.monotonic()) + 1.0, _give_up, (late, channel))
    alarm.daemon = True
    alarm.start()
    talk = _Talk(channel, stdin, stdout_cap)
    try:
        failure = talk.until(command, deadline)
        words = talk.stderr.decode("utf-8", "replace")
    except Exception as error:
        failure = Failure.TIMEOUT if late.is_set() else Failure.DISCONNECTED
        words = str(error)
    finally:
        alarm.cancel()
        with suppress(Exception):
            channel.close()
    status = None if failure else channel.exit_status
    return Heard(bytes(talk.stdout), words, status, failure)


def _give_up(late: Event, channel: Channel) -> None:
    late.set()
    channel.get_transport().close()


@dataclass(slots=True)
class _Talk:
    channel: Channel
    stdin: bytes
    stdout_cap: int
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    sent: int = 0
    input_open: bool = True

    def until(self, command: bytes, deadline: float) -> Failure | None:
        """Start the command and move data until it has ended."""
        self.channel.settimeout(_POLL_S)
        self.channel.exec_command(command)
        while not self._over():
            if time.monotonic() > deadline:
                return Failure.TIMEOUT
            if not self._feed() and not self._drain():
                self._rest()
            if len(self.stdout) > self.stdout_cap:
                del self.stdout[self.stdout_cap :]
                return Failure.TOO_LONG
        return Failure.DISCONNECTED if self.channel.exit_status == _NO_STATUS else None

    def _over(self) -> bool:
        """Say whether the command has ended and all that it said was read."""
        channel = self.channel
        ended = channel.exit_status_ready() and (channel.eof_received or channel.closed)
        return ended and not (channel.recv_ready() or channel.recv_stderr_ready())

    def _feed(self) -> bool:
        """Send some input; a command that ends without reading it all is no trouble.

        Whether it ended or the line broke is what the exit status says.
        """
        if not self.input_open or (self.sent < len(self.stdin) and not self.channel.send_ready()):
            return False
        try:
            if self.sent < len(self.stdin):
                self.sent += self.channel.send(self.stdin[self.sent : self.sent + _CHUNK])
            else:
                self.input_open = False
                self.channel.shutdown_write()
        except TimeoutError:
            return False
        except OSError:
            self.input_open = False
        return True

    def _drain(self) -> bool:
        heard = False
        if self.channel.recv_ready():
            self.stdout += self.channel.recv(_CHUNK)
            heard = True
        if self.channel.recv_stderr_ready():
            chunk = self.channel.recv_stderr(_CHUNK)
            self.stderr += chunk[: max(0, STDERR_CAP - len(self.stderr))]
            heard = True
        return heard

    def _rest(self) -> None:
        """Wait for output; after the end of output, for the exit status."""
        if self.channel.eof_received or self.channel.closed:
            self.channel.status_event.wait(_POLL_S)
        else:
            select.select([self.channel], [], [], _POLL_S)
