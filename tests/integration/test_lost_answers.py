"""Scheduler commands lose, delay and falsify answers: nothing runs twice, nothing is lost.

Between the gateway and the commands of a real Slurm and a real HTCondor stands a program that does
the work, or not, and gives another answer (tests/integration/faults). Each engine has its turn in
one flavour of the test bed; with ``GATEWAY_TEST_COMBINATIONS=all`` both have it in this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.crash.processes import DIES_ONCE, LONG, Zygote
from tests.integration.batch import BatchBench, selected, side_by_side
from tests.integration.faults import catalogue
from tests.integration.faults.catalogue import Case
from tests.integration.place import IN_TEST_BED, share

pytestmark = [IN_TEST_BED, pytest.mark.timeout(600)]
CASES = {"slurm": catalogue.slurm(), "htcondor": catalogue.htcondor()}
PARAMETERS = [
    pytest.param(
        (cluster, case),
        marks=[getattr(pytest.mark, cluster), pytest.mark.xdist_group(f"lost answers {cluster}")],
        id=f"{cluster}-{case.name}",
    )
    for cluster in share(sid="htcondor", trixie="slurm")
    for case in CASES[cluster]
]
Which = tuple[str, Case]


@pytest.fixture(scope="module")
def lives(request: pytest.FixtureRequest) -> Iterator[Mapping[Which, Future[None]]]:
    with side_by_side(selected(request, "which"), live) as futures:
        yield futures


@pytest.mark.parametrize("which", PARAMETERS)
def test_a_lying_scheduler(which: Which, lives: Mapping[Which, Future[None]]) -> None:
    lives[which].result()


def live(which: Which, zygote: Zygote, root: Path) -> None:
    cluster, case = which
    settings = {"lost_after": 5} if case.life == "dies" else {}
    bench = BatchBench(root, zygote, cluster=cluster, faults=case.faults, settings=settings)
    try:
        LIVES[case.life](bench)
        bench.come_to_rest(case.sent)
        assert len(bench.submissions()) == case.sent, bench.told()
        assert bench.wrong() == [], bench.told()
        done = {call["fault"] for call in bench.liar.calls()}
        assert {fault.name for fault in case.faults} <= done, bench.told()
    finally:
        bench.close()


def begin(bench: BatchBench, *commands: str) -> None:
    bench.write_spec(*commands)
    bench.ok("submit", "--key", "k")
    bench.watch_moves()


def runs(bench: BatchBench) -> None:
    # The second is long enough for the scheduler to be asked about it while it runs.
    begin(bench, bench.command("a.log"), f"sleep 2.5; {bench.command('b.log')}")
    bench.drive("wait")
    assert bench.statuses() == ["finished"], bench.told()
    assert [len(bench.lines("a.log")), len(bench.lines("b.log"))] == [1, 1], bench.told()


def stops(bench: BatchBench) -> None:
    begin(bench, f"{bench.command('a.log')}; {LONG}")
    bench.drive("wait", lambda: bool(bench.lines("a.log")))
    bench.ok("stop", "workflow")
    bench.drive("wait")
    assert bench.statuses() == ["stopped"], bench.told()
    assert len(bench.lines("a.log")) == 1, bench.told()


def stops_unclear(bench: BatchBench) -> None:
    begin(bench, f"{bench.command('a.log')}; {LONG}")
    bench.drive("wait", lambda: any(call["fault"] for call in bench.liar.calls()))
    bench.ok("stop", "workflow")
    bench.drive("wait")
    assert bench.statuses() == ["stopped"], bench.told()
    assert len(bench.lines("a.log")) <= 1, bench.told()


def dies(bench: BatchBench) -> None:
    """The first attempt kills its own job script: no exit record, and no word of the scheduler."""
    lost = f"{bench.command('a.log')}; {DIES_ONCE}"
    begin(bench, lost, bench.command("b.log"))
    bench.drive("wait")
    assert bench.statuses() == ["finished"], bench.told()
    assert [len(bench.lines("a.log")), len(bench.lines("b.log"))] == [2, 1], bench.told()


LIVES = {"runs": runs, "stops": stops, "stops unclear": stops_unclear, "dies": dies}
