"""Files of jobs that ended long ago, removed on request and never before."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import WAITS_FOR_GO, Bench, ended, step

DAY_S = 86_400


def ended_days_ago(bench: Bench, days: float, workflow: str = "%") -> None:
    """Make the database say so; the clock of the machine is not ours."""
    at = time.time() - days * DAY_S
    with sqlite3.connect(bench.database) as database:
        database.execute("UPDATE workflows SET finished_at = ? WHERE name LIKE ?", (at, workflow))
        database.execute("UPDATE attempts SET finished_at = ? WHERE finished_at > 0", (at,))
        database.execute("UPDATE submissions SET prepared_at = ?", (at,))


def control_dirs(bench: Bench) -> list[Path]:
    return sorted((bench.shared / "control").iterdir())


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Two runs that have ended, one after the other."""
    bench.write_spec(step("a", "echo $$((40 + 2)); echo made > made"))
    for name in ("old", "new"):
        bench.ok("run", "-n", name)
    return bench


def test_what_ended_long_ago_goes_and_the_rest_stays(two: Bench) -> None:
    ended_days_ago(two, 91, "old")
    foreign = two.shared / "control" / "gw-of-another-gateway"
    (foreign / "logs").mkdir(parents=True)
    assert (
        "would remove the files of 1 submissions"
        in two.ok("tidy", "--older-than", "90d", "--dry-run").err
    )
    assert len(control_dirs(two)) == 3

    said = two.ok("tidy", "--older-than", "90d").err

    assert "removed the files of 1 submissions" in said
    assert "2 kept" in said
    assert foreign in control_dirs(two)
    assert len(control_dirs(two)) == 2
    assert "its output is not kept any more" in two.ok("logs", "old").out
    assert two.ok("logs", "new").out.splitlines()[-1] == "42"
    assert (two.workspace("old") / "made").read_text() == "made\n"
    assert "were removed (gateway tidy)" in two.ok("explain", "old").out
    assert "removed the files of 0 submissions" in two.ok("tidy", "--older-than", "90d").err


def test_what_still_runs_is_kept(bench: Bench) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO))
    bench.ok("submit", "-n", "w")
    with ended(bench.start("wait", "w")):
        started = bench.workspace("w") / "started"
        while not started.exists():
            time.sleep(0.02)
        ended_days_ago(bench, 400)
        assert bench.ok("tidy", "--older-than", "1d", "--json").json()["removed"] == []
        (started.parent / "go").touch()
    bench.ok("wait", "w")
    assert len(control_dirs(bench)) == 1


def test_what_is_cut_short_is_done_by_the_next_call(two: Bench) -> None:
    ended_days_ago(two, 91, "old")
    found = two.ok("tidy", "--older-than", "90d", "--dry-run", "--json").json()
    (key,) = found["removable"]
    shutil.rmtree(two.shared / "control" / key / "tasks")
    assert two.ok("tidy", "--older-than", "90d", "--json").json()["removed"] == [key]
    assert not (two.shared / "control" / key).exists()


def test_what_cannot_be_removed_is_named(two: Bench) -> None:
    ended_days_ago(two, 91)
    first = control_dirs(two)[0]
    (first / "job.sh").unlink()
    (first / "job.sh").mkdir()
    said = two.run("tidy", "--older-than", "90d")
    assert said.code == ExitCode.FAILED
    assert f"not removed {first}: " in said.err
    assert control_dirs(two) == [first]


@pytest.mark.parametrize("age", ["23h", "0", "soon", "-5d"])
def test_an_age_that_is_no_age_or_too_short_is_refused(bench: Bench, age: str) -> None:
    said = bench.refused(ExitCode.USAGE, "tidy", "--older-than", age)
    assert "day" in said or "is not a duration" in said


def test_a_place_where_nothing_ran_is_tidy(bench: Bench) -> None:
    assert "removed the files of 0 submissions" in bench.ok("tidy", "--older-than", "90d").err
