"""The Slurm adapter against a real Slurm; runs inside the test bed, as an ordinary user."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.site.model import SlurmCluster
from gateway.submitters import control
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    Backpressure,
    Found,
    Observed,
    Rejected,
    Submission,
    Submitted,
    Task,
    Unclear,
    Unreachable,
)
from gateway.submitters.slurm.submitter import SlurmSubmitter
from gateway.transport.base import CallKind, CommandResult
from gateway.transport.here import HereTransport
from gateway.vocabulary.evidence import ExitRecord, Observation, SchedulerState, Source
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]

SMALL = Resources(cpus=1, memory_mib=100, walltime_s=300)


class OpenGate:
    """Lets every call through, writes down how long each took, and can lose the queue's answer."""

    def __init__(self) -> None:
        self.transport = HereTransport()
        self.calls: list[CommandResult] = []
        self.queue_is_empty = False

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        result = self.transport.run(argv, stdin=stdin, timeout_s=timeout_s, enough=enough)
        self.calls.append(result)
        if "squeue" in argv and self.queue_is_empty:
            titles = result.stdout.partition("\n")[0]
            return replace(result, exit_status=0, stdout=f"{titles}\n")
        return result

    def seconds(self, program: str) -> list[float]:
        return [call.seconds for call in self.calls if program in call.argv]


@pytest.fixture
def gate() -> OpenGate:
    return OpenGate()


@pytest.fixture
def slurm(gate: OpenGate) -> SlurmSubmitter:
    return make(gate)


def make(gate: OpenGate, **settings: object) -> SlurmSubmitter:
    site = SlurmCluster.model_validate({"type": "slurm", **settings})
    return SlurmSubmitter("here", site, gate, time.time, "alice")


@pytest.fixture
def accounting() -> None:
    service("testbed-slurmdbd", "on")
    eventually(lambda: subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0)


def service(*argv: str) -> None:
    subprocess.run(["sudo", "-n", *argv], check=True, capture_output=True)


