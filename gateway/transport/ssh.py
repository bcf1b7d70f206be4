"""Commands on another login node, over one connection that is used again and again.

On the far side a command gets the PATH of a login shell, read once per connection, and the
same clean environment as here. It is found again in the output by a marker, so what the user's
start-up files print does not get in. A marker that is missing at the end proves that the
command was not run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.quoting import shell_command
from gateway.transport.base import CommandResult, Failure
from gateway.transport.channel import Heard, converse
from gateway.transport.environment import clean_environment
from gateway.transport.here import STDOUT_CAP
from gateway.transport.login import open_connection, require_fabric

if TYPE_CHECKING:
    from fabric import Connection  # type: ignore[import-untyped]
    from paramiko.channel import Channel  # type: ignore[import-untyped]

    from gateway.site.model import Ssh

logger = logging.getLogger(__name__)

_MARKER = "gateway-command-starts-here"
_FAR_GRACE_S = 5
"""A command that we gave up on is ended over there this much later."""
_LONGEST_WORD = 100_000
"""sshd hands the whole command to a shell as one argument, at most 128 KiB on Linux."""
_RUN = 'printf "%s\\n" "$1" && shift && exec "$@"'
_COMPLETE = b"\n#complete"
_RUN_SENT = (
    'code=$(head -c "$2"); case $code in *"#complete") ;; *) exit 1 ;; esac; '
    'file=$(mktemp) || exit 1; head -c "$3" >"$file"; size=$(wc -c <"$file"); '
    'exec <"$file"; rm -f "$file"; [ "$size" -eq "$3" ] || exit 1; '
    'printf "%s\\n" "$1" && eval "exec $code"'
)
"""Takes the command and its input from standard input and runs nothing unless both are whole: a
line that breaks half-way looks like the end of the input, and half a script is a script too."""
_LOGIN = (
    "shell=sh; command -v bash >/dev/null 2>&1 && shell=bash; "
    'printf "%s\\n" "$1"; exec 3>&1 >/dev/null 2>&1 </dev/null; exec $shell -lc "env -0 >&3"'
)


class SshTransport:
    """Run argv lists on another host.

    Parameters
    ----------
    ssh
        Where; the rest comes from the user's ssh configuration.
    connect_timeout_s
        Longest wait for the connection and for each step of the login.
    stdout_cap
        Longest accepted output, in bytes.

    Raises
    ------
    SiteError
        If the optional dependency is missing.
    """

    def __init__(
        self, ssh: Ssh, *, connect_timeout_s: float = 15.0, stdout_cap: int = STDOUT_CAP
    ) -> None:
        require_fabric()
        self._ssh = ssh
        self._connect_timeout_s = connect_timeout_s
        self._stdout_cap = stdout_cap
        self._lock = Lock()
        self._connection: Connection | None = None
        self._environment: dict[str, str] = {}

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0, enough: str = ""
    ) -> CommandResult:
        """Run one command; see ``Transport``.

        Nothing is ended for what it says: its end over there could not be made sure of.
        """
        del enough
        begun = time.monotonic()
        try:
            channel = self._channel(timeout_s)
            try:
                text, data = self._far_command(argv, stdin, timeout_s)
            except ValueError:
                channel.close()
                raise
        except GatewayError as error:
            words = f"{error.message}; {error.hint}" if error.hint else error.message
            return _not_run(argv, Failure.NOT_ATTEMPTED, words, begun)
        except ValueError as error:
            return _not_run(argv, Failure.NOT_FOUND, str(error), begun)
        heard = converse(channel, text, data, begun + timeout_s, self._stdout_cap)
        if heard.failure in (Failure.TIMEOUT, Failure.DISCONNECTED):
            self.close()
        return _result(tuple(argv), heard, time.monotonic() - begun)

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _channel(self, timeout_s: float) -> Channel:
        """Open a channel, on a new connection if the old one broke; nothing is run yet."""
        from paramiko.ssh_exception import SSHException  # type: ignore[import-untyped]

        broken = (OSError, SSHException, EOFError)
        with self._lock:
            if self._connection is not None:
                try:
                    return self._open_channel(self._connection, timeout_s)
                except broken as error:
                    logger.info("ssh connection to %s broke: %s", self._ssh.host, error)
                    self._disconnect()
            try:
                self._connection = open_connection(self._ssh, self._connect_timeout_s)
                self._read_environment(self._connection)
                return self._open_channel(self._connection, timeout_s)
            except broken as error:
                self._disconnect()
                raise GatewayError(f"{self._ssh.host} opens no session: {error}") from error
            except GatewayError:
                self._disconnect()
                raise

    def _open_channel(self, connection: Connection, timeout_s: float) -> Channel:
        transport = connection.transport
        if transport is None or not transport.is_active():
            raise EOFError("the connection is closed")
        return transport.open_session(timeout=min(timeout_s, self._connect_timeout_s))

    def _read_environment(self, connection: Connection) -> None:
        """Ask a login shell for the environment that the user has there."""
        channel = self._open_channel(connection, self._connect_timeout_s)
        text = _encoded(shell_command(["/bin/sh", "-c", _LOGIN, "sh", _MARKER]))
        deadline = time.monotonic() + self._connect_timeout_s
        heard = converse(channel, text, b"", deadline, self._stdout_cap)
        answer = _after_marker(heard.stdout)
        if heard.status != 0 or answer is None:
            words = heard.words or heard.failure or f"status {heard.status}"
            raise GatewayError(f"no login shell on {self._ssh.host}: {words}")
        pairs = (item.partition("=") for item in answer.decode("utf-8", "replace").split("\0"))
        self._environment = clean_environment({name: value for name, _, value in pairs if name})

    def _far_command(
        self, argv: Sequence[str], stdin: str, timeout_s: float
    ) -> tuple[bytes, bytes]:
        """Return the text that sshd gets, and what is sent on its standard input."""
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        limit = f"{timeout_s + _FAR_GRACE_S:.0f}"
        words = ["env", "-i", *environment, "timeout", "--kill-after=5", limit, *argv]
        data = _encoded(stdin)
        code = _encoded(shell_command(words))
        if data or len(code) > _LONGEST_WORD:
            code += _COMPLETE
            sizes = [str(len(code)), str(len(data))]
            run = ["/bin/sh", "-c", _RUN_SENT, "sh", _MARKER, *sizes]
            return _encoded(shell_command(run)), code + data
        run = ["/bin/sh", "-c", _RUN, "sh", _MARKER]
        return _encoded(shell_command(run)) + b" " + code, data


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _not_run(argv: Sequence[str], failure: Failure, words: str, begun: float) -> CommandResult:
    seconds = time.monotonic() - begun
    return CommandResult(tuple(argv), None, "", words, seconds, failure)


def _after_marker(stdout: bytes) -> bytes | None:
    """Return what follows the line of the marker, or ``None`` where there is none."""
    _, found, answer = stdout.partition(_MARKER.encode() + b"\n")
    return answer if found else None


def _result(argv: tuple[str, ...], heard: Heard, seconds: float) -> CommandResult:
    answer = _after_marker(heard.stdout)
    failure, words = heard.failure, heard.words
    if failure is None and answer is None:
        failure = Failure.NOT_ATTEMPTED
        words = f"the login there ended before the command: {words}"
    elif heard.status in (126, 127) and words.startswith("timeout: "):
        failure = Failure.NOT_FOUND
    out = (answer or b"").decode("utf-8", "replace")
    return CommandResult(argv, None if failure else heard.status, out, words, seconds, failure)
