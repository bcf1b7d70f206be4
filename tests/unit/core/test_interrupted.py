"""What was found by killing and pausing drivers at random (tests/crash), one test each."""

from __future__ import annotations

import errno
import os
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
from gateway.errors import SiteError
from gateway.store.store import LeaseLostError
from gateway.submitters import control
from gateway.submitters.base import (
    ActiveSubmission,
    ActOutcome,
    Observed,
    Submission,
    SubmitOutcome,
    Unreachable,
)
from gateway.testing.fake_task import Fault
from gateway.vocabulary.evidence import HoldCode, Outcome, SchedulerState
from gateway.vocabulary.records import Workflow
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


def test_late_copy_of_what_ended_unclaimed_does_not_start(machine: Machine) -> None:
    """The first call is late; the copy of the second cannot claim, and another attempt follows."""
    machine.cluster.faults.append(Fault.LATE_REQUEST)
    workflow = machine.submit("run")
    machine.tick()
    key = machine.attempts(workflow)[0].key
    for _ in range(3):
        machine.tick(61)
    machine.cluster.change(key, SchedulerState.FAILED, exit_code=75)
    machine.tick(61)
    assert machine.attempts(workflow)[0].outcome is Outcome.NODE_BAD
    machine.clock.pass_by(1000)
    machine.cluster.show_late_files()
    assert not machine.cluster.start(machine.cluster.copy(key, 1))


def test_answer_without_content_runs_out_no_patience(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told to end, to be started again; the scheduler answers for an hour with garbage."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.requeue(key, traceless=False)
    really = machine.cluster.observe
    garbage = Observed({}, absence_counts=False, unheard=frozenset({key}))
    monkeypatch.setattr(machine.cluster, "observe", lambda _: garbage)
    for _ in range(60):
        machine.tick(60)
        assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    monkeypatch.setattr(machine.cluster, "observe", really)
    machine.tick(61)
    machine.cluster.start(key)
    machine.cluster.end(key)
    machine.tick(61)
    assert machine.jobs(workflow)[0].state is JobState.FINISHED


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


def test_a_full_disk_when_it_is_sent_again_starts_nothing_twice(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was lost, the disk is full at the resend; the first call arrives after all."""
    sent: list[Submission] = []
    submit = machine.cluster.submit

    def remember(submission: Submission) -> SubmitOutcome:
        sent.append(submission)
        return submit(submission)

    monkeypatch.setattr(machine.cluster, "submit", remember)
    machine.cluster.faults.append(Fault.LOST_REQUEST)
    workflow = machine.submit("run")
    for _ in range(3):
        machine.tick()
    with monkeypatch.context() as full:
        full.setattr(control, "write_whole", no_room)
        for _ in range(20):
            machine.tick(20)
        assert machine.attempts(workflow)[0].state is AttemptState.SUBMITTING
    for _ in range(20):
        machine.tick(20)
    assert len(sent) == 2
    machine.cluster.take(sent[0])
    for copy in list(machine.cluster.copies.values()):
        machine.cluster.start(copy)
    assert machine.cluster.violations == []


def no_room(path: Path, *_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_an_endless_row_of_good_submissions_after_a_full_queue(machine: Machine) -> None:
    """What the scheduler takes at once grows again, up to what the site allows, and no further."""
    machine.cluster.faults.append(Fault.FULL)
    for number in range(80):
        machine.submit("run", name=f"w{number}")
        machine.tick(10)
        for key in machine.cluster.keys:
            if machine.cluster.copy(key).state is SchedulerState.PENDING:
                machine.cluster.start(key)
                machine.cluster.end(key)
    machine.tick(10)
    with machine.store.read() as transaction:
        assert transaction.clusters.get("main").limit is None
        assert transaction.submissions.unsettled() == []


def test_what_was_only_prepared_and_can_no_longer_be_made(machine: Machine) -> None:
    """A driver dies before it calls, and then the image is gone: it is told, and can be stopped."""
    workflow = machine.submit("run")
    dying(machine, workflow, CrashPoint.INTENT_WRITTEN)
    machine.new_driver()
    machine.images.broken = SiteError("the image is gone")
    for _ in range(3):
        machine.tick(10)
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "the image is gone" in machine.message(workflow)


def dying(machine: Machine, workflow: Workflow, at: CrashPoint) -> None:
    """Let a driver die at a point."""

    def die(point: CrashPoint) -> None:
        if point is at:
            raise KeyboardInterrupt

    set_hook(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            machine.sent(workflow)
    finally:
        set_hook(None)


def test_control_files_that_cannot_be_read_end_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filesystem is away while the scheduler calls a finished job failed."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.end(key)
    machine.cluster.change(key, SchedulerState.FAILED, raw="FAILED")
    scandir = os.scandir

    def away(path: Any = ".") -> Any:
        if Path(path).name in ("claims", "exits"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", away)
        for _ in range(30):
            machine.tick(61)
        assert machine.status(workflow) is WorkflowStatus.RUNNING
        assert len(machine.attempts(workflow)) == 1
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED


def test_a_slow_epilog_before_a_requeue_costs_no_attempt(machine: Machine) -> None:
    """For minutes after the command was told to end, Slurm calls the job COMPLETING."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(11)
    machine.cluster.write_record(key, 143, warned="TERM")
    machine.cluster.change(key, SchedulerState.RUNNING, raw="COMPLETING")
    for _ in range(10):
        machine.tick(61)
    assert [each.state for each in machine.attempts(workflow)] == [AttemptState.RUNNING]
    machine.cluster.change(key, SchedulerState.PENDING, raw="PENDING")
    machine.tick(61)
    assert [each.state for each in machine.attempts(workflow)] == [AttemptState.PENDING]


def test_the_clock_of_a_node_cuts_no_patience_short(machine: Machine) -> None:
    """A record from a node whose clock is a day behind has just been written all the same."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(11)
    machine.clock.pass_by(-86_400)
    machine.cluster.write_record(key, 143, warned="TERM")
    machine.clock.pass_by(86_400)
    machine.cluster.forget(key)
    machine.tick(11)
    machine.tick(61)
    assert machine.attempts(workflow)[0].state is AttemptState.RUNNING
    machine.tick(61)
    assert machine.attempts(workflow)[0].outcome is Outcome.CANCELLED


@pytest.mark.parametrize("point", [CrashPoint.EVIDENCE_SEEN, CrashPoint.GIVEN_UP])
def test_a_driver_that_slept_over_what_it_saw_calls_nothing_lost_for_it(
    machine: Machine, point: CrashPoint
) -> None:
    """Nobody else drives meanwhile; the job that it missed ends well while it sleeps."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(61)
    copy = machine.cluster.copies.pop(machine.cluster.copy(key).native_id)
    for _ in range(2):
        machine.tick(61)
    sleeps = [5000.0]

    def sleep_through(passed: CrashPoint) -> None:
        if passed is point and sleeps:
            machine.clock.pass_by(sleeps.pop())
            machine.cluster.copies[copy.native_id] = copy
            machine.cluster.end(key, 0)

    set_hook(sleep_through)
    try:
        machine.tick(61 if point is CrashPoint.EVIDENCE_SEEN else 1000)
    finally:
        set_hook(None)
    for _ in range(3):
        machine.tick(61)
    assert not sleeps
    assert [each.outcome for each in machine.attempts(workflow)] == [Outcome.SUCCESS]
