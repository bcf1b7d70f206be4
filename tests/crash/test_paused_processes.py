"""A driver sleeps (SIGSTOP) until another one has its lease and has done the work: no harm."""

from __future__ import annotations

import os
import signal
import time

import pytest

from gateway.crash_points import PAUSE_AT, CrashPoint
from tests.crash.processes import Bench
from tests.crash.zygote import state_of

P = CrashPoint
POINTS = (
    P.LEASE_TAKEN,
    P.ADVANCE_PLANNED,
    P.INTENT_WRITTEN,
    P.FILES_WRITTEN,
    P.CALL_WRITTEN,
    P.CALL_MADE,
    P.EVIDENCE_SEEN,
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_sleeper_that_wakes_up_late(bench: Bench, point: CrashPoint) -> None:
    bench.write_spec(bench.command("a.log"), bench.command("b.log"))
    bench.ok("submit", "--key", "k")
    bench.watch_moves()
    sleeper = bench.start("serve", **{PAUSE_AT: point.name})
    deadline = time.monotonic() + 30
    while state_of(sleeper) != "T":
        assert time.monotonic() < deadline, bench.told()
        time.sleep(0.02)
    bench.execute("UPDATE leases SET expires_at = 0")

    bench.drive("tick")
    os.kill(sleeper, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(sleeper, signal.SIGTERM)

    assert bench.wait(sleeper) == 0, bench.told()
    assert bench.statuses() == ["finished"]
    assert [len(bench.lines("a.log")), len(bench.lines("b.log"))] == [1, 1], bench.told()
    assert bench.wrong() == [], bench.told()
