"""Commands on this host.

Every command is a session of its own: a Ctrl-C or a SIGTERM meant for the gateway does not hit
a scheduler call half-way. A gateway that is killed lets the call run to its end; what the call
did is then found by its key. An exception that passes through here ends the whole group first.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from gateway.transport.base import CommandResult, Failure
from gateway.transport.environment import clean_environment

STDOUT_CAP = 64 * 1024 * 1024
STDERR_CAP = 1024 * 1024
_CHUNK = 64 * 1024
_POLL_S = 0.2
_BUSY = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})
_LINGER_S = 0.5
"""How long output is awaited after the end of a command that left a daemon on its pipes."""


class HereTransport:
    """Run argv lists on this host, never through a shell.

    Parameters
    ----------
    environ
        What the commands' environment is chosen from; default: that of this process.
    stdout_cap
        Longest accepted output, in bytes.
    cwd
        Working directory of the commands; the default always exists.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        stdout_cap: int = STDOUT_CAP,
        cwd: Path = Path("/"),
    ) -> None:
        self._env = clean_environment(os.environ if environ is None else environ)
        self._stdout_cap = stdout_cap
        self._cwd = cwd

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0, enough: str = ""
    ) -> CommandResult:
        """Run one command; see ``Transport``."""
        begun = time.monotonic()
        try:
            with _whole_input(stdin.encode("utf-8", "surrogateescape")) as source:
                process = self._start(argv, source)
        except (OSError, ValueError) as error:
            seconds = time.monotonic() - begun
            return CommandResult(tuple(argv), None, "", str(error), seconds, _not_started(error))
        exchange = _Exchange(process, self._stdout_cap, enough.encode())
        try:
            failure = exchange.until(begun + timeout_s)
        finally:
            _end(process)
        return exchange.result(tuple(argv), time.monotonic() - begun, failure)

    def close(self) -> None:
        """Nothing is kept between commands."""

    def _start(self, argv: Sequence[str], source: int) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            list(argv),
            stdin=source,
            stdout=pipe,
            stderr=pipe,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )


@contextmanager
def _whole_input(data: bytes) -> Iterator[int]:
    """Yield a descriptor that reads all of the input, however this process ends.

    A pipe would end early if the gateway were killed, and half a script is a script too.
    """
    fd = os.memfd_create("input") if data else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if data:
            os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _not_started(error: Exception) -> Failure:
    """Tell a command that can never start from a host that cannot start one now."""
    busy = isinstance(error, OSError) and error.errno in _BUSY
    return Failure.NOT_ATTEMPTED if busy else Failure.NOT_FOUND


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes, end the group if it still runs, and leave no zombie."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()


@dataclass(slots=True)
class _Exchange:
    """The output of one command, with flat memory use up to the cap."""

    process: subprocess.Popen[bytes]
    stdout_cap: int
    enough: bytes = b""
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def until(self, deadline: float) -> Failure | None:
        """Move data until the command has ended and its pipes are dry."""
        with selectors.DefaultSelector() as selector:
            self._register(selector)
            while not self._over(selector):
                left = deadline - time.monotonic()
                if left <= 0:
                    return Failure.TIMEOUT
                self._move(selector, min(left, _POLL_S))
                if self.enough and self.enough in self.stderr and self.process.poll() is None:
                    return Failure.CUT_OFF
                if len(self.stdout) > self.stdout_cap:
                    return Failure.TOO_LONG
            return self._wait(deadline)

    def _register(self, selector: selectors.BaseSelector) -> None:
        stdout, stderr = self.process.stdout, self.process.stderr
        assert stdout is not None
        assert stderr is not None
        for pipe, into, cap in (
            (stdout, self.stdout, self.stdout_cap + 1),
            (stderr, self.stderr, STDERR_CAP),
        ):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, partial(_drain, pipe, into, cap))

    def _over(self, selector: selectors.BaseSelector) -> bool:
        """Say whether all pipes are closed, or the command ended and somebody else holds them."""
        if not selector.get_map():
            return True
        if self.process.poll() is None:
            return False
        quiet_since = time.monotonic()
        while selector.get_map() and time.monotonic() - quiet_since < _LINGER_S:
            if not self._move(selector, _LINGER_S) or len(self.stdout) > self.stdout_cap:
                break
        return True

    def _wait(self, deadline: float) -> Failure | None:
        if len(self.stdout) > self.stdout_cap:
            return Failure.TOO_LONG
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return Failure.TIMEOUT
        return None

    def _move(self, selector: selectors.BaseSelector, wait_s: float) -> bool:
        """Read what is there; say whether anything was."""
        ready = selector.select(wait_s)
        for key, _ in ready:
            if key.data():
                selector.unregister(key.fileobj)
        return bool(ready)

    def result(
        self, argv: tuple[str, ...], seconds: float, failure: Failure | None
    ) -> CommandResult:
        """Return what was heard; a death by signal N is status 128 + N, as shells say it."""
        code = self.process.returncode
        status = None if failure else (code if code >= 0 else 128 - code)
        out = self.stdout[: self.stdout_cap].decode("utf-8", "replace")
        err = self.stderr.decode("utf-8", "replace")
        return CommandResult(argv, status, out, err, seconds, failure)


def _drain(pipe: IO[bytes], into: bytearray, cap: int) -> bool:
    """Read some output, keep it up to the cap, and say whether it has ended."""
    try:
        chunk = os.read(pipe.fileno(), _CHUNK)
    except BlockingIOError:
        return False
    into += chunk[: max(0, cap - len(into))]
    return not chunk
