"""Faults of a real Slurm, and what the user of a gateway sees of them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.place import IN_TEST_BED
from tests.integration.under_fault import (
    FIRST_WAITS,
    ONCE,
    Gateway,
    Run,
    as_root,
    said_by,
    working,
)

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.apptainer,
    pytest.mark.timeout(500),
    IN_TEST_BED,
    pytest.mark.xdist_group("real faults slurm"),
]

LOST_AFTER_S = 3
QUICK = {"type": "slurm", "partition": "main", "status_interval": 2, "status_calls_per_minute": 60}
CLUSTERS = {
    "slurm": {**QUICK, "maximum": {"memory": "300 MiB", "walltime": "2m"}},
    "no-requeue": {**QUICK, "extra_arguments": ["--no-requeue"]},
    "on-hold": {**QUICK, "lost_after": LOST_AFTER_S, "extra_arguments": ["--hold"]},
}
DRIVER = ("tick", "--for", "1200")
EATS = "echo ran >> starts; (head -c {mib}000000 /dev/zero; sleep 60) | tail >/dev/null"
NODES = "node[1-2]"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with working(CLUSTERS, driver=DRIVER) as made:
        yield made


@pytest.fixture(scope="module")
def too_long(gateway: Gateway) -> Run:
    """Start what runs into its walltime early: Slurm counts whole minutes."""
    return gateway.submit(FIRST_WAITS, cluster="slurm", walltime="1m")


def state_of(node: str, state: str, reason: str = "") -> None:
    words = [f"Reason={reason}"] if reason else []
    as_root("scontrol", "update", f"NodeName={node}", f"State={state}", *words)


def restore_nodes() -> None:
    """Bring every node back into service, whatever was done to it."""
    for node in ("node1", "node2"):
        as_root("testbed-service", node, "start")
    # Slurm refuses to resume a node that needs it not.
    subprocess.run(
        ["sudo", "-n", "scontrol", "update", f"NodeName={NODES}", "State=RESUME"],
        capture_output=True,
        check=False,
    )


@pytest.fixture
def nodes() -> Iterator[None]:
    try:
        yield
    finally:
        restore_nodes()


@contextmanager
def without(service: str) -> Iterator[None]:
    as_root("testbed-service", service, "stop")
    try:
        yield
    finally:
        as_root("testbed-service", service, "start")


@pytest.mark.usefixtures("too_long")
def test_a_requeue_is_another_start_of_the_same_attempt(gateway: Gateway) -> None:
    run = gateway.submit(FIRST_WAITS, cluster="slurm")
    run.started()
    said_by("scontrol", "requeue", f"{run.attempt()['scheduler_id']}")
    run.says("queue says PENDING")
    explained = run.ends("finished")
    assert "restart 1" in explained
    assert [(each["number"], each["restart"]) for each in run.attempts()] == [(1, 1)]
    assert (run.count(), run.count("ends")) == (2, 1)


@pytest.mark.usefixtures("too_long")
def test_too_little_memory_is_raised_to_the_cap_and_never_given_twice(gateway: Gateway) -> None:
    run = gateway.submit(EATS.format(mib=450), cluster="slurm", memory="120 MiB")
    explained = run.ends("failed")
    attempts = run.attempts()
    assert [each["resources"]["memory_mib"] for each in attempts] == [120, 240, 300]
    assert {each["outcome"] for each in attempts} == {"out of memory"}
    assert "memory raised from 120 to 240 MiB" in explained
    assert "the site's maximum is 300 MiB" in run.status()["message"]
    assert "oom" in explained.lower() or "memory limit" in explained


@pytest.mark.usefixtures("too_long")
def test_enough_memory_at_the_second_try(gateway: Gateway) -> None:
    eats = EATS.format(mib=180).replace("sleep 60", "sleep 4")
    run = gateway.submit(eats, cluster="slurm", memory="120 MiB")
    run.ends("finished")
    assert [each["outcome"] for each in run.attempts()] == ["out of memory", "success"]


def test_too_little_walltime_is_raised(too_long: Run) -> None:
    explained = too_long.ends("finished", seconds=180)
    first, second = too_long.attempts()
    assert (first["outcome"], second["outcome"]) == ("walltime", "success")
    assert "says TIMEOUT" in first["reason"]
    assert "walltime raised from 60 to 120 s" in explained
    assert (too_long.count(), too_long.count("ends")) == (2, 1)


@pytest.mark.alone
@pytest.mark.usefixtures("nodes")
def test_a_node_dies(gateway: Gateway) -> None:
    state_of("node2", "DRAIN", "to have both on node1")
    requeued = gateway.submit(ONCE, cluster="slurm")
    again = gateway.submit(ONCE, cluster="no-requeue")
    for run in (requeued, again):
        run.started()
        assert run.attempt()["node"] == "node1"
    state_of("node2", "RESUME")
    as_root("testbed-service", "node1", "kill")
    for run in (requeued, again):
        run.started(2, seconds=120)
        run.go()
    explained = again.ends("finished")
    first, second = again.attempts()
    assert (first["outcome"], first["node"], second["node"]) == ("node lost", "node1", "node2")
    assert "NODE_FAIL" in first["reason"]
    assert "not the job's fault, away from node1" in explained
    requeued.ends("finished")
    (attempt,) = requeued.attempts()
    assert (attempt["restart"], attempt["node"]) == (1, "node2")


@pytest.mark.alone
@pytest.mark.usefixtures("nodes")
def test_drained_nodes_let_jobs_end_and_others_wait(gateway: Gateway) -> None:
    runs, waits = gateway.submit(ONCE, cluster="slurm"), None
    runs.started()
    state_of(NODES, "DRAIN", "disk check")
    waits = gateway.submit(ONCE, cluster="slurm")
    waits.says("waits in the queue (queue says PENDING: ", "DRAINED")
    assert runs.attempt()["state"] == "running"
    runs.go()
    runs.ends("finished")
    assert waits.count() == 0
    state_of(NODES, "RESUME")
    waits.started()
    waits.go()
    waits.ends("finished")
    assert (runs.count("ends"), waits.count("ends")) == (1, 1)


@pytest.mark.alone
def test_the_controller_is_away_while_a_job_runs_and_while_one_ends(gateway: Gateway) -> None:
    runs, ends = (gateway.submit(ONCE, cluster="slurm") for _ in range(2))
    for run in (runs, ends):
        run.started()
        run.attempt()
    with without("slurmctld"):
        ends.go()
        ends.until(lambda: ends.status()["status"] == "finished")
        assert runs.attempt()["state"] == "running"
    runs.go()
    for run in (runs, ends):
        run.ends("finished")
        assert (run.count(), run.count("ends")) == (1, 1)


@pytest.fixture
def accounting() -> Iterator[None]:
    was_on = "accounting: configured" in said_by("sudo", "-n", "testbed-slurmdbd", "status")
    as_root("testbed-slurmdbd", "on")
    try:
        yield
    finally:
        as_root("testbed-slurmdbd", "start" if was_on else "off")


@pytest.mark.alone
@pytest.mark.usefixtures("accounting")
def test_nothing_is_lost_while_accounting_is_away(gateway: Gateway) -> None:
    # Of an array, Slurm forgets a waiting task that is cancelled by itself: nobody knows it.
    gateway.driver.end()
    forgotten, stays = (gateway.submit("echo ran >> starts", cluster="on-hold") for _ in range(2))
    gateway.driver.start(*DRIVER)
    for run in (forgotten, stays):
        run.says("JobHeldUser")
    assert forgotten.submissions() == stays.submissions(), "one array"
    runs = gateway.submit(ONCE, cluster="slurm")
    runs.started()
    with without("slurmdbd"):
        said_by("scancel", forgotten.last()["scheduler_id"])
        later = time.monotonic() + 3 * LOST_AFTER_S
        forgotten.until(lambda: time.monotonic() > later)
        assert [each["outcome"] for each in forgotten.attempts()] == [None]
        runs.go()
        runs.ends("finished")
    forgotten.says("missing from every record of the scheduler", "attempt 2 follows: lost")
    for run in (stays, forgotten):
        run.says("The job is held")
        said_by("scontrol", "release", run.last()["scheduler_id"])
        run.ends("finished")
    assert (forgotten.count(), stays.count(), runs.count()) == (1, 1, 1)
