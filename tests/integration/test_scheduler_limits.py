"""Limits of real schedulers: jobs wait for room, none fails, none runs twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from itertools import pairwise, takewhile

import pytest

from gateway.core.pauses import length_s
from tests.integration.place import IN_TEST_BED, called, share
from tests.integration.under_fault import (
    ONCE,
    Gateway,
    Run,
    as_root,
    said_by,
    working,
)

pytestmark = [
    pytest.mark.apptainer,
    pytest.mark.timeout(500),
    pytest.mark.alone,
    IN_TEST_BED,
]

NUMBER = 10
LIMIT = 3
QUICK = {"status_interval": 2, "status_calls_per_minute": 60}
CLUSTERS = {
    "slurm": {"type": "slurm", "partition": "main", **QUICK},
    "htcondor": {"type": "htcondor", **QUICK},
}
Limited = Callable[[str], AbstractContextManager[None]]
"""Sets a limit of that name."""
ASKED = 4
"""How often a scheduler that is full is asked before the pauses are looked at."""
A_MOMENT_S = 0.1


SHORT_CALL_S = 30
"""Much less than the time that sbatch tries for, also on a busy machine."""


@contextmanager
def configured(what: str, *lines: str) -> Iterator[None]:
    """Add lines to a scheduler's configuration; they are gone in any case afterwards."""
    try:
        as_root("testbed-configure", what, *lines)
        yield
    finally:
        as_root("testbed-configure", what)


@contextmanager
def changed(kind: str, name: str, limit: str, value: int) -> Iterator[None]:
    """Have accounting set a limit of a user or QOS; it is gone in any case afterwards."""
    try:
        as_root("sacctmgr", "-i", "modify", kind, name, "set", f"{limit}={value}")
        yield
    finally:
        as_root("sacctmgr", "-i", "modify", kind, name, "set", f"{limit}=-1")


@pytest.fixture(scope="module")
def accounting() -> Iterator[None]:
    """Have Slurm keep accounts."""
    was_on = "accounting: configured" in said_by("sudo", "-n", "testbed-slurmdbd", "status")
    as_root("testbed-slurmdbd", "on")
    try:
        yield
    finally:
        as_root("testbed-slurmdbd", "start" if was_on else "off")


@pytest.fixture
def enforced(accounting: None) -> Iterator[None]:
    """Have Slurm enforce what accounts allow."""
    del accounting
    with configured("slurm", "AccountingStorageEnforce=limits"):
        yield


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with working(CLUSTERS) as made:
        yield made


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> str:
    """Return the cluster's name; limits of Slurm are to be enforced."""
    if request.param == "slurm":
        request.getfixturevalue("enforced")
    return str(request.param)


def crowd(gateway: Gateway, cluster: str, number: int = NUMBER) -> list[Run]:
    """Start workflows that are ready at once, so that they would go out as one submission."""
    gateway.driver.end()
    runs = [gateway.submit(ONCE, cluster=cluster) for _ in range(number)]
    gateway.driver.start("serve")
    return runs


def refused_at(gateway: Gateway, cluster: str) -> list[float]:
    """Return when submissions were refused since the last one that was taken."""
    form = re.compile(rf"(\S+ \S+),(\d+) (INFO|WARNING) {cluster} submit ")
    calls = [match for line in gateway.driver.said().splitlines() if (match := form.match(line))]
    refused = list(takewhile(lambda call: call[3] == "WARNING", reversed(calls)))
    return [
        datetime.fromisoformat(call[1]).timestamp() + int(call[2]) / 1000
        for call in reversed(refused)
    ]


def all_end_well(gateway: Gateway, runs: list[Run]) -> None:
    """Check that every command runs once, and that no attempt but the first was needed."""
    for run in runs:
        run.go()
    runs[0].until(lambda: set(statuses(gateway)) == {"finished"}, 300)
    for run in runs:
        assert [(each["number"], each["outcome"]) for each in run.attempts()] == [(1, "success")]
        assert (run.count(), run.count("ends")) == (1, 1)


def statuses(gateway: Gateway) -> list[str]:
    rows = json.loads(called(gateway.place, "list", "--json"))
    return [row["status"] for row in rows]


def started(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.count()]


def waits_for(run: Run) -> str:
    return str(run.last().get("waits_for", ""))


def user(limit: str) -> AbstractContextManager[None]:
    return changed("user", "alice", limit, LIMIT)


def qos(limit: str) -> AbstractContextManager[None]:
    return changed("qos", "normal", limit, LIMIT)


def pool(limit: str) -> AbstractContextManager[None]:
    return configured("condor", f"{limit} = {LIMIT}")


