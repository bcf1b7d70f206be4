"""One suite for every submitter: the fake, the local one, and real schedulers in the test bed."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.site.model import HTCondorCluster, LocalCluster, SlurmCluster
from gateway.submitters import control
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    Found,
    Observed,
    Submission,
    Submitted,
    Submitter,
    Task,
)
from gateway.testing.fake_cluster import FakeCluster
from gateway.transport.gate import ClusterGate, calls_per_minute
from gateway.transport.here import HereTransport
from gateway.vocabulary.evidence import ExitRecord, Observation
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

WAIT_S = 90.0
T = TypeVar("T")


@dataclass
class Subject:
    """A submitter, and how to let its jobs run."""

    submitter: Submitter
    root: Path
    fake: FakeCluster | None = None

    def submission(self, number: int = 2) -> Submission:
        key = f"gw{secrets.token_hex(8)}"
        tasks = tuple(Task(f"{secrets.token_hex(16)}.1", index, "step") for index in range(number))
        resources = Resources(cpus=1, memory_mib=64)
        return Submission(key, "step", self.root / key, resources, tasks)

    def send(self, submission: Submission, command: str) -> ActiveSubmission:
        """Submit; the fake runs the command at once, as far as a fake can."""
        launch = Launch(("env",), ("sh", "-c", command), {}, str(self.root))
        control.prepare(submission, {task.key: launch for task in submission.tasks})
        answer = self.submitter.submit(submission)
        assert isinstance(answer, Submitted), answer
        if self.fake is not None:
            self._play(submission, command)
        return ActiveSubmission(
            submission.key,
            answer.native_id,
            submission.control_dir,
            time.time(),
            {task.index: task.key for task in submission.tasks},
            answer.where,
        )

    def _play(self, submission: Submission, command: str) -> None:
        assert self.fake is not None
        for task in submission.tasks:
            self.fake.start(task.key)
            if command.startswith("exit "):
                self.fake.end(task.key, int(command.removeprefix("exit ")))

    def records(self, active: ActiveSubmission) -> dict[int, ExitRecord]:
        """Wait for the exit records of all tasks."""
        return eventually(
            lambda: control.read_exit_records(active.control_dir),
            lambda found: len(found) == len(active.open_tasks),
        )

    def seen(self, active: ActiveSubmission) -> Mapping[str, Observation]:
        """Return what free evidence and one bulk call say."""
        answer = self.submitter.observe([active])
        assert isinstance(answer, Observed), answer
        return {**answer.tasks, **self.submitter.glance([active])}


def eventually(ask: Callable[[], T], enough: Callable[[T], bool]) -> T:
    deadline = time.monotonic() + WAIT_S
    while not enough(found := ask()):
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.2)
    return found


def _gate(name: str) -> ClusterGate:
    limits = calls_per_minute(600)
    return ClusterGate(name, HereTransport(), calls_per_minute=limits, log=lambda _record: None)


def _fake(root: Path) -> Subject:
    fake = FakeCluster(time.time)
    return Subject(fake, root, fake)


def _local(root: Path) -> Subject:
    from gateway.submitters.local.submitter import LocalSubmitter

    settings = LocalCluster.model_validate({"type": "local", "cpus": 64, "memory": "64 GiB"})
    return Subject(LocalSubmitter(f"contract-{os.getpid()}", settings, time.time), root)


def _slurm(root: Path) -> Subject:
    from gateway.submitters.slurm.submitter import SlurmSubmitter

    settings = SlurmCluster(type="slurm")
    gate = _gate("slurm")
    return Subject(SlurmSubmitter("slurm", settings, gate, time.time, getpass.getuser()), root)


def _htcondor(root: Path) -> Subject:
    from gateway.submitters.htcondor.submitter import HTCondorSubmitter

    settings = HTCondorCluster(type="htcondor")
    gate = _gate("htcondor")
    return Subject(HTCondorSubmitter("condor", settings, gate, time.time, getpass.getuser()), root)


KINDS: dict[str, tuple[Callable[[Path], Subject], str | None]] = {
    "fake": (_fake, None),
    "local": (_local, None),
    "slurm": (_slurm, "sbatch"),
    "htcondor": (_htcondor, "condor_submit"),
}


@pytest.fixture(
    params=[
        "fake",
        "local",
        pytest.param("slurm", marks=pytest.mark.slurm),
        pytest.param("htcondor", marks=pytest.mark.htcondor),
    ]
)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    build, command = KINDS[request.param]
    if command and not shutil.which(command):
        pytest.skip(f"needs {command}: run inside the test bed")
    root = Path.home() / "contract" if command else Path("/tmp")
    root = root / f"gateway contract {os.getpid()}-{time.time_ns()}"
    root.mkdir(parents=True)
    yield build(root)
    shutil.rmtree(root, ignore_errors=True)


def test_tasks_run_and_leave_exit_records_under_their_keys(subject: Subject) -> None:
    submission = subject.submission(3)
    active = subject.send(submission, "exit 3")
    records = subject.records(active)
    assert {index: record.key for index, record in records.items()} == dict(active.open_tasks)
    assert {record.exit_code for record in records.values()} == {3}
    assert {record.restart for record in records.values()} == {0}


def test_submission_is_found_by_its_key_while_it_runs(subject: Subject) -> None:
    submission = subject.submission()
    began = time.time()
    active = subject.send(submission, "sleep 30")
    found = eventually(
        lambda: subject.submitter.find(submission, began - 60),
        lambda answer: isinstance(answer, Found),
    )
    assert isinstance(found, Found)
    assert found.native_id == active.native_id
    assert isinstance(subject.submitter.cancel([active]), Acknowledged)


def test_submission_that_was_never_sent_is_absent(subject: Subject) -> None:
    submission = subject.submission()
    launch = Launch(("env",), ("true",), {}, str(subject.root))
    control.prepare(submission, {task.key: launch for task in submission.tasks})
    assert isinstance(subject.submitter.find(submission, time.time() - 60), Absent)


def test_running_tasks_are_seen_alive_and_end_when_cancelled(subject: Subject) -> None:
    submission = subject.submission()
    active = subject.send(submission, "sleep 60")
    keys = set(active.open_tasks.values())
    eventually(
        lambda: control.read_claims(active.control_dir), lambda found: len(found) == len(keys)
    )
    alive = eventually(lambda: subject.seen(active), lambda seen: set(seen) == keys)
    assert not any(each.state.is_terminal for each in alive.values())
    assert isinstance(subject.submitter.cancel([active]), Acknowledged)
    eventually(
        lambda: subject.seen(active),
        lambda seen: all(
            (key in seen and seen[key].state.is_terminal) or not key_is_open(active, key)
            for key in keys
        ),
    )
    assert isinstance(subject.submitter.cancel([active]), Acknowledged)


def key_is_open(active: ActiveSubmission, key: str) -> bool:
    """Whether a task has left no exit record yet."""
    index = next(index for index, each in active.open_tasks.items() if each == key)
    return index not in control.read_exit_records(active.control_dir)


def test_forbidden_task_never_runs_its_command(subject: Subject) -> None:
    if subject.fake is not None:
        pytest.skip("the fake runs no job script; test_life_of_a_job covers it")
    submission = subject.submission(1)
    launch = Launch(("env",), ("sh", "-c", "touch ran"), {}, str(subject.root))
    control.prepare(submission, {submission.tasks[0].key: launch})
    control.forbid_start(submission.control_dir, 0)
    answer = subject.submitter.submit(submission)
    assert isinstance(answer, Submitted)
    eventually(lambda: control.read_exit_records(submission.control_dir), lambda found: 0 in found)
    assert not (subject.root / "ran").exists()


def test_observing_nothing_asks_nothing_of_the_user(subject: Subject) -> None:
    answer = subject.submitter.observe([])
    assert isinstance(answer, Observed)
    assert not answer.tasks
