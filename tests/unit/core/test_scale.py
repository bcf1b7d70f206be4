"""However many jobs there are, the scheduler is called no more often than for a few."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.vocabulary.evidence import SchedulerState
from gateway.vocabulary.states import WorkflowStatus
from tests.unit.core.conftest import Machine, build_machine
from tests.unit.core.crowd import crowd, stop

FEW, MANY = 50, 5000


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of small files: what they cost the disk is not the point here."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def calls_of_a_life(
    machine: Machine, number: int, *, node_fails: bool = False
) -> dict[str, Counter[str]]:
    """Bring so many jobs from their start, perhaps over the loss of their node, to their stop."""
    found: dict[str, Counter[str]] = {}

    def phase(name: str, seconds: float) -> None:
        before = machine.cluster.calls.copy()
        machine.tick(seconds)
        found[name] = machine.cluster.calls - before

    def all_of_them(act: Callable[[str], object]) -> None:
        for key in machine.cluster.keys[-number:]:
            act(key)

    workflows = crowd(machine, number)
    phase("submit", 1)
    assert len(machine.cluster.keys) == number
    phase("status while they wait", 11)
    phase("nothing due", 1)
    all_of_them(lambda key: machine.cluster.change(key, SchedulerState.RUNNING, node="node1"))
    phase("status while they run", 11)
    if node_fails:
        all_of_them(lambda key: machine.cluster.change(key, SchedulerState.NODE_FAILED, raw="X"))
        phase("all lost", 11)
        phase("all sent again", 6)
        assert len(machine.cluster.keys) == 2 * number
    stop(machine, workflows)
    phase("stop", 11)
    phase("status after stop", 61)
    machine.tick(61)
    with machine.store.read() as transaction:
        ended = transaction.workflows.many([workflow.id for workflow in workflows])
    assert Counter(each.status for each in ended.values()) == {WorkflowStatus.STOPPED: number}
    return found


@pytest.mark.timeout(600)
def test_calls_of_a_pass_do_not_grow_with_the_number_of_jobs(tmp_path: Path) -> None:
    found = {}
    for number in (FEW, MANY):
        folder = tmp_path / str(number)
        folder.mkdir()
        for machine in build_machine(folder, cluster={"max_tasks_per_submission": 1000}):
            found[number] = calls_of_a_life(machine, number)
    for phase in found[FEW]:
        for number in (FEW, MANY):
            found[number][phase]["submit"] //= math.ceil(number / 1000)
    assert found[MANY] == found[FEW]
    assert max(calls.total() for calls in found[MANY].values()) <= 2


def test_calls_of_a_pass_do_not_grow_with_the_number_of_submissions(tmp_path: Path) -> None:
    found = {}
    for number in (3, 60):
        folder = tmp_path / str(number)
        folder.mkdir()
        for machine in build_machine(folder, cluster={"max_tasks_per_submission": 1}):
            found[number] = calls_of_a_life(machine, number, node_fails=True)
    for phase in found[3]:
        for number in (3, 60):
            assert found[number][phase].pop("submit", 0) in (0, number)
    assert found[60] == found[3]