def scontrol(*argv: str) -> None:
    subprocess.run(["scontrol", *argv], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def no_jobs_left(tmp_path: Path) -> Iterator[None]:
    yield
    words = ["squeue", "--me", "--all", "--noheader", "--format=%F|%Z"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    mine = {array for array, _, place in (line.partition("|") for line in listed)
            if place.startswith(str(tmp_path))}  # fmt: skip
    if mine:
        subprocess.run(["scancel", *mine], check=False, capture_output=True)


def prepared(
    control_dir: Path, *commands: str, resources: Resources = SMALL, **more: object
) -> Submission:
    key = f"gw{secrets.token_hex(8)}"
    tasks = tuple(Task(f"{key}.{index}", index, "fit") for index in range(len(commands)))
    submission = Submission(key, "fit & plot", control_dir, resources, tasks)
    launches = {
        task.key: Launch(("env",), ("bash", "-c", command), {"SECRET": "x"}, "/tmp")
        for task, command in zip(tasks, commands, strict=True)
    }
    control.prepare(submission, launches)
    return replace(submission, **more)  # type: ignore[arg-type]


def sent(slurm: SlurmSubmitter, submission: Submission) -> ActiveSubmission:
    outcome = slurm.submit(submission)
    assert isinstance(outcome, Submitted), outcome
    return ActiveSubmission(
        submission.key,
        outcome.native_id,
        submission.control_dir,
        time.time(),
        {task.index: task.key for task in submission.tasks},
        outcome.where,
    )


def eventually(ready: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def seen(slurm: SlurmSubmitter, active: ActiveSubmission) -> dict[int, Observation]:
    outcome = slurm.observe([active])
    assert isinstance(outcome, Observed), outcome
    return {
        index: outcome.tasks[key]
        for index, key in active.open_tasks.items()
        if key in outcome.tasks
    }


def reaches(
    slurm: SlurmSubmitter, active: ActiveSubmission, state: SchedulerState, index: int = 0
) -> Observation:
    last: dict[int, Observation] = {}

    def arrived() -> bool:
        nonlocal last
        last = seen(slurm, active)
        return index in last and last[index].state is state

    eventually(arrived)
    return last[index]


def record_of(active: ActiveSubmission, index: int = 0) -> ExitRecord:
    eventually(lambda: index in control.read_exit_records(active.control_dir), 30)
    return control.read_exit_records(active.control_dir)[index]


def test_an_array_is_followed_to_its_end(
    slurm: SlurmSubmitter, gate: OpenGate, tmp_path: Path
) -> None:
    active = sent(
        slurm,
        prepared(tmp_path / "c d", "sleep 2; echo out", "sleep 2; exit 3", "sleep 2; kill $$"),
    )
    running = reaches(slurm, active, SchedulerState.RUNNING, 1)
    assert running.native_id == f"{active.native_id}_1"
    assert running.node.startswith("node")
    assert running.source is Source.QUEUE
    assert abs((running.started_at or 0) - time.time()) < 60
    assert running.finished_at is None
    done = reaches(slurm, active, SchedulerState.COMPLETED)
    assert (done.exit_code, done.restart_count) == (0, 0)
    failed = reaches(slurm, active, SchedulerState.FAILED, 1)
    assert (failed.exit_code, failed.signal) == (3, None)
    records = {index: record_of(active, index) for index in range(3)}
    assert [records[index].exit_code for index in range(3)] == [0, 3, 143]
    assert records[0].native_id == f"{active.native_id}_0"
    assert records[0].node == done.node
    assert control.log_paths(active.control_dir, 0, 0)[0].read_text() == "out\n"
    assert len(gate.seconds("sbatch")) == 1
    assert max(gate.seconds("squeue")) < 2


def test_nothing_of_the_submitting_environment_reaches_the_job(
    slurm: SlurmSubmitter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_LOGIN_NODE", "1")
    active = sent(slurm, prepared(tmp_path, 'env; echo "home=$(cd ~ && pwd)"'))
    reaches(slurm, active, SchedulerState.COMPLETED)
    out = control.log_paths(tmp_path, 0, 0)[0].read_text()
    assert "SECRET_OF_THE_LOGIN_NODE" not in out
    home = Path.home()
    assert f"home={home}\n" in out
    assert f"HOME={home}\n" in out
    assert "GATEWAY_NODE" not in out


@pytest.mark.parametrize(
    "wish",
    [
        {"partition": "nowhere"},
        {"memory_mib": 10**6},
        {"constraint": "no-such-feature"},
        {"gpus": 1},
        {"disk_mib": 10**6},
    ],
)
def test_an_impossible_wish_is_rejected_in_the_words_of_slurm(
    slurm: SlurmSubmitter, tmp_path: Path, wish: dict[str, object]
) -> None:
    resources = replace(SMALL, **wish)  # type: ignore[arg-type]
    outcome = slurm.submit(prepared(tmp_path, "true", resources=resources))
    assert isinstance(outcome, Rejected)
    assert "sbatch:" not in outcome.reason
    assert len(outcome.reason) > 20


def test_a_wrong_option_of_the_site_is_rejected(gate: OpenGate, tmp_path: Path) -> None:
    outcome = make(gate, extra_arguments=["--bogus"]).submit(prepared(tmp_path, "true"))
    assert isinstance(outcome, Rejected)
    assert "--bogus" in outcome.reason


@pytest.mark.parametrize("node", ["no-such-node", "node1,node2"])
def test_a_node_that_cannot_be_avoided_does_not_keep_the_job_from_running(
    slurm: SlurmSubmitter, tmp_path: Path, node: str
) -> None:
    submission = prepared(tmp_path, "true", exclude_nodes=tuple(node.split(",")))
    reaches(slurm, sent(slurm, submission), SchedulerState.COMPLETED)


def test_nodes_are_avoided(slurm: SlurmSubmitter, tmp_path: Path) -> None:
    active = sent(slurm, prepared(tmp_path, "true", exclude_nodes=("node1",)))
    assert reaches(slurm, active, SchedulerState.COMPLETED).node == "node2"


def test_limits_are_those_of_slurm(gate: OpenGate) -> None:
    slurm = make(gate, max_tasks_per_submission=5000)
    assert slurm.limits().tasks_per_submission == 1001
    assert slurm.limits().tasks_per_submission == 1001
    assert len(gate.calls) == 1
    assert make(gate).limits().tasks_per_submission == 1000


def test_the_largest_array_is_accepted_and_a_larger_one_names_the_limit(
    gate: OpenGate, tmp_path: Path
) -> None:
    slurm = make(gate, max_tasks_per_submission=5000, extra_arguments=["--hold"])
    most = slurm.limits().tasks_per_submission
    submission = replace(
        prepared(tmp_path, "true"), tasks=tuple(Task(f"k{i}", i, "x") for i in range(most))
    )
    active = sent(slurm, submission)
    states = {said.state for said in seen(slurm, active).values()}
    assert states == {SchedulerState.HELD}
    assert len(seen(slurm, active)) == most
    more = replace(submission, tasks=(*submission.tasks, Task("k", most, "x")))
    assert slurm.submit(more) == Backpressure("Invalid job array specification", limit=most)


def test_a_submission_is_found_by_its_key_and_later_by_its_claim(
    slurm: SlurmSubmitter, gate: OpenGate, tmp_path: Path
) -> None:
    since = time.time() - 5
    submission = prepared(tmp_path, "sleep 1")
    assert slurm.find(submission, since) == Absent()
    active = sent(slurm, submission)
    found = slurm.find(submission, since)
    assert isinstance(found, Found)
    assert found.native_id == active.native_id
    record_of(active)
    before = len(gate.calls)
    found = slurm.find(submission, since)
    assert isinstance(found, Found)
    assert found.native_id == active.native_id
    assert len(gate.calls) == before


def test_a_submission_that_never_started_is_found_in_the_queue(
    gate: OpenGate, tmp_path: Path
) -> None:
    slurm = make(gate, extra_arguments=["--hold"])
    submission = prepared(tmp_path, "true", "true")
    active = sent(slurm, submission)
    found = slurm.find(submission, time.time() - 5)
    assert found == Found(active.native_id, "", "queue: PENDING")


def test_cancelling_some_tasks_leaves_the_others(slurm: SlurmSubmitter, tmp_path: Path) -> None:
    active = sent(slurm, prepared(tmp_path, "sleep 60", "sleep 60", "sleep 60"))
    eventually(lambda: len(control.read_claims(tmp_path)) == 3)
    some = replace(active, open_tasks={i: active.open_tasks[i] for i in (0, 2)})
    assert isinstance(slurm.cancel([some]), Acknowledged)
    reaches(slurm, active, SchedulerState.CANCELLED, 0)
    reaches(slurm, active, SchedulerState.CANCELLED, 2)
    assert seen(slurm, active)[1].state is SchedulerState.RUNNING
    assert record_of(active, 0).warned == "TERM"
    assert isinstance(slurm.cancel([active]), Acknowledged)
    reaches(slurm, active, SchedulerState.CANCELLED, 1)
    assert isinstance(slurm.cancel([active]), Acknowledged)


def test_a_waiting_array_that_is_cancelled_as_a_whole_leaves_a_record(
    gate: OpenGate, tmp_path: Path
) -> None:
    slurm = make(gate, extra_arguments=["--hold"])
    active = sent(slurm, prepared(tmp_path, "true", "true", "true"))
    assert isinstance(slurm.cancel([active]), Acknowledged)
    for index in range(3):
        reaches(slurm, active, SchedulerState.CANCELLED, index)


def test_held_tasks_go_on_when_somebody_releases_them(gate: OpenGate, tmp_path: Path) -> None:
    slurm = make(gate, extra_arguments=["--hold"])
    active = sent(slurm, prepared(tmp_path, "true", "true"))
    held = reaches(slurm, active, SchedulerState.HELD)
    assert held.reason == "JobHeldUser"
    scontrol("release", f"{active.native_id}_[0]")
    reaches(slurm, active, SchedulerState.COMPLETED, 0)
    assert seen(slurm, active)[1].state is SchedulerState.HELD


def test_a_job_that_cannot_ever_start_is_held_with_the_reason(
    slurm: SlurmSubmitter, tmp_path: Path
) -> None:
    wish = replace(SMALL, partition="tiny", walltime_s=3600)
    active = sent(slurm, prepared(tmp_path, "true", resources=wish))
    assert reaches(slurm, active, SchedulerState.HELD).reason == "PartitionTimeLimit"


def test_a_requeue_is_a_second_run_of_the_same_attempt(
    slurm: SlurmSubmitter, tmp_path: Path
) -> None:
    active = sent(slurm, prepared(tmp_path / "c", once(tmp_path / "second")))
    reaches(slurm, active, SchedulerState.RUNNING)
    eventually((tmp_path / "second").exists)
    scontrol("requeue", f"{active.native_id}_0")
    waiting = reaches(slurm, active, SchedulerState.PENDING)
    assert (waiting.restart_count, waiting.exit_code) == (1, None)
    ended_after_requeue(slurm, active, 1)
    record = record_of(active)
    assert (record.restart, record.exit_code, record.warned) == (1, 0, "")


def test_requeued_tasks_all_run_again(slurm: SlurmSubmitter, tmp_path: Path) -> None:
    """Slurm signals the processes of a job one by one, and the order is not always the same."""
    marks = [tmp_path / f"second-{index}" for index in range(12)]
    active = sent(slurm, prepared(tmp_path / "c", *map(once, marks)))
    eventually(lambda: all(mark.exists() for mark in marks))
    for index in range(len(marks)):
        scontrol("requeue", f"{active.native_id}_{index}")
    ended_after_requeue(slurm, active, len(marks))
    first = [tmp_path / "c" / "exits" / f"{index}.0.json" for index in range(len(marks))]
    assert {json.loads(path.read_text())["warned"] for path in first} == {"TERM"}


def once(mark: Path) -> str:
    """Return a command that runs for long, but only the first time."""
    return f"test -e {mark} || {{ touch {mark}; sleep 60; }}"


def ended_after_requeue(slurm: SlurmSubmitter, active: ActiveSubmission, tasks: int) -> None:
    last: dict[int, Observation] = {}

    # The test bed's Slurm starts a requeued job after some seconds, elsewhere it takes minutes.
    def ended() -> bool:
        nonlocal last
        last = seen(slurm, active)
        return len(last) == tasks and all(each.state.is_terminal for each in last.values())

    eventually(ended, seconds=200)
    said = {(each.state, each.exit_code, each.restart_count) for each in last.values()}
    assert said == {(SchedulerState.COMPLETED, 0, 1)}


def test_more_memory_than_asked_for_is_seen(slurm: SlurmSubmitter, tmp_path: Path) -> None:
    eat = "python3 -c 'x = b\"x\" * (600 * 2**20); import time; time.sleep(50)'"
    active = sent(slurm, prepared(tmp_path, eat))
    said = reaches(slurm, active, SchedulerState.OUT_OF_MEMORY)
    assert "memory limit" in said.reason or said.raw == "OUT_OF_MEMORY"
    evidence = (tmp_path / "logs" / "0.slurm").read_text()
    assert "emory" in evidence


@pytest.mark.long
def test_the_end_of_the_walltime_is_seen(slurm: SlurmSubmitter, tmp_path: Path) -> None:
    wish = replace(SMALL, walltime_s=61)
    active = sent(slurm, prepared(tmp_path, "sleep 300", resources=wish))
    eventually(lambda: seen(slurm, active)[0].state is SchedulerState.TIMEOUT, 200)
    assert "TIME LIMIT" in (tmp_path / "logs" / "0.slurm").read_text()


@pytest.mark.alone
def test_a_silent_controller_is_not_an_absent_job(gate: OpenGate, tmp_path: Path) -> None:
    slurm = make(gate, command_timeout=5)
    active = sent(slurm, prepared(tmp_path / "a", "sleep 1"))
    service("testbed-service", "slurmctld", "pause")
    try:
        assert isinstance(slurm.observe([active]), Unreachable)
        lost = prepared(tmp_path / "b", "true")
        assert isinstance(slurm.submit(lost), Unclear)
        assert isinstance(slurm.find(lost, time.time()), Unreachable)
        assert isinstance(slurm.cancel([active]), Unreachable)
    finally:
        service("testbed-service", "slurmctld", "resume")
    assert 0 in seen(slurm, active)


@pytest.mark.alone
def test_a_stopped_controller_leaves_a_submission_unclear(gate: OpenGate, tmp_path: Path) -> None:
    slurm = make(gate)
    service("testbed-service", "slurmctld", "stop")
    try:
        outcome = slurm.submit(prepared(tmp_path, "true"))
        assert isinstance(outcome, Unclear)
        assert "Unable to contact" in outcome.reason
    finally:
        service("testbed-service", "slurmctld", "start")


def test_missing_commands_make_jobs_wait(gate: OpenGate, tmp_path: Path) -> None:
    gate.transport = HereTransport({"PATH": str(tmp_path)})
    slurm = make(gate)
    outcome = slurm.submit(prepared(tmp_path, "true"))
    assert isinstance(outcome, Backpressure)
    assert "sbatch was not found" in outcome.reason


@pytest.mark.alone
@pytest.mark.usefixtures("accounting")
def test_a_job_that_left_the_queue_is_seen_in_accounting(
    slurm: SlurmSubmitter, gate: OpenGate, tmp_path: Path
) -> None:
    submission = prepared(tmp_path, "sleep 1", "exit 4")
    active = sent(slurm, submission)
    since = time.time() - 5
    reaches(slurm, active, SchedulerState.COMPLETED)
    reaches(slurm, active, SchedulerState.FAILED, 1)
    gate.queue_is_empty = True
    said = reaches(slurm, active, SchedulerState.COMPLETED)
    assert said.source is Source.ACCOUNTING
    assert said.max_rss_mib is not None
    assert said.cpu_s is not None
    assert seen(slurm, active)[1].exit_code == 4
    empty = tmp_path / "empty"
    (empty / "claims").mkdir(parents=True)
    unclaimed = replace(submission, control_dir=empty)
    found = slurm.find(unclaimed, since)
    assert isinstance(found, Found)
    assert found.native_id == active.native_id


@pytest.mark.alone
@pytest.mark.usefixtures("accounting")
def test_a_reused_id_is_not_taken_for_our_job(
    slurm: SlurmSubmitter, gate: OpenGate, tmp_path: Path
) -> None:
    active = sent(slurm, prepared(tmp_path, "true"))
    reaches(slurm, active, SchedulerState.COMPLETED)
    other = replace(active, key="gw0000000000000000")
    assert slurm.observe([other]) == Observed({}, absence_counts=True)


@pytest.mark.alone
@pytest.mark.usefixtures("accounting")
def test_nothing_is_absent_while_accounting_is_down(
    gate: OpenGate, slurm: SlurmSubmitter, tmp_path: Path
) -> None:
    submission = prepared(tmp_path, "true")
    active = sent(slurm, submission)
    other = prepared(tmp_path / "other", "true")
    service("testbed-slurmdbd", "stop")
    try:
        reaches(slurm, active, SchedulerState.COMPLETED)
        gate.queue_is_empty = True
        assert slurm.observe([active]) == Observed({}, absence_counts=False)
        assert isinstance(slurm.find(other, time.time() - 5), Unreachable)
    finally:
        service("testbed-slurmdbd", "start")
    reaches(slurm, active, SchedulerState.COMPLETED)


@pytest.mark.alone
def test_without_accounting_the_queue_alone_counts(gate: OpenGate, tmp_path: Path) -> None:
    service("testbed-slurmdbd", "off")
    eventually(lambda: subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0)
    slurm = make(gate)
    active = sent(slurm, prepared(tmp_path, "true"))
    gate.queue_is_empty = True
    assert slurm.observe([active]) == Observed({}, absence_counts=True)
    assert slurm.observe([active]) == Observed({}, absence_counts=True)
    assert len(gate.seconds("sacct")) == 1


@pytest.mark.alone
def test_calls_are_quick(slurm: SlurmSubmitter, gate: OpenGate, tmp_path: Path) -> None:
    for number in range(5):
        active = sent(slurm, prepared(tmp_path / str(number), *["true"] * 20))
        seen(slurm, active)
    print("sbatch", gate.seconds("sbatch"), "squeue", gate.seconds("squeue"))
    assert sorted(gate.seconds("sbatch"))[2] < 0.5
    assert sorted(gate.seconds("squeue"))[2] < 0.5
