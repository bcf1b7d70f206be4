"""What a person sees on a terminal: narrow ones, long names, little progress."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, Result, ended, step

SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
CLUSTER = {"screen": {"type": "local", "cpus": 4, "memory": "4 GiB"}}
LONG = "first" + "x" * 150 + "last"


def on_terminal(bench: Bench, columns: int, *words: str, raw: bool = False) -> Result:
    """Run a command on a terminal of so many columns; what it wrote, without colours if not raw."""
    command = [sys.executable, "-c", SPAWN, sys.executable, "-m", "gateway", *words]
    with ended(
        subprocess.Popen(
            ["env", f"COLUMNS={columns}", "TERM=xterm", *command],
            cwd=bench.here,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        out, err = process.communicate(timeout=90)
    print(out, err)
    text = out if raw else re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", out)
    return Result(process.returncode, text, err)


@pytest.fixture
def long_names(bench: Bench) -> Bench:
    bench.write_site(clusters=CLUSTER)
    bench.write_spec(step(LONG, "true"), step("b", "false"))
    assert bench.run("run", "-q", "-n", LONG).code == ExitCode.FAILED
    return bench


@pytest.mark.parametrize("columns", [40, 80])
def test_no_line_is_wider_than_the_terminal(long_names: Bench, columns: int) -> None:
    listed = on_terminal(long_names, columns, "list")
    status = on_terminal(long_names, columns, "status", "-v", LONG)

    for shown in (listed.out, status.out.partition("workspace: ")[0]):
        assert max(map(len, shown.splitlines())) <= columns
        assert "failed" in shown
        assert "first" in shown
        assert "…" in shown


def test_elsewhere_names_are_whole(long_names: Bench) -> None:
    assert LONG in long_names.ok("list").out
    assert LONG in long_names.ok("status", "-v", LONG).out


def test_lines_for_people_shorten_long_names(long_names: Bench) -> None:
    said = long_names.run("run").err

    lines = [line for line in said.splitlines() if "xxx" in line]
    assert lines
    assert all("…" in line and "last" in line and len(line) < 140 for line in lines)


def test_the_live_table_has_room_for_states_on_a_narrow_terminal(long_names: Bench) -> None:
    shown = on_terminal(long_names, 40, "run")

    assert shown.code == ExitCode.FAILED
    assert "failed, exit" in shown.out


def test_without_progress_the_end_names_the_steps_also_on_a_terminal(long_names: Bench) -> None:
    shown = on_terminal(long_names, 100, "run", "-q")

    assert re.search(r"^  first\S+last +\S+  finished", shown.out, re.MULTILINE)
    assert re.search(r"^  b +\S+  failed", shown.out, re.MULTILINE)


def test_no_colours_where_none_are_wanted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write_site(clusters=CLUSTER)
    bench.write_spec(step("a", "true"))
    bench.ok("create")
    bench.ok("start", "workflow")
    assert "\x1b[" in on_terminal(bench, 100, "list", raw=True).out
    assert "\x1b[" in on_terminal(bench, 100, "status", "nosuch", raw=True).out

    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in on_terminal(bench, 100, "list", raw=True).out
    assert "\x1b[" not in on_terminal(bench, 100, "status", "nosuch", raw=True).out


def test_a_name_that_is_too_long_says_how_long_it_may_be(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))

    said = bench.refused(ExitCode.USAGE, "run", "-n", "n" * 201)

    assert "201 characters" in said
    assert "at most 200" in said
