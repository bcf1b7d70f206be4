"""A driver is killed (SIGKILL) at every crash point, over real Slurm and HTCondor; others go on.

The scenes are those of tests/crash/test_killed_processes.py. Slurm is driven by ``tick`` and
HTCondor by ``serve``, each in one flavour of the test bed; ``GATEWAY_TEST_DRIVERS=all`` plays
everything both ways in this one. What commands do
before a scheduler hears of it (create, staging, files, migration) is killed in tests/crash alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from gateway.crash_points import CrashPoint
from tests.crash import test_killed_processes as scenes
from tests.crash.processes import LONG, Zygote
from tests.integration.batch import BatchBench, selected, side_by_side
from tests.integration.faults.catalogue import EVER
from tests.integration.faults.plan import Fault
from tests.integration.place import EVERYTHING, IN_TEST_BED, share

P = CrashPoint
IMAGES = {point for point in P if point.place == "images"}
ELSEWHERE = {point for point in P if point.place in ("conversion", "download", "removal")}
DRIVERS = {"slurm": ["tick"], "htcondor": ["serve"]}
VANISHED = (
    Fault("not listed", "squeue", last=EVER, stdout=""),
    Fault("not in accounting", "sacct", last=EVER, stdout=""),
)
IMAGE = "docker.io/library/busybox:latest"
PARAMETERS = [
    pytest.param(
        (cluster, driver, point),
        marks=[getattr(pytest.mark, cluster), pytest.mark.xdist_group(f"killed over {cluster}")],
        id=f"{cluster}-{driver}-{point.name}",
    )
    for cluster in share(sid="slurm", trixie="htcondor")
    for driver in (["tick", "serve"] if EVERYTHING else DRIVERS[cluster])
    for point in scenes.sorted_points(set(P) - scenes.BY_COMMANDS - ELSEWHERE)
]
Which = tuple[str, str, CrashPoint]

pytestmark = [IN_TEST_BED, pytest.mark.apptainer, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lives(request: pytest.FixtureRequest) -> Iterator[Mapping[Which, Future[None]]]:
    with side_by_side(selected(request, "which"), live) as futures:
        yield futures


@pytest.mark.parametrize("which", PARAMETERS)
def test_killed_driver(which: Which, lives: Mapping[Which, Future[None]]) -> None:
    lives[which].result()


def live(which: Which, zygote: Zygote, root: Path) -> None:
    cluster, driver, point = which
    bench = BatchBench(root, zygote, cluster=cluster, **surroundings(cluster, point, root))
    try:
        if point in IMAGES:
            fetches(bench, point, driver)
        elif point in scenes.GIVEN_UP:
            {"slurm": vanishes, "htcondor": is_held}[cluster](bench, point, driver)
        elif point in scenes.STOP:
            scenes.test_killed_while_it_stops(bench, point, driver)
        elif point in scenes.LATER:
            scenes.test_killed_restart_and_delete(bench, point)
        else:
            scenes.test_killed_driver(bench, point, driver)
    finally:
        bench.close()


def surroundings(cluster: str, point: CrashPoint, root: Path) -> dict[str, Any]:
    if point in IMAGES:
        # HTCondor hides /var/tmp of the login node from jobs, and this checkout may lie there.
        place = {"build_cluster": cluster if cluster == "slurm" else "local"}
        containers = {"runtime": "apptainer", "image_store": f"{root}/images", **place}
        return {"containers": containers, "beside": {"local": {"type": "local"}}}
    if point is P.RESEND_FORBIDDEN:
        return {"settings": {"resend_after": 20}}
    if point in scenes.GIVEN_UP and cluster == "slurm":
        return {"faults": VANISHED, "settings": {"lost_after": 4}}
    if point in scenes.GIVEN_UP:
        return {"settings": {"held_for": 0}}
    return {}


def fetches(bench: BatchBench, point: CrashPoint, driver: str) -> None:
    """The image of the step is converted by a job."""
    scenes.submitted(bench, 'echo "$$GATEWAY_KEY" >> keys', image=IMAGE)
    bench.kill_at = [point.name]

    bench.drive(driver)

    assert bench.statuses() == ["finished"], bench.told()
    (workspace,) = bench.rows("SELECT workspace FROM workflows")[0]
    assert len((Path(workspace) / "keys").read_text().split()) == 1
    scenes.finish(bench, point)


def vanishes(bench: BatchBench, point: CrashPoint, driver: str) -> None:
    """The first attempt kills its own job script, and the scheduler does not know it any more."""
    lost = f"{bench.command('a.log')}; [ -e once ] || {{ touch once; kill -9 $$PPID; exit 1; }}"
    scenes.submitted(bench, lost)
    bench.kill_at = [point.name]

    bench.drive(driver)

    assert bench.statuses() == ["finished"], bench.told()
    assert len(bench.lines("a.log")) == 2
    scenes.finish(bench, point)


def is_held(bench: BatchBench, point: CrashPoint, driver: str) -> None:
    """Somebody holds the job, and the site has no patience with that."""
    scenes.submitted(bench, f"{bench.command('a.log')}; {LONG}")
    bench.drive(driver, lambda: bool(bench.lines("a.log")))
    (native_id,) = bench.submissions()
    subprocess.run(["condor_hold", native_id], check=True, capture_output=True)
    bench.kill_at = [point.name]

    bench.drive(driver)

    assert bench.statuses() == ["failed"], bench.told()
    assert len(bench.lines("a.log")) == 1
    scenes.finish(bench, point)
