"""What was found by killing and pausing drivers at random (tests/crash), one test each."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.cycle import Cycle
from gateway.core.driver import Bell
from gateway.core.lease import take
from gateway.crash_points import CrashPoint, set_hook
from gateway.store.store import LeaseLostError
from gateway.submitters.base import ActiveSubmission, ActOutcome, Unreachable
from gateway.testing.fake_task import Fault
from gateway.vocabulary.evidence import HoldCode, Outcome, SchedulerState
from gateway.vocabulary.states import AttemptState, JobState, WorkflowStatus
from tests.unit.core.conftest import Machine, build_machine


def test_what_we_removed_ourselves_is_not_taken_for_the_work_of_a_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler drops a job that was held for its memory, and its answer gets lost."""
    for machine in build_machine(tmp_path, cluster={"maximum": {"memory": "1 GiB"}}):
        workflow = machine.submit("run", memory="100 MiB")
        key = machine.sent(workflow)
        machine.cluster.change(key, SchedulerState.HELD, raw="JobStatus 5", hold=HoldCode(34))
        really = machine.cluster.cancel

        def lose_the_answer(active: list[ActiveSubmission], really: Any = really) -> ActOutcome:
            really(active)
            return Unreachable("no answer in time")

        monkeypatch.setattr(machine.cluster, "cancel", lose_the_answer)
        machine.tick(11)
        assert machine.attempts(workflow)[0].state is not AttemptState.ENDED
        monkeypatch.setattr(machine.cluster, "cancel", really)
        machine.new_driver()
        for _ in range(3):
            machine.tick(61)
        first, second = machine.attempts(workflow)
        assert first.outcome is Outcome.OUT_OF_MEMORY
        assert "memory" in first.reason
        assert second.resources.memory_mib == 200


def test_scheduler_that_does_not_answer_runs_out_no_patience(machine: Machine) -> None:
    """The scheduler is down for an hour after it has preempted a job."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(11)
    machine.cluster.down = True
    machine.cluster.write_record(key, 143, warned="TERM")
    machine.cluster.change(key, SchedulerState.PREEMPTED, raw="PREEMPTED")
    for _ in range(60):
        machine.tick(60)
        assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    machine.cluster.down = False
    machine.tick(61)
    first, second = machine.attempts(workflow)
    assert (first.outcome, second.state) == (Outcome.PREEMPTED, AttemptState.READY)


def test_missing_job_is_not_lost_while_nobody_can_be_asked(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick()
    machine.cluster.forget(key)
    machine.tick(30)
    machine.cluster.down = True
    for _ in range(60):
        machine.tick(60)
    assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    machine.cluster.down = False
    machine.tick(61)
    assert machine.attempts(workflow)[0].outcome is Outcome.LOST


def test_answer_that_comes_after_the_claim_moves_nothing_back(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.LOST_ANSWER)
    workflow = machine.submit("run")
    machine.tick()
    key = machine.attempts(workflow)[0].key
    machine.cluster.start(key)
    machine.tick(1)
    assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    machine.cycle.tick()
    machine.clock.pass_by(9)
    machine.tick()
    attempt = machine.attempts(workflow)[0]
    assert (attempt.state, attempt.native_id) == (AttemptState.RUNNING, "101_0")


def test_driver_that_slept_in_its_call_does_no_harm(machine: Machine) -> None:
    """Another one finds nothing, sends again, meets a full scheduler and starts all over."""
    workflow = machine.submit("run")

    def sleep_through(point: CrashPoint) -> None:
        if point is not CrashPoint.CALL_WRITTEN:
            return
        set_hook(None)
        machine.clock.pass_by(200)
        lease = take(machine.store, "t", machine.clock(), host="h", boot="next", token="n")
        assert lease is not None
        machine.cluster.faults.append(Fault.FULL)
        other = Cycle(replace(machine.parts), lease)
        for _ in range(3):
            other.tick()
            machine.clock.pass_by(100)

    set_hook(sleep_through)
    try:
        with pytest.raises(LeaseLostError):
            machine.cycle.tick()
    finally:
        set_hook(None)
    assert machine.jobs(workflow)[0].state is JobState.QUEUED
    directories = machine.parts.site.control
    forbidden = list(directories.glob("*/stop/0"))
    # Of two submissions of one attempt, the first may not start any more.
    assert len(list(directories.iterdir())) == 2
    assert len(forbidden) == 1


def test_duplicate_that_ended_at_once_is_not_the_end_of_the_first(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.change(key, SchedulerState.FAILED, raw="FAILED", exit_code=79)
    for _ in range(5):
        machine.tick(61)
        assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    machine.cluster.write_record(key, 0)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED


def test_bell_rung_by_a_signal_handler_at_any_moment() -> None:
    bell = Bell()
    before = signal.signal(signal.SIGALRM, lambda *_: bell.set())
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            bell.wait(0.00001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
