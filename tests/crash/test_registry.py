"""The registry of crash points: each is hooked once, documented, and asked for rightly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.crash_points import CrashPoint, crash_point, hook_from, set_hook
from tests.crash import test_killed_fetches, test_killed_files, test_killed_processes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("point", CrashPoint, ids=lambda point: point.name)
def test_every_point_is_hooked_and_documented(point: CrashPoint) -> None:
    text = "".join(
        path.read_text()
        for path in (ROOT / "gateway").rglob("*.py")
        if path.name != "crash_points.py"
    )
    assert len(re.findall(rf"crash_point\(CrashPoint\.{point.name}\)", text)) == 1
    page = (ROOT / "docs" / "howto" / "chaos.md").read_text()
    assert f"| `{point.name}` | {point.place} | {point.done}" in page
    assert f"| {point.left} |" in page


def test_every_point_is_killed_with_real_processes() -> None:
    """What test_killed_processes.py leaves out, its neighbours kill."""
    others = {*test_killed_fetches.POINTS, *test_killed_fetches.NEWS, *test_killed_files.DOWNLOAD}
    assert others >= test_killed_processes.ELSEWHERE
    assert set(CrashPoint) == others | test_killed_processes.KILLED_HERE


def kill_at(text: str, *points: CrashPoint) -> int:
    script = (
        "from gateway.crash_points import CrashPoint, crash_point\n"
        f"for name in {[point.name for point in points]}:\n"
        "    crash_point(CrashPoint[name])\n"
    )
    environ = {**os.environ, "GATEWAY_CRASH_AT": text}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, check=False, capture_output=True
    ).returncode


def test_process_dies_at_the_passage_asked_for() -> None:
    first, second = CrashPoint.CALL_WRITTEN, CrashPoint.CALL_MADE
    assert kill_at("", first, second) == 0
    assert kill_at("CALL_MADE", first) == 0
    assert kill_at("CALL_MADE", first, second) == -signal.SIGKILL
    assert kill_at("CALL_MADE:2", second) == 0
    assert kill_at("CALL_MADE:2", second, second) == -signal.SIGKILL
    assert kill_at("ANY:2", first, second) == -signal.SIGKILL


def test_unknown_point_is_refused() -> None:
    with pytest.raises(ValueError, match="NOWHERE"):
        hook_from({"GATEWAY_CRASH_AT": "NOWHERE"})
    assert kill_at("NOWHERE") == 1


def test_hook_sees_every_point_until_it_is_taken_away() -> None:
    seen: list[CrashPoint] = []
    set_hook(seen.append)
    crash_point(CrashPoint.LOOKED_UP)
    set_hook(None)
    crash_point(CrashPoint.CALL_MADE)
    assert seen == [CrashPoint.LOOKED_UP]
