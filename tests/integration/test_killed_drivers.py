"""A driver is killed (SIGKILL) at every crash point, over real Slurm and HTCondor; others go on.

The scenes are those of tests/crash/test_killed_processes.py. Each scheduler has its turn in one
flavour of the test bed, each of its points with one driver and one database, and with the other
ones over the other scheduler. ``GATEWAY_TEST_COMBINATIONS=all`` plays every point over both, with
every driver and every database; the points of commands, too, before a scheduler hears of it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from gateway.crash_points import CrashPoint
from tests.crash import test_killed_processes as scenes
from tests.crash.postgresql import emptied
from tests.crash.processes import DIES_ONCE, LONG, Zygote
from tests.integration.batch import BatchBench, selected, side_by_side
from tests.integration.faults.catalogue import EVER
from tests.integration.faults.plan import Fault
from tests.integration.place import EVERYTHING, IN_TEST_BED, private_postgresql, share

P = CrashPoint
IMAGES = {point for point in P if point.place == "images"}
ELSEWHERE = {point for point in P if point.place in ("conversion", "download")}
COMMANDS = scenes.BY_COMMANDS | {point for point in P if point.place == "removal"}
CLUSTERS = ("slurm", "htcondor")
WAYS = (("tick", "sqlite"), ("serve", "postgresql"), ("tick", "postgresql"), ("serve", "sqlite"))
"""Drivers and databases; next to each other are those that have nothing in common."""
VANISHED = (
    Fault("not listed", "squeue", last=EVER, edits=(("drop", "gw[0-9a-f]{16}"),)),
    Fault("not in accounting", "sacct", last=EVER, edits=(("drop", "gw[0-9a-f]{16}"),)),
)
IMAGE = "docker.io/library/busybox:latest"
Which = tuple[str, str, str, CrashPoint]


def chosen(*clusters: str) -> list[Which]:
    """Return one way for each point over each cluster."""
    points = scenes.sorted_points(set(P) - COMMANDS - ELSEWHERE)
    return [
        (cluster, *WAYS[number % 4 ^ CLUSTERS.index(cluster)], point)
        for cluster in clusters
        for number, point in enumerate(points)
    ]


def everything() -> list[Which]:
    """Return all ways for all points over all clusters."""
    points = scenes.sorted_points(set(P) - ELSEWHERE)
    return [(cluster, *way, point) for cluster, way, point in product(CLUSTERS, WAYS, points)]


PARAMETERS = [
    pytest.param(
        which,
        marks=[getattr(pytest.mark, which[0]), pytest.mark.xdist_group(f"killed over {which[0]}")],
        id="-".join([*which[:3], which[3].name]),
    )
    for which in (everything() if EVERYTHING else chosen(*share(sid="slurm", trixie="htcondor")))
]

pytestmark = [IN_TEST_BED, pytest.mark.apptainer, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Which, Future[None]]]:
    wanted: list[Which] = selected(request, "which")
    with ExitStack() as stack:
        server = None
        if any("postgresql" in which for which in wanted):
            server = stack.enter_context(private_postgresql(tmp_path_factory.mktemp("pg")))
        yield stack.enter_context(side_by_side(wanted, partial(live, server)))


@pytest.mark.parametrize("which", PARAMETERS)
def test_killed_driver(which: Which, lives: Mapping[Which, Future[None]]) -> None:
    lives[which].result()


def test_what_is_chosen_meets_every_pair() -> None:
    """Of cluster, driver and database; and each point meets each of them."""
    shared, all_ways = chosen(*CLUSTERS), everything()
    for some in combinations(range(3), 2):
        assert {tuple(each[i] for i in some) for each in shared} == {
            tuple(each[i] for i in some) for each in all_ways
        }
    for kind in range(3):
        assert {(each[kind], each[3]) for each in shared} == {
            (each[kind], each[3]) for each in all_ways if each[3] not in COMMANDS
        }


def live(server: str | None, which: Which, zygote: Zygote, root: Path) -> None:
    cluster, driver, database, point = which
    around = surroundings(cluster, point, root)
    if database == "postgresql":
        assert server is not None
        around["url"] = emptied(server, f"life{root.name}")
    bench = BatchBench(root, zygote, cluster=cluster, **around)
    try:
        if point in IMAGES:
            fetches(bench, point, driver)
        elif point in scenes.GIVEN_UP:
            {"slurm": vanishes, "htcondor": is_held}[cluster](bench, point, driver)
        elif point in scenes.STOP:
            scenes.test_killed_while_it_stops(bench, point, driver)
        elif point in scenes.LATER:
            scenes.restart_and_delete(bench, point, driver)
        elif point in scenes.BY_COMMANDS:
            scenes.command_is_given_again(bench, point, driver)
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
    lost = f"{bench.command('a.log')}; {DIES_ONCE}"
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
