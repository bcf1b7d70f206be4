"""Faults of a real HTCondor, and what the user of a gateway sees of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.place import IN_TEST_BED
from tests.integration.under_fault import (
    FIRST_WAITS,
    ONCE,
    Gateway,
    Run,
    as_root,
    parent_of,
    processes,
    program_of,
    said_by,
    working,
)

pytestmark = [
    pytest.mark.htcondor,
    pytest.mark.apptainer,
    pytest.mark.timeout(500),
    IN_TEST_BED,
    pytest.mark.xdist_group("real faults htcondor"),
]

QUICK = {"type": "htcondor", "status_interval": 2, "status_calls_per_minute": 60}
CLUSTERS = {
    "htcondor": QUICK,
    "bad-executable": {**QUICK, "extra_lines": ["executable = /no/such/program"]},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with working(CLUSTERS) as made:
        yield made


def job_of(run: Run) -> str:
    """Return HTCondor's id of the job."""
    return str(run.last()["scheduler_id"])


def runs_again(run: Run) -> str:
    """Check that HTCondor starts the same attempt once more; return what is said of it."""
    explained = run.ends("finished")
    assert [(each["number"], each["outcome"]) for each in run.attempts()] == [(1, "success")]
    assert (run.count(), run.count("ends")) == (2, 1)
    # A start that came to nothing has a number too.
    assert f"restart {max(claim['restart'] for claim in run.claims())}" in explained
    return explained


def test_a_job_held_by_a_person_waits_for_its_release(gateway: Gateway) -> None:
    run = gateway.submit(FIRST_WAITS, cluster="htcondor")
    run.started()
    run.attempt()
    said_by("condor_hold", "-reason", "looks odd", job_of(run))
    explained = run.says("The job is held", "held by a person")
    assert "looks odd" in explained
    assert "waits for somebody to release or remove it" in explained
    assert run.status()["status"] == "running"
    said_by("condor_release", job_of(run))
    assert "looks odd" in runs_again(run)


@pytest.mark.parametrize("how", [(), ("-fast",)])
def test_a_vacated_job_is_started_again(gateway: Gateway, how: tuple[str, ...]) -> None:
    run = gateway.submit(FIRST_WAITS, cluster="htcondor")
    run.started()
    run.attempt()
    said_by("condor_vacate_job", *how, job_of(run))
    runs_again(run)


def starter_of(run: Run) -> int:
    """Return the starter above the process that claimed the attempt."""
    pid = int(run.claims()[0]["pid"])
    while program_of(pid) != "condor_starter":
        pid = parent_of(pid)
    return pid


def shadow_of(run: Run) -> int:
    (pid,) = processes("condor_shadow", f"{job_of(run)} ")
    return pid


@pytest.mark.parametrize("victim", [starter_of, shadow_of])
def test_a_killed_starter_or_shadow_costs_a_restart(
    gateway: Gateway, victim: Callable[[Run], int]
) -> None:
    run = gateway.submit(FIRST_WAITS, cluster="htcondor")
    run.started()
    run.attempt()
    as_root("kill", "-KILL", str(victim(run)))
    runs_again(run)


def test_an_executable_that_is_not_there(gateway: Gateway) -> None:
    run = gateway.submit(ONCE, cluster="bad-executable")
    explained = run.says("attempt 2 follows")
    first = run.attempts()[0]
    assert first["outcome"] == "node bad"
    assert "the job script could not be executed" in first["reason"]
    assert "/no/such/program" in first["reason"]
    assert "away from" in explained
    assert gateway.place.call("stop", run.id).returncode == 0
    run.ends("stopped")
    assert run.count() == 0


def test_an_image_that_vanishes_between_two_steps(tmp_path: Path) -> None:
    store = Path.home() / "tests" / f"images {tmp_path.name}"
    store.mkdir(parents=True)
    with working(CLUSTERS, containers={"image_store": str(store)}) as gateway:
        run = gateway.submit(ONCE, "echo ran >> starts", cluster="htcondor")
        run.started(seconds=120)
        (image,) = store.glob("*.sif")
        image.unlink()
        run.go()
        explained = run.ends("failed", unreached=1)
        assert run.last()["outcome"] == "image"
        assert f"could not open image {image}" in explained
        assert run.count() == 1
    shutil.rmtree(store)


@pytest.mark.alone
def test_the_schedd_is_away_while_a_job_runs_and_while_one_ends(gateway: Gateway) -> None:
    runs, ends = (gateway.submit(ONCE, cluster="htcondor") for _ in range(2))
    for run in (runs, ends):
        run.started()
        run.attempt()
    as_root("testbed-service", "schedd", "stop")
    try:
        ends.go()
        ends.until(lambda: ends.status()["status"] == "finished")
        assert runs.attempt()["state"] == "running"
    finally:
        as_root("testbed-service", "schedd", "start")
    runs.go()
    for run in (runs, ends):
        run.ends("finished")
        assert (run.count(), run.count("ends")) == (1, 1)
