"""A fetch of an image is killed at every crash point; the next one makes it whole, at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.containers.image_store import architecture, is_sif, read_record, sif_path
from gateway.containers.result import Fetched, read_result
from gateway.crash_points import KILL_AT, PAUSE_AT, CrashPoint
from gateway.errors import ExitCode
from tests.crash.image_source import DIGEST, ImageSource, image_source
from tests.crash.processes import CHECKOUT, KILLED, Bench
from tests.crash.test_killed_processes import finish, submitted
from tests.crash.zygote import PYTHON, state_of

P = CrashPoint
POINTS = [point for point in P if point.place == "conversion"]
SOON_S = 30.0
"""Less than the time after which a claim of another host is taken over."""


@pytest.fixture
def source(tmp_path: Path) -> Iterator[ImageSource]:
    with image_source(tmp_path / "programs") as made:
        yield made


@dataclass(frozen=True, slots=True)
class Store:
    """A store of images, and fetches into it."""

    path: Path
    source: ImageSource

    @property
    def result(self) -> Path:
        return self.path / "results" / "job.json"

    @property
    def sif(self) -> Path:
        return sif_path(self.path, DIGEST, architecture())

    def start(self, **environ: str) -> subprocess.Popen[bytes]:
        """Start a fetch."""
        words = [f"--reference={self.source.image}", f"--store={self.path}"]
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.containers.fetch", *words, f"--result={self.result}"],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "PATH": f"{self.source.programs}:{os.environ['PATH']}",
                "TMPDIR": str(self.path.parent),
                **environ,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def fetch(self, kill_at: str = "") -> int:
        """Fetch the image; return the exit status."""
        process = self.start(**{KILL_AT: kill_at})
        said, _ = process.communicate(timeout=SOON_S)
        return process.returncode if process.returncode <= 0 else self._failed(said)

    def _failed(self, said: bytes) -> int:
        pytest.fail(said.decode())

    def half_visible(self) -> list[str]:
        """Return images and records that are there and not whole."""
        found = [path.name for path in self.path.glob("*.sif") if not self._is_whole(path)]
        for path in (self.path / "references").glob("*.json"):
            try:
                json.loads(path.read_text())
            except ValueError:
                found.append(path.name)
        return found

    def _is_whole(self, path: Path) -> bool:
        return is_sif(path) and path.read_bytes() == self.source.sif

    def litter(self) -> list[Path]:
        """Return what takes room: conversions under way."""
        return list((self.path / "partial").iterdir())


@pytest.fixture
def store(tmp_path: Path, source: ImageSource) -> Store:
    (tmp_path / "images").mkdir()
    return Store(tmp_path / "images", source)


def check(store: Store) -> None:
    """The image is there, whole, once, and nothing else is left."""
    assert store.half_visible() == []
    assert [path.name for path in store.path.glob("*.sif")] == [store.sif.name]
    assert store.litter() == []
    record = read_record(store.path, store.source.image)
    assert record is not None
    assert record.digest == DIGEST
    result = read_result(store.result)
    assert isinstance(result, Fetched)
    assert result.image.path == str(store.sif)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed_fetch(store: Store, point: CrashPoint) -> None:
    if point is P.CLAIM_REPLACING:
        assert store.fetch("CLAIM_TAKEN") == KILLED
    assert store.fetch(point.name) == KILLED
    assert store.half_visible() == []

    assert store.fetch() == 0

    check(store)
    assert store.source.builds <= 2

    store.sif.unlink()
    assert store.fetch() == 0
    check(store)


def test_killed_fetch_whose_apptainer_lives_on(store: Store) -> None:
    """It works in directories that nobody knows any more, and does no harm."""
    store.source.hold.touch()
    assert store.fetch("LAYERS_UNDER_WAY") == KILLED
    other = store.start()
    while store.source.builds < 2:
        assert other.poll() is None
        time.sleep(0.02)
    store.source.hold.unlink()
    other.communicate(timeout=SOON_S)

    assert other.returncode == 0
    check(store)


@pytest.mark.parametrize("point", [P.CLAIM_TAKEN, P.SIF_WRITTEN, P.SIF_SYNCED, P.SIF_NAMED])
def test_killed_while_another_fetch_waits(store: Store, point: CrashPoint) -> None:
    first = store.start(**{PAUSE_AT: point.name})
    while state_of(first.pid) != "T":
        assert first.poll() is None
        time.sleep(0.02)
    second = store.start()
    if point is not P.SIF_NAMED:
        wait_for_contender(store, second)
    first.kill()
    first.communicate()
    second.communicate(timeout=SOON_S)

    assert second.returncode == 0
    check(store)


def wait_for_contender(store: Store, process: subprocess.Popen[bytes]) -> None:
    """Wait until a second fetch has written the file with which it contends for the claim."""
    while len(list((store.path / "claims").glob(".*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)


def test_sleeping_fetch_that_wakes_after_another_one_converted(store: Store) -> None:
    """The owner of a claim may be paused for longer than its claim holds: on another host."""
    first = store.start(**{PAUSE_AT: P.SIF_SYNCED.name})
    while state_of(first.pid) != "T":
        assert first.poll() is None
        time.sleep(0.02)
    (claim,) = [path for path in (store.path / "claims").iterdir() if path.name[0] != "."]
    os.utime(claim, (1, 1))
    assert store.fetch() == 0
    os.kill(first.pid, signal.SIGCONT)
    first.communicate(timeout=SOON_S)

    assert first.returncode in (ExitCode.OK, ExitCode.UNREACHABLE)
    assert store.fetch() == 0
    check(store)


NEWS = [point for point in P if point.place == "images"]


@pytest.mark.parametrize("driver", ["tick", "serve"])
@pytest.mark.parametrize("point", NEWS, ids=lambda point: point.name)
def test_killed_driver_learns_of_the_image(
    bench: Bench, source: ImageSource, point: CrashPoint, driver: str
) -> None:
    """Two steps in a real fetch's image; the driver is killed around the news of it."""
    use_images(bench, source)
    submitted(bench, bench.command("a.log"), bench.command("b.log"), image=source.image)
    bench.kill_at = [point.name]

    bench.drive(driver)

    assert bench.statuses() == ["finished"], bench.told()
    assert [len(bench.lines(log)) for log in ("a.log", "b.log")] == [1, 1], bench.told()
    assert source.builds == 1
    finish(bench, point)


def test_killed_fetch_job_is_tried_again(bench: Bench, source: ImageSource) -> None:
    """The first Apptainer kills the fetch that called it."""
    use_images(bench, source)
    program = source.programs / "apptainer"
    kill = 'if [[ " $* " = *" build "* && ! -e "$here/once" ]]; then touch "$here/once"; '
    program.write_text(
        program.read_text().replace("case", f"{kill}kill -9 $PPID; exit 1; fi\ncase", 1)
    )
    submitted(bench, bench.command("a.log"), image=source.image)

    bench.drive("tick")

    assert bench.statuses() == ["finished"], bench.told()
    assert len(bench.lines("a.log")) == 1
    assert (source.programs / "once").exists()
    assert bench.wrong() == [], bench.told()


def use_images(bench: Bench, source: ImageSource) -> None:
    """Have jobs run in the source's image."""
    bench.containers = {"runtime": "apptainer"}
    bench.write_site()
    bench.environ["PATH"] = f"{source.programs}:{os.environ['PATH']}"
    # Jobs have a clean environment: the gateway under test is found as if it were installed.
    python = source.programs / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    bench.environ[PYTHON] = str(python)
