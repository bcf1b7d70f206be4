"""When secrets of jobs are written and when they go, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.cycle import Cycle
from gateway.crash_points import CrashPoint, set_hook
from gateway.errors import SiteError
from gateway.store.store import Transaction
from gateway.testing.fake_task import Fault
from gateway.vocabulary.launch import JobSecrets
from gateway.vocabulary.states import AttemptState, WorkflowStatus
from tests.unit.core.conftest import Machine

OLD = JobSecrets({"A": "old"}, {"f": b"old", "g": b"old"}, {"A": "1", "f": "1", "g": "1"})
NEW = JobSecrets({"A": "new"}, {"f": b"new"}, {"A": "2", "f": "2"})


class KilledError(BaseException):
    """Stands for SIGKILL."""


def give(machine: Machine, secrets: JobSecrets | None) -> None:
    """Let jobs have these secrets from now on; with ``None`` they cannot be read."""

    def secrets_of(_transaction: Transaction, _owner: str) -> JobSecrets:
        if secrets is None:
            raise SiteError("the key is gone")
        return secrets

    machine.images.secrets_root = machine.parts.site.secrets
    machine.parts = replace(machine.parts, secrets_of=secrets_of)
    machine.cycle = Cycle(machine.parts, machine.lease)


def kept(machine: Machine) -> dict[str, str]:
    """Return the secrets on the shared filesystem."""
    root = machine.parts.site.secrets
    return {path.relative_to(root).as_posix(): path.read_text()
            for path in sorted(root.rglob("*")) if path.is_file()}  # fmt: skip


def test_they_are_there_from_the_call_to_the_end_of_the_attempt(machine: Machine) -> None:
    give(machine, OLD)
    workflow = machine.submit("run")
    key = machine.sent(workflow)
    assert kept(machine) == {
        f"{key}/environment": "    export A=old\n",
        f"{key}/files/f": "old",
        f"{key}/files/g": "old",
    }
    machine.cluster.start(key)
    for _ in range(3):
        machine.tick(60)
        assert len(kept(machine)) == 3
    machine.cluster.end(key, 0)
    machine.tick()
    assert machine.attempts(workflow)[0].state is AttemptState.ENDED
    assert list(machine.parts.site.secrets.iterdir()) == []


def test_jobs_without_secrets_leave_no_trace(machine: Machine) -> None:
    give(machine, JobSecrets())
    machine.sent(machine.submit("run"))
    assert not machine.parts.site.secrets.exists()


def test_a_full_scheduler_gets_those_of_the_time_when_it_takes_the_job(machine: Machine) -> None:
    give(machine, OLD)
    machine.cluster.faults.append(Fault.FULL)
    workflow = machine.submit("run")
    machine.tick()
    assert kept(machine) == {}
    give(machine, NEW)
    for _ in range(20):
        machine.tick(2)
    key = machine.attempts(workflow)[0].key
    assert kept(machine) == {f"{key}/environment": "    export A=new\n", f"{key}/files/f": "new"}


def test_sent_again_with_those_of_then_and_nothing_of_before(machine: Machine) -> None:
    give(machine, OLD)
    machine.cluster.faults.append(Fault.LOST_REQUEST)
    workflow = machine.submit("run")
    machine.tick()
    assert len(kept(machine)) == 3
    give(machine, NEW)
    machine.tick(30)
    machine.tick(machine.parts.clusters["main"].settings.resend_after)
    assert machine.cluster.calls["submit"] == 2
    key = machine.attempts(workflow)[0].key
    assert kept(machine) == {f"{key}/environment": "    export A=new\n", f"{key}/files/f": "new"}


@pytest.mark.parametrize(
    "point", [CrashPoint.FILES_WRITTEN, CrashPoint.CALL_WRITTEN, CrashPoint.VERDICT_WRITTEN]
)
def test_a_killed_driver_leaves_none_behind(machine: Machine, point: CrashPoint) -> None:
    give(machine, OLD)
    workflow = machine.submit("run")

    def kill(passed: CrashPoint) -> None:
        if passed is point:
            set_hook(None)
            raise KilledError

    def live() -> None:
        machine.cluster.start(machine.sent(workflow))
        machine.cluster.end(machine.attempts(workflow)[0].key, 0)
        machine.tick()

    set_hook(kill)
    try:
        with pytest.raises(KilledError):
            live()
    finally:
        set_hook(None)
    machine.new_driver()
    for _ in range(8):
        machine.tick(60)
        for attempt in machine.attempts(workflow):
            if attempt.state is AttemptState.PENDING:
                assert len(kept(machine)) == 3
                machine.cluster.start(attempt.key)
                machine.cluster.end(attempt.key, 0)
    assert machine.status(workflow) is WorkflowStatus.FINISHED
    assert kept(machine) == {}


def test_secrets_that_cannot_be_read_fail_the_job_and_hold_up_no_other(machine: Machine) -> None:
    give(machine, None)
    workflow = machine.submit("run")
    machine.tick()
    machine.tick()
    assert machine.status(workflow) is WorkflowStatus.FAILED
    assert "the key is gone" in machine.message(workflow)
    give(machine, OLD)
    assert machine.sent(machine.submit("run", name="other"))


def test_what_belongs_to_no_attempt_of_ours_stays(machine: Machine) -> None:
    other = machine.parts.site.secrets / f"{'a' * 32}.1"
    other.mkdir(parents=True)
    Path(other, "environment").touch()
    machine.tick()
    assert other.exists()


def test_the_time_line_tells_the_attempts_apart(machine: Machine) -> None:
    give(machine, OLD)
    workflow = machine.submit("run", retries=1)
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.end(key, 1)
    give(machine, NEW)
    for _ in range(5):
        machine.tick(60)
    with machine.store.read() as transaction:
        events = transaction.events.of_job(machine.jobs(workflow)[0].id)
    said = [event.text for event in events if "secrets" in event.text]
    assert said == [
        "it gets the secrets A (version 1), f (version 1), g (version 1)",
        "it gets the secrets A (version 2), f (version 2)",
    ]