SLURM, HTCONDOR = pytest.mark.slurm, pytest.mark.htcondor
ALL_ROOM_FOR = [
    pytest.param("slurm", user, "MaxSubmitJobs", "AssocMaxSubmitJobLimit", marks=SLURM),
    pytest.param("slurm", qos, "MaxSubmitJobsPU", "QOSMaxSubmitJobPerUserLimit", marks=SLURM),
    pytest.param("htcondor", pool, "MAX_JOBS_PER_OWNER", "MAX_JOBS_PER_OWNER", marks=HTCONDOR),
    pytest.param("htcondor", pool, "MAX_JOBS_SUBMITTED", "MAX_JOBS_SUBMITTED", marks=HTCONDOR),
]
ROOM_FOR = [
    each for each in ALL_ROOM_FOR if each.values[0] in share(sid="htcondor", trixie="slurm")
]
"""Each waits for minutes: each flavour of the test bed plays one scheduler."""


@pytest.mark.parametrize(("cluster", "limited", "limit", "words"), ROOM_FOR, indirect=["cluster"])
def test_jobs_wait_while_the_scheduler_takes_no_more(
    gateway: Gateway, cluster: str, limited: Limited, limit: str, words: str
) -> None:
    with limited(limit):
        runs = crowd(gateway, cluster)
        runs[0].until(lambda: len(started(runs)) == LIMIT)
        waiting = [run for run in runs if not run.count()]
        runs[0].until(lambda: all(words in waits_for(run) for run in waiting))
        waits = f"waits for cluster {cluster}: "
        waiting[-1].says("The job is ready", waits, words)
        said = gateway.place.call("status", waiting[-1].id).stderr
        assert waits in said
        assert words in said
        late = gateway.submit(ONCE, cluster=cluster)
        late.says(waits, words)
        _is_polite(gateway, cluster, late)
        assert len(started(runs)) == LIMIT
        all_end_well(gateway, [*runs, late])


def _is_polite(gateway: Gateway, cluster: str, run: Run) -> None:
    """Check that a scheduler that is full is asked more and more rarely."""
    run.until(lambda: len(refused_at(gateway, cluster)) >= ASKED)
    pauses = [later - earlier for earlier, later in pairwise(refused_at(gateway, cluster))]
    for number, pause in enumerate(pauses):
        assert pause >= length_s(number) - A_MOMENT_S


@pytest.mark.slurm
def test_a_full_table_of_jobs_holds_nobody_up_for_long(gateway: Gateway) -> None:
    """Check MaxJobCount: sbatch itself would try again for two minutes."""
    with configured("slurm", "MaxJobCount=4", "MinJobAge=2"):
        runs = crowd(gateway, "slurm", 6)
        # Slurm's own words are others in each version.
        runs[0].until(lambda: any("MaxJobCount" in waits_for(run) for run in runs))
        runs[0].until(lambda: started(runs))
        all_end_well(gateway, runs)
    calls = [float(each) for each in re.findall(r"slurm submit (\S+)s: ", gateway.driver.said())]
    assert len(calls) > 1
    assert max(calls) < SHORT_CALL_S


@pytest.mark.parametrize(
    ("cluster", "line"),
    [
        pytest.param("slurm", f"MaxArraySize={LIMIT}", marks=pytest.mark.slurm),
        pytest.param("condor", f"MAX_JOBS_PER_SUBMISSION = {LIMIT}", marks=pytest.mark.htcondor),
    ],
)
def test_submissions_are_as_large_as_the_scheduler_takes(
    gateway: Gateway, cluster: str, line: str
) -> None:
    with configured(cluster, line):
        runs = crowd(gateway, {"condor": "htcondor"}.get(cluster, cluster), 5)
        all_end_well(gateway, runs)
    assert len({run.submissions()[0] for run in runs}) == 2


@pytest.mark.slurm
@pytest.mark.usefixtures("enforced")
def test_jobs_that_may_not_start_say_which_limit_it_is(gateway: Gateway) -> None:
    with user("MaxJobs"):
        runs = crowd(gateway, "slurm", LIMIT + 2)
        runs[0].until(lambda: len(started(runs)) == LIMIT)
        waiting = next(run for run in runs if not run.count())
        waiting.says("waits in the queue (queue says PENDING: AssocMaxJobsLimit)")
        all_end_well(gateway, runs)


def findings(gateway: Gateway) -> dict[str, dict[str, str]]:
    done = gateway.place.call("doctor", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("cluster", "limited", "limit", "name"),
    [
        pytest.param("slurm", user, "MaxSubmitJobs", "MaxSubmitJobs in account users",
                     marks=SLURM),
        pytest.param("slurm", qos, "MaxSubmitJobsPU", "MaxSubmitJobsPU in QOS normal",
                     marks=SLURM),
        pytest.param("htcondor", pool, "MAX_JOBS_PER_OWNER", "MAX_JOBS_PER_OWNER", marks=HTCONDOR),
    ],
    indirect=["cluster"],
)  # fmt: skip
def test_the_doctor_names_the_limit(
    gateway: Gateway, cluster: str, limited: Limited, limit: str, name: str
) -> None:
    with limited(limit):
        found = findings(gateway)[f"cluster {cluster}: {name}"]
    assert found["level"] == "warn"
    assert f"takes {LIMIT} jobs of yours at once" in found["found"]
    assert findings(gateway).get(f"cluster {cluster}: {name}", {"level": "ok"})["level"] == "ok"
