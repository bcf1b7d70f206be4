"""From a started workflow to its end, over a fake scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.parts import FetchResult
from gateway.store.store import LeaseLostError
from gateway.testing.fake_task import Fault
from gateway.vocabulary.evidence import HoldCode, Outcome, SchedulerState
from gateway.vocabulary.states import AttemptState, JobState, WorkflowStatus
from tests.unit.core.conftest import Machine, build_machine


def test_commands_run_one_after_another_to_finished(machine: Machine) -> None:
    workflow = machine.submit("one", "two")
    first = machine.sent(workflow)
    assert machine.status(workflow) is WorkflowStatus.RUNNING
    assert len(machine.jobs(workflow)) == 1
    machine.cluster.start(first)
    machine.cluster.end(first)
    second = machine.sent(workflow)
    assert second != first
    machine.cluster.start(second)
    machine.cluster.end(second)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED
    assert [job.state for job in machine.jobs(workflow)] == [JobState.FINISHED] * 2
    assert machine.cluster.calls["submit"] == 2


def test_failing_command_ends_the_workflow_and_later_ones_never_start(machine: Machine) -> None:
    workflow = machine.submit("false", "true")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.end(key, 3)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "exit code 3" in machine.message(workflow)
    assert machine.cluster.keys == [key]


def test_many_workflows_leave_with_one_call(machine: Machine) -> None:
    started = [machine.submit("run", name=f"w{number}") for number in range(50)]
    machine.tick()
    assert machine.cluster.calls["submit"] == 1
    assert len(machine.cluster.keys) == 50
    for key in machine.cluster.keys:
        machine.cluster.start(key)
        machine.cluster.end(key)
    machine.tick()
    assert {machine.status(workflow) for workflow in started} == {WorkflowStatus.FINISHED}


def test_status_calls_do_not_grow_with_jobs(machine: Machine) -> None:
    for number in range(40):
        machine.submit("run", name=f"w{number}")
    for _ in range(60):
        machine.tick(1.0)
    # One bulk call per interval of ten seconds, whatever the number of jobs.
    assert machine.cluster.calls["observe"] <= 6


def test_lost_answer_is_adopted_and_never_sent_twice(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.LOST_ANSWER)
    workflow = machine.submit("run")
    machine.tick()
    assert machine.attempts(workflow)[0].state is AttemptState.SUBMITTING
    machine.tick(11)
    assert machine.attempts(workflow)[0].state is AttemptState.PENDING
    machine.tick(1000)
    assert machine.cluster.calls["submit"] == 1


def test_lost_request_is_sent_again_only_after_the_grace_time(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.LOST_REQUEST)
    workflow = machine.submit("run")
    machine.tick()
    grace = machine.parts.clusters["main"].settings.resend_after
    for _ in range(grace // 20):
        machine.tick(19)
        assert machine.cluster.calls["submit"] == 1
    machine.tick(40)
    assert machine.cluster.calls["submit"] == 2
    assert machine.attempts(workflow)[0].state is AttemptState.PENDING


def test_it_is_looked_up_and_sent_again_as_soon_as_the_grace_time_has_passed(
    tmp_path: Path,
) -> None:
    for machine in build_machine(tmp_path, cluster={"resend_after": 5}):
        machine.cluster.faults.append(Fault.LOST_REQUEST)
        machine.submit("run")
        machine.tick()
        machine.tick(3)
        machine.tick(1)
        assert machine.cluster.calls == {"submit": 1, "find": 1}
        machine.tick(1)
        assert machine.cluster.calls == {"submit": 2, "find": 2}


def test_nothing_is_sent_again_while_the_scheduler_is_silent(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.LOST_REQUEST)
    workflow = machine.submit("run")
    machine.tick()
    machine.cluster.down = True
    for _ in range(50):
        machine.tick(60)
    assert machine.cluster.calls["submit"] == 1
    machine.cluster.down = False
    machine.tick(60)
    assert machine.attempts(workflow)[0].state is AttemptState.PENDING


def test_full_scheduler_is_backpressure_not_failure(machine: Machine) -> None:
    machine.cluster.faults.extend([Fault.FULL, Fault.FULL])
    workflow = machine.submit("run")
    machine.tick()
    attempt = machine.attempts(workflow)[0]
    assert attempt.state is AttemptState.READY
    assert "job limit reached" in attempt.waits_for
    for _ in range(20):
        machine.tick(2)
    assert machine.attempts(workflow)[0].state is AttemptState.PENDING


def test_who_comes_while_the_scheduler_is_full_is_told_why_it_waits(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.FULL)
    machine.submit("run")
    machine.tick()
    late = machine.submit("run", name="late")
    machine.tick(1)
    assert machine.attempts(late)[0].waits_for == "cluster main: job limit reached"
    assert machine.cluster.calls["submit"] == 1


def test_an_end_makes_room_in_a_full_scheduler(machine: Machine) -> None:
    first = machine.sent(machine.submit("run"))
    machine.cluster.start(first)
    waits = machine.submit("run", name="waits")
    machine.cluster.faults.extend([Fault.FULL] * 6)
    for _ in range(80):
        machine.tick(1)
    # Pauses of 2, 4, 8, 16 and 32 s: the next one lasts 64 s.
    assert machine.cluster.calls["submit"] == 7
    machine.cluster.end(first)
    machine.tick(1)
    machine.tick(1)
    assert machine.attempts(waits)[0].state is AttemptState.PENDING
    assert machine.cluster.calls["submit"] == 8


def test_an_end_that_makes_no_room_is_one_more_call(machine: Machine) -> None:
    first = machine.sent(machine.submit("run"))
    machine.cluster.start(first)
    machine.submit("run", name="waits")
    machine.cluster.faults.extend([Fault.FULL] * 8)
    for _ in range(80):
        machine.tick(1)
    machine.cluster.end(first)
    for _ in range(60):
        machine.tick(1)
    assert machine.cluster.calls["submit"] == 8


def test_refused_submission_fails_the_job_with_the_schedulers_words(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.REFUSAL)
    workflow = machine.submit("run")
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "invalid partition specified" in machine.message(workflow)
    assert machine.cluster.calls["submit"] == 1


def test_no_more_is_sent_than_there_is_room(machine: Machine) -> None:
    machine.cluster.free_room = 3
    workflows = [machine.submit("run", name=f"w{number}") for number in range(8)]
    machine.tick()
    assert len(machine.cluster.keys) == 3
    waits = [machine.attempts(workflow)[0].waits_for for workflow in workflows]
    assert waits.count("room on cluster main") == 5
    machine.cluster.free_room = 0
    machine.tick()
    assert len(machine.cluster.keys) == 3


def test_absence_is_not_an_end_until_the_grace_time_has_passed(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick()
    machine.cluster.forget(key)
    lost_after = machine.parts.clusters["main"].settings.lost_after
    for _ in range(lost_after // 100):
        machine.tick(99)
        assert machine.attempts(workflow)[0].state is not AttemptState.ENDED
    machine.tick(200)
    machine.tick(100)
    assert machine.attempts(workflow)[0].outcome is Outcome.LOST


def test_late_exit_record_outweighs_absence(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(20)
    machine.cluster.write_record(key, 0)
    machine.cluster.forget(key)
    machine.tick(20)
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED


def test_exit_0_with_a_bad_word_of_the_scheduler_is_not_success(machine: Machine) -> None:
    workflow = machine.submit("run", memory="100 MiB")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.write_record(key, 0)
    machine.cluster.change(key, SchedulerState.OUT_OF_MEMORY, raw="OUT_OF_MEMORY")
    machine.tick(30)
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "memory" in machine.message(workflow)


def test_node_failure_is_tried_again_elsewhere_without_cost(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key, node="bad7")
    machine.cluster.change(key, SchedulerState.NODE_FAILED, raw="NODE_FAIL", node="bad7")
    for _ in range(6):
        machine.tick(30)
    first, second = machine.attempts(workflow)
    assert first.outcome is Outcome.NODE_LOST
    assert machine.cluster.forbidden(first.key)
    assert second.exclude_nodes == ("bad7",)
    machine.cluster.start(second.key)
    machine.cluster.end(second.key)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED


def test_out_of_memory_gets_more_up_to_the_cap(tmp_path: Path) -> None:
    maximum = {"maximum": {"memory": "300 MiB"}}
    for machine in build_machine(tmp_path, cluster=maximum):
        workflow = machine.submit("run", memory="100 MiB")
        asked = []
        for _ in range(4):
            key = machine.sent(workflow)
            asked.append(machine.attempts(workflow)[-1].resources.memory_mib)
            machine.cluster.start(key)
            machine.cluster.write_record(key, 137)
            machine.cluster.change(key, SchedulerState.OUT_OF_MEMORY, raw="OUT_OF_MEMORY")
            machine.tick(70)
            machine.tick(70)
            if machine.status(workflow) is WorkflowStatus.FAILED:
                break
        assert asked == [100, 200, 300]
        assert "300 MiB" in machine.message(workflow)


def test_application_error_is_tried_again_only_as_often_as_asked(machine: Machine) -> None:
    workflow = machine.submit("run", retries=1)
    for _ in range(2):
        key = machine.sent(workflow)
        machine.cluster.start(key)
        machine.cluster.end(key, 1)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert len(machine.attempts(workflow)) == 2


def test_requeue_by_the_scheduler_keeps_the_attempt(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.write_record(key, 143, warned="TERM")
    machine.cluster.change(key, SchedulerState.PENDING, raw="PENDING", restart=1)
    machine.tick(11)
    machine.tick(11)
    attempt = machine.attempts(workflow)[0]
    assert attempt.state is AttemptState.PENDING
    machine.cluster.start(key)
    machine.cluster.end(key)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED
    assert machine.attempts(workflow)[0].restart == 1


def test_held_job_is_visible_and_ends_after_the_limit(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.change(
        key, SchedulerState.HELD, raw="JobStatus 5", reason="via condor_hold", hold=HoldCode(1)
    )
    machine.tick(11)
    attempt = machine.attempts(workflow)[0]
    assert attempt.state is AttemptState.HELD
    assert "via condor_hold" in attempt.reason
    held_for = machine.parts.clusters["main"].settings.held_for
    machine.tick(held_for)
    machine.tick(100)
    assert machine.attempts(workflow)[0].outcome is Outcome.HELD
    assert machine.cluster.calls["cancel"] >= 1


def test_cancelled_outside_fails_with_a_reason(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.change(key, SchedulerState.CANCELLED, raw="CANCELLED by 0")
    machine.tick(11)
    machine.tick(100)
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "CANCELLED by 0" in machine.message(workflow)


def test_stop_is_repeated_until_the_scheduler_confirms(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick()
    machine.cluster.down = True
    machine.workflows.stop(workflow.id)
    for _ in range(5):
        machine.tick(11)
    assert machine.status(workflow) is WorkflowStatus.RUNNING
    assert machine.cluster.forbidden(key)
    machine.cluster.down = False
    for _ in range(12):
        machine.tick(11)
    assert machine.status(workflow) is WorkflowStatus.STOPPED
    assert machine.jobs(workflow)[0].state is JobState.STOPPED


def test_what_was_started_again_is_not_called_stopped_before_it_is_removed(
    machine: Machine,
) -> None:
    """A requeue told its first start to end; the second one, whose claim is late, runs."""
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(11)
    machine.cluster.requeue(key, traceless=False)
    machine.cluster.lag = 500.0
    assert machine.cluster.start(key)
    machine.cluster.down = True
    machine.workflows.stop(workflow.id)
    for _ in range(3):
        machine.tick(11)
    assert machine.status(workflow) is WorkflowStatus.RUNNING
    machine.cluster.down = False
    for _ in range(12):
        machine.tick(11)
        machine.cluster.show_late_files()
    assert machine.status(workflow) is WorkflowStatus.STOPPED
    assert machine.cluster.copy(key).state is SchedulerState.CANCELLED


def test_stop_before_anything_was_sent_sends_nothing(machine: Machine) -> None:
    machine.cluster.free_room = 0
    workflow = machine.submit("run")
    machine.tick()
    machine.workflows.stop(workflow.id)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.STOPPED
    assert machine.cluster.calls["submit"] == 0


def test_image_is_fetched_once_for_all_who_wait(machine: Machine) -> None:
    machine.images.to_fetch.add("img:1")
    started = [machine.submit("run", name=f"w{number}") for number in range(3)]
    machine.tick()
    assert len(machine.cluster.keys) == 1
    fetch = machine.cluster.keys[0]
    job_id = _job_of(machine, fetch)
    machine.images.results[job_id] = FetchResult(machine.images.resolved("img:1"))
    machine.cluster.start(fetch)
    machine.cluster.end(fetch)
    machine.tick()
    machine.tick()
    assert len(machine.cluster.keys) == 4
    assert {machine.status(w) for w in started} == {WorkflowStatus.RUNNING}


@pytest.mark.parametrize(
    ("maximum", "refused", "memory"),
    [({}, None, 2048), ({"memory": "1 GiB"}, None, 1024), ({}, "too small a host", None)],
)
def test_conversion_of_an_image_asks_for_the_memory_that_it_needs(
    tmp_path: Path, maximum: dict[str, str], refused: str | None, memory: int | None
) -> None:
    for machine in build_machine(tmp_path, cluster={"maximum": maximum}):
        machine.cluster.refuses = refused
        machine.images.to_fetch.add("img:1")
        workflow = machine.submit("run")
        machine.tick()
        with machine.store.read() as transaction:
            job = transaction.jobs.get(_job_of(machine, machine.cluster.keys[0]))
        assert job is not None
        assert job.resources.memory_mib == memory
        assert machine.status(workflow) is not WorkflowStatus.FAILED


def test_image_that_cannot_be_had_fails_the_workflow_with_the_cause(machine: Machine) -> None:
    machine.images.to_fetch.add("img:1")
    workflow = machine.submit("run")
    machine.tick()
    fetch = machine.cluster.keys[0]
    machine.images.results[_job_of(machine, fetch)] = FetchResult(None, "registry says: unknown")
    machine.cluster.start(fetch)
    machine.cluster.end(fetch, 3)
    for _ in range(4):
        machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "registry says: unknown" in machine.message(workflow)


def _job_of(machine: Machine, key: str) -> str:
    with machine.store.read() as transaction:
        attempts = transaction.jobs.open_attempts()
    return next(attempt.job_id for attempt in attempts if attempt.key == key)


def test_new_driver_takes_up_what_the_killed_one_left(machine: Machine) -> None:
    workflow = machine.submit("one", "two")
    key = machine.sent(workflow)
    machine.new_driver()
    machine.cluster.start(key)
    machine.cluster.end(key)
    second = machine.sent(workflow)
    machine.new_driver()
    machine.cluster.start(second)
    machine.cluster.end(second)
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FINISHED
    assert machine.cluster.calls["submit"] == 2


def test_driver_that_lost_its_lease_writes_nothing(machine: Machine) -> None:
    workflow = machine.submit("run")
    paused = machine.cycle
    machine.new_driver()
    with pytest.raises(LeaseLostError):
        paused.tick()
    assert machine.status(workflow) is WorkflowStatus.QUEUED
    assert machine.cluster.calls["submit"] == 0


def test_clock_set_back_does_not_silence_the_gateway(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.tick(60)
    machine.clock.pass_by(-7200)
    machine.cluster.change(key, SchedulerState.CANCELLED, raw="CANCELLED by 0")
    for _ in range(30):
        machine.tick(10)
    assert machine.status(workflow) is WorkflowStatus.FAILED


def test_unwritable_control_directory_waits_and_says_so(machine: Machine, tmp_path: Path) -> None:
    workflow = machine.submit("run")
    blocker = tmp_path / "shared" / "control"
    blocker.rmdir()
    blocker.write_text("a file in the way")
    machine.tick()
    attempt = machine.attempts(workflow)[0]
    assert attempt.state is AttemptState.READY
    assert "control files cannot be written" in attempt.waits_for
    blocker.unlink()
    machine.tick(10)
    assert machine.attempts(workflow)[0].state is AttemptState.PENDING


@pytest.mark.parametrize(("asked", "attempts"), [({}, 2), ({"retries": 0}, 1), ({"retries": 2}, 3)])
def test_a_failed_command_is_tried_again_as_the_step_or_the_site_says(
    tmp_path: Path, asked: dict[str, Any], attempts: int
) -> None:
    for machine in build_machine(tmp_path, retries=1):
        workflow = machine.submit("exit 3", **asked)
        for _ in range(12):
            machine.tick(20)
            for key in machine.cluster.keys:
                if machine.cluster.copy(key).state is SchedulerState.PENDING:
                    machine.cluster.start(key)
                    machine.cluster.end(key, exit_code=3)
        assert machine.status(workflow) is WorkflowStatus.FAILED
        assert len(machine.attempts(workflow)) == attempts
