"""A gateway of one test inside the test bed, and the ways to drive it."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from gateway.cli.main import run as run_gateway

GATEWAY = [sys.executable, "-m", "gateway"]
TICK_EVERY_S = 2.0
"""Many places tick at once on few cores, and starting Python is most of a tick."""
DRIVERS = ("run", "serve", "tick")
EVERYTHING = os.environ.get("GATEWAY_TEST_COMBINATIONS") == "all"
"""Whether each flavour of the test bed plays what they else share between them, in every way."""
FLAVOUR = os.environ.get("GATEWAY_TESTBED", "").partition("/")[0]


def share(*, sid: str, trixie: str) -> tuple[str, ...]:
    """Return the engines that long tests take in this flavour: together they are all of them."""
    if EVERYTHING or FLAVOUR not in ("sid", "trixie"):
        return (sid, trixie)
    return (sid,) if FLAVOUR == "sid" else (trixie,)


def ways(*number: int) -> tuple[str, ...]:
    """Return how to drive what has this place among things of its kind.

    In every way there is; in the older flavour in one, with neighbours driven in the others.
    """
    if FLAVOUR == "trixie" and not EVERYTHING:
        return (DRIVERS[sum(number) % len(DRIVERS)],)
    return DRIVERS


IN_TEST_BED = pytest.mark.skipif(
    "GATEWAY_TESTBED" not in os.environ, reason="needs the test bed: scripts/testbed run"
)


@contextmanager
def private_postgresql(directory: Path) -> Iterator[str]:
    """Start a private PostgreSQL and return the SQLAlchemy URL of an empty database.

    Parameters
    ----------
    directory
        With a short path: that of a unix socket has at most 107 bytes.
    """
    if shutil.which("testbed-postgres") is None:
        pytest.skip("needs the test bed's PostgreSQL (testbed-postgres)")
    done = subprocess.run(
        ["testbed-postgres", "start", str(directory)], capture_output=True, text=True, check=True
    )
    try:
        yield done.stdout.strip()
    finally:
        subprocess.run(["testbed-postgres", "stop", str(directory)], check=False)


@dataclass(frozen=True)
class Place:
    """A gateway of its own: site file, state, shared root."""

    site_file: Path
    environ: dict[str, str]

    def call(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GATEWAY, *words],
            env=self.environ,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def data(self, *words: str) -> dict[str, Any]:
        done = self.call(*words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def make_place(
    home: Path,
    database: str | None = None,
    clusters: dict[str, Any] | None = None,
    containers: dict[str, Any] | None = None,
) -> Place:
    """Write a site file like the test bed's own, with images shared between tests."""
    site = yaml.safe_load(Path("/etc/gateway/site.yaml").read_text())
    site |= {
        "shared_root": str(home / "shared root"),
        "state_dir": str(home / "state"),
        "containers": {"image_store": str(Path.home() / "images")} | (containers or {}),
    }
    for name, settings in (clusters or {}).items():
        site["clusters"][name] = site["clusters"].get(name, {}) | settings
    if database:
        site["database"] = database
    site_file = home / "site.yaml"
    site_file.write_text(yaml.safe_dump(site))
    root = str(Path(__file__).resolve().parents[2])
    environ = {**os.environ, "GATEWAY_SITE": str(site_file), "PYTHONPATH": root}
    environ.pop("REANA_WORKON", None)
    return Place(site_file, environ)


def called(place: Place, *words: str) -> str:
    """Run a command of the gateway in this process, which is quicker; return its output."""
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with (
        warnings.catch_warnings(),
        mock.patch.dict(os.environ, place.environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        # Python closes what a command leaves open when its process ends, which it does not here.
        warnings.simplefilter("ignore", ResourceWarning)
        code = run_gateway(list(words))
        gc.collect()
    said, trouble = (each.detach().getvalue().decode() for each in (out, err))
    assert code == 0, f"{words}: {trouble}"
    return str(said)


def drive(place: Place, how: str, file: Path, cluster: str) -> str:
    """Bring a workflow from its file to its end in one of the ways; return its id."""
    words = (str(file), "--cluster", cluster)
    if how == "run":
        done = place.call("run", *words, "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["id"])
    started = place.call("submit", *words)
    assert started.returncode == 0, started.stderr
    workflow = started.stdout.strip()
    if how == "tick":
        _tick_until_over(place, workflow)
    else:
        _serve_until_over(place, workflow)
    return workflow


def _is_over(place: Place, workflow: str) -> bool:
    status = json.loads(called(place, "status", workflow, "--json"))["status"]
    return status in ("finished", "failed", "stopped")


def _tick_until_over(place: Place, workflow: str) -> None:
    deadline = time.monotonic() + 240
    while not _is_over(place, workflow):
        assert time.monotonic() < deadline, place.call("explain", workflow).stdout
        ticked = place.call("tick")
        assert ticked.returncode == 0, ticked.stderr
        time.sleep(TICK_EVERY_S)


def _serve_until_over(place: Place, workflow: str) -> None:
    server = subprocess.Popen([*GATEWAY, "serve"], env=place.environ, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while not _is_over(place, workflow):
            assert time.monotonic() < deadline, place.call("explain", workflow).stdout
            time.sleep(0.3)
    finally:
        server.terminate()
        assert server.wait(20) == 0


def workspace_of(place: Place, workflow: str) -> Path:
    data = place.data("status", workflow)
    assert data["status"] == "finished", place.call("explain", workflow).stdout
    return Path(str(data["workspace"]))
