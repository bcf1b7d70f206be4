"""A real process is killed (SIGKILL) at every crash point, and others go on: nothing runs twice.

The jobs are real processes of the local cluster. What only a scheduler with a queue can bring about
is killed in tests/crash/test_simulated.py.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from gateway.crash_points import CrashPoint
from tests.crash.processes import DIES_ONCE, KILLED, LONG, Bench

P = CrashPoint
ELSEWHERE = {p for p in P if p.place in ("images", "conversion", "download")}
"""Killed in test_killed_fetches.py and test_killed_files.py: jobs here need no image."""
LOST_CALL = {P.LOOKED_UP, P.RESEND_WRITTEN}
"""Points on the way back from a kill in the middle of a call."""
GIVEN_UP = {P.GIVEN_UP, P.REMAINS_FORBIDDEN, P.REMAINS_REMOVED}
STOP = {p for p in P if p.place == "stop"} | {P.STOP_WRITTEN, P.RESEND_FORBIDDEN}
DRIVERS = ("tick", "serve")
BY_COMMANDS = {p for p in P if p.place in ("create", "staging", "files", "start", "migration")}
LATER = {p for p in P if p.place in ("restart", "delete", "removal")}

BY_DRIVERS = set(P) - ELSEWHERE - GIVEN_UP - STOP - BY_COMMANDS - LATER
"""All others: a new point of a new part is killed here, until it is told where."""
KILLED_HERE = BY_DRIVERS | GIVEN_UP | STOP | BY_COMMANDS | LATER


def sorted_points(points: Collection[CrashPoint]) -> list[CrashPoint]:
    return sorted(points, key=lambda point: point.name)


def finish(bench: Bench, point: CrashPoint) -> None:
    assert bench.wrong() == [], bench.told()
    assert bench.kills > 0, f"{point.name} was never passed\n{bench.told()}"
    assert not bench.kill_at, f"{bench.kill_at} was never passed\n{bench.told()}"


def submitted(bench: Bench, *commands: str, retries: int = 0, image: str = "img") -> None:
    bench.write_spec(*commands, retries=retries, inputs=2, image=image)
    bench.ok("submit", "--key", "k")
    bench.watch_moves()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "point",
    sorted_points(BY_DRIVERS),
    ids=lambda p: p.name,
)
def test_killed_driver(bench: Bench, point: CrashPoint, driver: str) -> None:
    """The first command fails once: its retry is a second attempt, with a key of its own."""
    once = f"{bench.command('a.log')}; [ -e once ] || {{ touch once; exit 1; }}"
    # Long enough for the scheduler to be asked, where that is the point.
    rest = "sleep 1.5; " if point is P.STATUS_DUE else ""
    submitted(bench, once, rest + bench.command("b.log"), retries=1)
    bench.kill_at = ["CALL_WRITTEN", point.name] if point in LOST_CALL else [point.name]

    bench.drive(driver)

    assert bench.statuses() == ["finished"]
    assert [len(bench.lines("a.log")), len(bench.lines("b.log"))] == [2, 1], bench.told()
    finish(bench, point)


@pytest.mark.parametrize("point", sorted_points(BY_COMMANDS), ids=lambda p: p.name)
def test_killed_command_is_given_again(bench: Bench, point: CrashPoint) -> None:
    command_is_given_again(bench, point, "tick")


def command_is_given_again(bench: Bench, point: CrashPoint, driver: str) -> None:
    bench.kill_at = [point.name]
    submitted(bench, bench.command("a.log") + "; cat in0.txt in1.txt > both")

    bench.drive(driver)

    assert bench.statuses() == ["finished"]
    assert len(bench.lines("a.log")) == 1
    (workspace,) = bench.rows("SELECT workspace FROM workflows")[0]
    assert (Path(workspace) / "both").read_text() == "in0.txt" * 100 + "in1.txt" * 100
    finish(bench, point)


def running(bench: Bench) -> bool:
    return bool(bench.lines("a.log"))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("point", sorted_points(STOP), ids=lambda p: p.name)
def test_killed_while_it_stops(bench: Bench, point: CrashPoint, driver: str) -> None:
    submitted(bench, f"{bench.command('a.log')}; {LONG}")
    if point is P.RESEND_FORBIDDEN:
        # No other driver may come before the wish to stop: it would send the call again.
        assert bench.wait(bench.start(driver, kill_at="CALL_WRITTEN")) == KILLED
        bench.kill_at = [point.name]
    elif point is P.UNSENT_STOPPED:
        bench.kill_at = [point.name]
    else:
        bench.drive(driver, lambda: running(bench))
        bench.kill_at = [point.name]
    # A killed `stop` may have done its work: then there is nothing to stop any more.
    bench.run("stop", "workflow")

    bench.drive(driver)

    assert bench.statuses() == ["stopped"]
    assert len(bench.lines("a.log")) <= 1
    finish(bench, point)


@pytest.mark.parametrize("point", sorted_points(GIVEN_UP), ids=lambda p: p.name)
def test_killed_while_a_lost_attempt_is_given_up(bench: Bench, point: CrashPoint) -> None:
    """The first attempt kills its own job script: no exit record, and no process."""
    lost = f"{bench.command('a.log')}; {DIES_ONCE}"
    submitted(bench, lost)
    bench.kill_at = [point.name]

    bench.drive("serve")

    assert bench.statuses() == ["finished"], bench.told()
    assert len(bench.lines("a.log")) == 2
    finish(bench, point)


@pytest.mark.parametrize("point", sorted_points(LATER), ids=lambda p: p.name)
def test_killed_restart_and_delete(bench: Bench, point: CrashPoint) -> None:
    restart_and_delete(bench, point, "tick")


def restart_and_delete(bench: Bench, point: CrashPoint, driver: str) -> None:
    submitted(bench, bench.command("a.log"))
    bench.drive(driver)
    bench.kill_at = [point.name]
    if point is P.RESTART_WRITTEN:
        # Given again, it finds that the first one has done its work.
        bench.run("restart", "workflow")
        bench.drive(driver)
        assert bench.statuses() == ["finished"] * 2
        assert len(bench.lines("a.log")) == 2
    else:
        bench.run("delete", "workflow")
        assert bench.statuses() == ["deleted"]
        (workspace,) = bench.rows("SELECT workspace FROM workflows")[0]
        assert not Path(workspace).exists()
    finish(bench, point)
