"""A fetch with real Apptainer is killed; its Apptainer may live on; the next fetch is right.

Every point is killed with a program in the place of Apptainer: tests/crash/test_killed_fetches.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.containers.image_store import is_sif
from gateway.containers.result import Fetched, read_result
from gateway.crash_points import KILL_AT, CrashPoint
from tests.crash.processes import CHECKOUT, KILLED

pytestmark = [pytest.mark.apptainer, pytest.mark.timeout(300)]

SMALL = "docker.io/library/busybox:latest"
P = CrashPoint
POINTS = (P.LAYERS_UNDER_WAY, P.SIF_WRITTEN, P.SIF_NAMED)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed_conversion(tmp_path: Path, point: CrashPoint) -> None:
    store, result = tmp_path / "image store", tmp_path / "result.json"
    argv = [sys.executable, "-m", "gateway.containers.fetch", f"--reference={SMALL}"]
    argv += [f"--store={store}", f"--result={result}"]

    def fetch(kill_at: str) -> int:
        environ = {**os.environ, KILL_AT: kill_at}
        return subprocess.run(
            argv, cwd=CHECKOUT, env=environ, stdout=subprocess.DEVNULL, timeout=200, check=False
        ).returncode

    assert fetch(point.name) == KILLED
    assert all(is_sif(path) for path in store.glob("*.sif"))

    assert fetch("") == 0
    found = read_result(result)
    assert isinstance(found, Fetched)
    assert list((store / "partial").iterdir()) == []
    ran = subprocess.run(
        ["apptainer", "-s", "exec", found.image.path, "echo", "alive"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "alive\n", ran.stderr
