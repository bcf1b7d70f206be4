"""Keep making passes: the loop of ``serve``, ``tick`` and ``run``."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from gateway.core.cycle import Cycle, Pass
from gateway.core.lease import Heartbeat, boot_id, take
from gateway.core.parts import Parts
from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import ExitCode, GatewayError, UnreachableError
from gateway.store.store import LeaseLostError
from gateway.vocabulary.records import Lease

QUICK_S = 0.02
YOUNG_S = 0.05
STEADY_S = 1.0
IDLE_S = 1.0
STANDBY_S = 0.5
STEADY_SHARE = 19
YOUNG_SHARE = 4
"""Rest is at least so many times as long as the pass took: a driver uses little of a core."""
YOUNG_FOR_S = 30.0
"""So long after the last change, more changes are expected soon."""
ROUND_S = 60.0
"""``once`` ends after so long, though things still move: cron's next tick takes over."""


MISTAKES_IN_A_ROW = 100
"""So many passes may end in a mistake of the gateway before the driver makes way for another.

Such a mistake can be that of this process alone: its code was replaced on disk while it ran.
"""


class BrokenDriverError(GatewayError):
    """A driver has met the same mistake of the gateway at every pass."""

    exit_code = ExitCode.INTERNAL


class Bell:
    """Ends a rest. May be rung by a signal handler.

    The lock of ``threading.Event`` is not reentrant: a handler that sets it in the instant in which
    its own thread waits for it or clears it waits for itself, for ever.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Ring."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or for so long; earlier rings count as one."""
        with suppress(Empty):
            self._rings.get(timeout=seconds)
            while True:
                self._rings.get_nowait()


class Driver:
    """Makes passes while it holds the lease, and waits for the lease while it does not."""

    def __init__(
        self, parts: Parts, purpose: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._purpose = purpose
        self._monotonic = monotonic
        self._quiet_since = 0.0
        self.wake = Bell()
        """Ring it to end a rest early."""

    def once(self, report: Callable[[Pass], None], *, span_s: float = 0.0) -> bool:
        """Make passes until nothing is left to do at once; ``False`` if another one drives.

        Parameters
        ----------
        report
            Called after each pass.
        span_s
            If not 0, go on for so many seconds, with rests; the pass that is under way then is the
            last.
        """
        lease = self._take()
        if lease is None:
            return False
        end = self._monotonic() + (span_s or ROUND_S)

        def over(last: Pass) -> bool:
            return self._monotonic() >= end or (not span_s and last.changes == 0)

        self._drive(lease, report, over)
        return True

    def run(self, report: Callable[[Pass], None], over: Callable[[], bool]) -> None:
        """Drive, or stand by while another one does, until ``over`` says so."""
        while not over():
            try:
                lease = self._take()
                if lease is not None:
                    self._drive(lease, report, lambda _: over())
                    continue
            except UnreachableError as error:
                report(Pass(0, (str(error),)))
            self._rest(STANDBY_S)

    def _take(self) -> Lease | None:
        return take(
            self._parts.store,
            self._purpose,
            self._parts.clock(),
            host=socket.gethostname(),
            boot=boot_id(),
            token=secrets.token_hex(8),
        )

    def _drive(
        self, lease: Lease, report: Callable[[Pass], None], over: Callable[[Pass], bool]
    ) -> None:
        cycle = Cycle(self._parts, lease)
        mistakes_in_a_row = 0
        with Heartbeat(self._parts.store, lease, self._parts.clock):
            while True:
                began = self._monotonic()
                try:
                    done = cycle.tick()
                except LeaseLostError:
                    return
                report(done)
                crash_point(CrashPoint.PASS_DONE)
                mistakes_in_a_row = mistakes_in_a_row + 1 if done.mistakes else 0
                if mistakes_in_a_row >= MISTAKES_IN_A_ROW:
                    raise BrokenDriverError(
                        f"this driver fails at every pass: {done.troubles[0]}",
                        hint="jobs go on; start the driver again, or another version of it",
                    )
                if over(done):
                    return
                self._rest(self._pause(done, self._monotonic() - began))

    def _pause(self, done: Pass, took_s: float) -> float:
        """Choose the rest: none while things move, long while nothing can."""
        now = self._monotonic()
        if done.changes:
            self._quiet_since = now
            return QUICK_S
        with self._parts.store.read() as transaction:
            idle = transaction.workflows.count_active() == 0
        if idle:
            return IDLE_S
        if now - self._quiet_since < YOUNG_FOR_S:
            return min(max(YOUNG_S, took_s * YOUNG_SHARE), 5.0)
        return min(max(STEADY_S, took_s * STEADY_SHARE), 10.0)

    def _rest(self, seconds: float) -> None:
        self.wake.wait(seconds)
