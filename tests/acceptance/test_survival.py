"""Processes that are killed, run twice or are confused about the time: nothing runs twice."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gateway.composition.app import App
from gateway.errors import ExitCode
from tests.acceptance.bench import WAITS_FOR_GO, Bench, ended, step, until

COUNTED = "echo ran >> ran"


def runs(bench: Bench, name: str = "workflow") -> int:
    """Return how often the counted command ran."""
    file = bench.workspace(name) / "ran"
    return len(file.read_text().splitlines()) if file.exists() else 0


def _has_run(bench: Bench, number: int) -> bool:
    return bool(bench.ids()) and runs(bench) >= number


def killed_run(bench: Bench, moment: Callable[[], object]) -> None:
    """Start a run and kill it at a moment."""
    with ended(bench.start("run", "--key", "k")):
        until(moment, "the moment to kill")


def tick_to_the_end(bench: Bench) -> None:
    until(lambda: bench.run("tick") and bench.status() == "finished", "the end")


def test_ticks_alone_bring_a_workflow_to_its_end(bench: Bench) -> None:
    bench.write_spec(step("a", COUNTED, COUNTED), step("b", COUNTED))
    bench.ok("create")
    bench.ok("tick")
    assert bench.status() == "created"
    bench.ok("start", "workflow")

    tick_to_the_end(bench)

    assert runs(bench) == 3


def test_a_tick_says_nothing(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("submit")

    result = bench.ok("tick", "--for", "2")

    assert (result.out, result.err) == ("", "")
    assert bench.status() == "finished"


def test_a_tick_with_nothing_to_do(bench: Bench) -> None:
    assert bench.ok("tick").err == ""
    assert bench.ok("tick", "--json").json()["changes"] == 0


@pytest.mark.parametrize("moment", ["at once", "created", "started"])
def test_a_killed_run_is_finished_by_ticks(bench: Bench, moment: str) -> None:
    bench.write_spec(step("a", COUNTED, WAITS_FOR_GO, COUNTED))
    reached: dict[str, Callable[[], object]] = {
        "at once": bench.database.exists,
        "created": bench.ids,
        "started": lambda: bench.ids() and (bench.workspace() / "started").exists(),
    }
    killed_run(bench, reached[moment])

    bench.ok("submit", "--key", "k")
    (bench.workspace() / "go").touch()
    tick_to_the_end(bench)

    assert runs(bench) == 2
    assert len(bench.ids()) == 1


def test_runs_killed_again_and_again(bench: Bench) -> None:
    bench.write_spec(*(step(name, COUNTED) for name in "abcdef"))
    for number in (1, 3, 5):
        killed_run(bench, partial(_has_run, bench, number))

    assert bench.run("run", "--key", "k", "-q").code == ExitCode.OK
    assert runs(bench) == 6


def test_a_second_gateway_stands_by_and_takes_over(bench: Bench) -> None:
    bench.write_spec(step("a", COUNTED, WAITS_FOR_GO, COUNTED))
    bench.ok("submit")
    with ended(bench.start("serve")) as first:
        until((bench.workspace() / "started").exists, "the job")
        with ended(bench.start("serve")) as second:
            assert bench.ok("tick", "--json").json()["drove"] is False
            first.kill()
            first.communicate()
            (bench.workspace() / "go").touch()
            until(lambda: bench.status() == "finished", "the second one to drive")
            second.send_signal(signal.SIGTERM)
            out, err = second.communicate(timeout=30)

    assert (second.returncode, out) == (0, "")
    assert "jobs go on" in err
    assert "Traceback" not in err
    assert runs(bench) == 2


def test_a_second_gateway_started_by_mistake_takes_nothing_away(bench: Bench) -> None:
    """It says that it stands by, leaves the socket to the first, and has it when that has ended."""
    socket_file = bench.database.parent / "gateway.sock"
    with ended(bench.start("serve")) as first:
        until(lambda: answers(socket_file), "the first one")
        with ended(bench.start("serve")) as second:
            assert second.stderr is not None
            assert "stands by: serve on" in "".join(second.stderr.readline() for _ in range(2))
            second.send_signal(signal.SIGTERM)
            assert second.wait(30) == 0
        assert answers(socket_file)
        with ended(bench.start("serve")) as third:
            assert third.stderr is not None
            assert "stands by" in "".join(third.stderr.readline() for _ in range(2))
            first.kill()
            until(lambda: answers(socket_file), "the third one to answer")


def answers(socket_file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        try:
            line.connect(str(socket_file))
            line.sendall(b"GET /gateway/health HTTP/1.1\r\nHost: x\r\n\r\n")
            return b" 200 " in line.recv(100)
        except OSError:
            return False


def test_run_beside_serve(bench: Bench) -> None:
    bench.write_spec(step("a", COUNTED))
    with ended(bench.start("serve")) as serve:
        until(bench.database.exists, "serve")
        assert bench.run("run").code == ExitCode.OK
        assert serve.poll() is None

    assert runs(bench) == 1


@pytest.mark.parametrize("jump", [-7200.0, -30.0, 7200.0])
def test_a_clock_that_jumps(bench: Bench, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    bench.write_spec(step("a", COUNTED, WAITS_FOR_GO, COUNTED))
    bench.ok("submit")
    until(lambda: bench.ok("tick") and (bench.workspace() / "started").exists(), "the job")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    for _ in range(3):
        bench.ok("tick")
    (bench.workspace() / "go").touch()

    tick_to_the_end(bench)

    assert runs(bench) == 2
    bench.ok("status", "workflow", "-v")
    bench.ok("explain", "workflow")
    bench.ok("list")


def test_a_clock_set_back_while_it_drives(bench: Bench) -> None:
    bench.write_spec(*(step(name, COUNTED) for name in "abc"))
    bench.ok("submit")
    app = App(bench.site_file)
    driver = app.driver("test")
    times = iter(range(10_000))
    driver._parts = replace(driver._parts, clock=lambda: time.time() - 600 * (next(times) % 7))

    driver.run(lambda _: None, lambda: app.views.find("workflow").status.is_terminal)

    assert bench.status() == "finished"
    assert runs(bench) == 3


def test_a_job_killed_from_outside_is_not_called_finished(bench: Bench) -> None:
    bench.write_spec(step("a", f"echo $$$$ > pid; {WAITS_FOR_GO}"))
    bench.ok("submit")
    until(lambda: bench.ok("tick") and (bench.workspace() / "started").exists(), "the job")
    pid = int((bench.workspace() / "pid").read_text())

    os.kill(pid, signal.SIGKILL)

    result = bench.run("wait", "workflow")
    assert result.code == ExitCode.FAILED
    assert "killed" in result.err
