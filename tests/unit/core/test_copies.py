"""A submission that the scheduler got twice: the copy that runs is the one that counts."""

from __future__ import annotations

from pathlib import Path

from gateway.core.copies import by_copy
from gateway.core.submissions import submission_of
from gateway.submitters.base import ActiveSubmission
from gateway.vocabulary.evidence import Claim, Outcome, SchedulerState
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import WorkflowStatus
from tests.unit.core.conftest import Machine


def send_again(machine: Machine, workflow: Workflow) -> None:
    """Have the scheduler get the submission of the only attempt once more."""
    (attempt,) = machine.attempts(workflow)
    with machine.store.read() as transaction:
        record = transaction.submissions.get(attempt.submission_key or "")
        jobs = transaction.jobs.many([attempt.job_id])
    assert record is not None
    machine.cluster.take(submission_of(record, [attempt], jobs))


def sent_twice(machine: Machine, workflow: Workflow) -> str:
    """Send a job twice: the copy that we do not know runs, the one that we know has ended."""
    key = machine.sent(workflow)
    send_again(machine, workflow)
    machine.cluster.start(machine.cluster.copy(key, 1), node="n2")
    assert not machine.cluster.start(machine.cluster.copy(key, 0))
    machine.tick(61)
    return key


def test_of_two_copies_the_one_that_runs_is_followed(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = sent_twice(machine, workflow)
    machine.tick(61)
    attempt = machine.attempts(workflow)[0]
    running = machine.cluster.copy(key, 1)
    assert (attempt.reason, attempt.native_id) == ("runs on n2", running.native_id)
    machine.cluster.lose_node(running)
    for _ in range(3):
        machine.tick(61)
    assert [each.outcome for each in machine.attempts(workflow)] == [Outcome.NODE_LOST, None]


def test_of_two_copies_the_one_that_runs_is_stopped(machine: Machine) -> None:
    workflow = machine.submit("run")
    key = sent_twice(machine, workflow)
    machine.new_driver()
    machine.workflows.stop(workflow.id)
    machine.tick()
    assert machine.cluster.copy(key, 1).state is SchedulerState.CANCELLED
    for _ in range(3):
        machine.tick(61)
    assert machine.status(workflow) is WorkflowStatus.STOPPED


def test_of_two_copies_the_one_that_vanishes_is_not_waited_for_without_end(
    machine: Machine,
) -> None:
    workflow = machine.submit("run")
    key = sent_twice(machine, workflow)
    machine.cluster.forget(machine.cluster.copy(key, 1))
    for _ in range(20):
        machine.tick(61)
    assert machine.attempts(workflow)[0].outcome is Outcome.LOST


def test_of_two_copies_the_one_that_runs_is_followed_by_drivers_that_make_one_pass_each(
    machine: Machine,
) -> None:
    """As `gateway tick` from cron does: nothing that a process remembers helps."""
    workflow = machine.submit("run")
    key = sent_twice(machine, workflow)
    machine.cluster.forget(machine.cluster.copy(key, 0))
    for _ in range(20):
        machine.new_driver()
        machine.tick(61)
    attempt = machine.attempts(workflow)[0]
    assert (attempt.outcome, attempt.reason) == (None, "runs on n2")


def test_what_was_missing_is_not_lost_when_another_copy_of_it_has_started(
    machine: Machine,
) -> None:
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    machine.cluster.forget(machine.cluster.copy(key, 0))
    machine.tick(61)
    assert machine.attempts(workflow)[0].missing_since is not None
    send_again(machine, workflow)
    machine.clock.pass_by(5000)
    machine.cluster.start(machine.cluster.copy(key, -1), node="n2")
    machine.tick(61)
    machine.tick(61)
    attempt = machine.attempts(workflow)[0]
    assert (attempt.outcome, attempt.reason) == (None, "runs on n2")


def test_tasks_of_one_submission_may_run_in_different_copies(tmp_path: Path) -> None:
    both = ActiveSubmission("gw1", "100", tmp_path, 0.0, {0: "a.1", 1: "b.1", 2: "c.1"})
    claims = [Claim("a.1", 0, "200_0", "n", 1.0), Claim("b.1", 0, "100_1", "n", 1.0)]
    found = by_copy([both], {"gw1": claims}, lambda task: task.partition("_")[0])
    assert {each.native_id: dict(each.open_tasks) for each in found} == {
        "200": {0: "a.1"},
        "100": {1: "b.1", 2: "c.1"},
    }
    assert by_copy([both], {"gw1": claims}, lambda _: "") == [both]
