"""The HTCondor adapter against a real HTCondor; runs inside the test bed, as an ordinary user."""

from __future__ import annotations

import getpass
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.site.model import HTCondorCluster
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
from gateway.submitters.htcondor import HTCondorSubmitter
from gateway.submitters.htcondor.submit_file import EVENT_LOG
from gateway.transport.base import CallKind, CommandResult
from gateway.transport.here import HereTransport
from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState, Source
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

pytestmark = [pytest.mark.htcondor, pytest.mark.timeout(180)]

SMALL = Resources(cpus=1, memory_mib=200, disk_mib=10)
RUNNING, PENDING = SchedulerState.RUNNING, SchedulerState.PENDING
WAIT = "echo {index} >>started.{index}; while [ ! -e go ]; do sleep 0.1; done"


class OpenGate:
    """Lets every call through and counts them; can lose the answer to a submission."""

    def __init__(self) -> None:
        self.transport = HereTransport()
        self.calls: list[CallKind] = []
        self.lose_submit = False

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        self.calls.append(kind)
        result = self.transport.run(argv, stdin=stdin, timeout_s=timeout_s)
        if kind is CallKind.SUBMIT and self.lose_submit:
            return replace(result, stdout="", stderr="")
        return result


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)


@dataclass
class Bench:
    root: Path
    gate: OpenGate = field(default_factory=OpenGate)
    site: HTCondorCluster = field(default_factory=lambda: HTCondorCluster(type="htcondor"))
    active: list[ActiveSubmission] = field(default_factory=list)

    @property
    def submitter(self) -> HTCondorSubmitter:
        """A new one every time: nothing may be remembered in the process."""
        return HTCondorSubmitter("pool", self.site, self.gate, time.time, getpass.getuser())

    def submission(
        self, command: str, count: int = 1, resources: Resources = SMALL, **more: object
    ) -> Submission:
        key = f"gw{secrets.token_hex(8)}"
        tasks = tuple(Task(f"{key}.{index}", index, "step") for index in range(count))
        directory = self.root / f"control {key} $(HOME) \"it's\" $HOME 'x y'"
        label = 'fit "all" $(Cluster) \\ é'
        sent = Submission(key, label, directory, resources, tasks, **more)  # type: ignore[arg-type]
        launches = {
            task.key: Launch(
                ("env",),
                ("bash", "-c", command.replace("{index}", str(task.index))),
                {},
                str(self.root),
            )
            for task in tasks
        }
        control.prepare(sent, launches)
        return sent

    def send(self, sent: Submission) -> ActiveSubmission:
        outcome = self.submitter.submit(sent)
        assert isinstance(outcome, Submitted), outcome
        return self.adopt(sent, outcome.native_id, outcome.where)

    def adopt(self, sent: Submission, native_id: str, where: str) -> ActiveSubmission:
        open_tasks = {task.index: task.key for task in sent.tasks}
        active = ActiveSubmission(
            sent.key, native_id, sent.control_dir, time.time() - 5, open_tasks, where
        )
        self.active.append(active)
        return active

    def start(self, command: str, count: int = 1, resources: Resources = SMALL) -> ActiveSubmission:
        return self.send(self.submission(command, count, resources))

    def running(self, count: int = 1) -> ActiveSubmission:
        active = self.start(WAIT, count)
        until(lambda: self.logged(active) == [RUNNING] * count)
        for index in range(count):
            until((self.root / f"started.{index}").exists)
        return active

    def glance(self, active: ActiveSubmission) -> list[Observation]:
        return [seen for _, seen in sorted(self.submitter.glance([active]).items())]

    def logged(self, active: ActiveSubmission) -> list[SchedulerState]:
        return [seen.state for seen in self.glance(active)]

    def queued(self, active: ActiveSubmission) -> list[Observation]:
        observed = self.submitter.observe([active])
        assert isinstance(observed, Observed), observed
        return [seen for _, seen in sorted(observed.tasks.items())]

    def go(self) -> None:
        (self.root / "go").touch()


@pytest.fixture
def bench() -> Iterator[Bench]:
    # Nodes do not see the /tmp of a login node.
    root = Path.home() / f"htcondor tests/{secrets.token_hex(4)}"
    root.mkdir(parents=True)
    made = Bench(root)
    yield made
    made.submitter.cancel(made.active)


def condor(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_a_cluster_of_three_runs_to_its_ends(bench: Bench) -> None:
    active = bench.start(WAIT + "; exit {index}", 3)
    assert active.native_id.isdecimal()
    assert active.where
    until(lambda: bench.logged(active) == [RUNNING] * 3)
    queued = bench.queued(active)
    assert [seen.state for seen in queued] == [RUNNING] * 3
    assert [seen.native_id for seen in queued] == [f"{active.native_id}.{i}" for i in range(3)]
    assert {seen.source for seen in queued} == {Source.QUEUE}
    assert {seen.restart_count for seen in queued} <= {0, None}
    bench.go()
    expected = [SchedulerState.COMPLETED, SchedulerState.FAILED, SchedulerState.FAILED]
    until(lambda: bench.logged(active) == expected)
    for ended in (bench.glance(active), bench.queued(active)):
        assert [seen.state for seen in ended] == expected
        assert [seen.exit_code for seen in ended] == [0, 1, 2]
        assert {seen.restart_count for seen in ended} == {0}
        assert all(seen.finished_at and abs(seen.finished_at - time.time()) < 60 for seen in ended)
    records = control.read_exit_records(active.control_dir)
    assert [records[index].exit_code for index in range(3)] == [0, 1, 2]
    assert {record.restart for record in records.values()} == {0}
    assert {record.node for record in records.values()} == {bench.glance(active)[0].node}


def test_one_call_sees_everything(bench: Bench) -> None:
    active = [bench.start("true") for _ in range(4)]
    until(lambda: all(bench.logged(each) == [SchedulerState.COMPLETED] for each in active))
    bench.gate.calls.clear()
    submitter = bench.submitter
    observed = submitter.observe(active)
    assert isinstance(observed, Observed)
    assert len(observed.tasks) == 4
    assert observed.absence_counts
    assert [kind for kind in bench.gate.calls if kind is not CallKind.QUERY] == [CallKind.STATUS]


def test_the_label_is_the_batch_name(bench: Bench) -> None:
    active = bench.running()
    name = condor("condor_q", active.native_id, "-af", "JobBatchName").strip()
    assert name == 'fit "all" $(Cluster) / é'


def test_a_lost_answer_is_unclear_and_the_submission_is_found(bench: Bench) -> None:
    sent = bench.submission(WAIT)
    assert bench.submitter.find(sent, time.time() - 60) == Absent()
    bench.gate.lose_submit = True
    assert isinstance(bench.submitter.submit(sent), Unclear)
    found = bench.submitter.find(sent, time.time() - 60)
    assert isinstance(found, Found)
    active = bench.adopt(sent, found.native_id, found.where)
    until(lambda: bench.logged(active) == [RUNNING])
    (sent.control_dir / EVENT_LOG).unlink()
    assert replace(found, said="") == replace(_found(bench, sent), said="")


def _found(bench: Bench, sent: Submission) -> Found:
    found = bench.submitter.find(sent, time.time() - 60)
    assert isinstance(found, Found), found
    return found


def test_the_queue_and_the_history_find_a_submission_by_its_key(bench: Bench) -> None:
    sent = bench.submission(WAIT)
    active = bench.send(sent)
    until(lambda: bench.logged(active) == [RUNNING])
    hide_files(active)
    assert _found(bench, sent).native_id == active.native_id
    condor("condor_rm", active.native_id)
    until(lambda: active.native_id not in condor("condor_q", "-af", "ClusterId").split())
    hide_files(active)
    assert _found(bench, sent).native_id == active.native_id


def hide_files(active: ActiveSubmission) -> None:
    (active.control_dir / EVENT_LOG).unlink(missing_ok=True)
    for claim in (active.control_dir / "claims").iterdir():
        claim.unlink()


def test_a_hold_and_a_release_make_a_second_start(bench: Bench) -> None:
    active = bench.running()
    condor("condor_hold", "-reason", "a test", active.native_id)
    until(lambda: bench.logged(active) == [SchedulerState.HELD])
    for seen in (*bench.glance(active), *bench.queued(active)):
        assert seen.state is SchedulerState.HELD
        assert seen.hold
        assert seen.hold.code == 1
        assert "a test" in seen.reason
    condor("condor_release", active.native_id)
    second_start(bench, active)


def second_start(bench: Bench, active: ActiveSubmission) -> None:
    until(lambda: control.read_claims(active.control_dir)[0].restart == 1)
    bench.go()
    until(lambda: bench.logged(active) == [SchedulerState.COMPLETED])
    assert control.read_exit_records(active.control_dir)[0].restart == 1
    assert bench.glance(active)[0].restart_count == 1
    assert bench.queued(active)[0].restart_count == 1
    assert (bench.root / "started.0").read_text() == "0\n0\n"


@pytest.mark.parametrize("how", [(), ("-fast",)])
def test_a_vacated_job_starts_again(bench: Bench, how: tuple[str, ...]) -> None:
    active = bench.running()
    condor("condor_vacate_job", *how, active.native_id)
    second_start(bench, active)


def test_a_removal_from_outside_is_seen(bench: Bench) -> None:
    active = bench.running()
    condor("condor_rm", active.native_id)
    until(lambda: bench.logged(active) == [SchedulerState.CANCELLED])
    assert "condor_rm" in bench.glance(active)[0].reason
    assert control.read_exit_records(active.control_dir)[0].warned == "TERM"
    (active.control_dir / EVENT_LOG).unlink()
    until(lambda: [seen.source for seen in bench.queued(active)] == [Source.ACCOUNTING])
    seen = bench.queued(active)[0]
    assert (seen.state, seen.raw) == (SchedulerState.CANCELLED, "JobStatus 3")


def test_a_removed_job_that_still_runs_is_not_over(bench: Bench) -> None:
    active = bench.start("trap '' TERM; touch started.0; " + WAIT.partition(";")[2])
    until((bench.root / "started.0").exists)
    condor("condor_rm", active.native_id)
    assert [seen.state for seen in bench.queued(active)] == [RUNNING]
    bench.go()
    until(lambda: bench.logged(active) == [SchedulerState.CANCELLED])


def test_cancel_removes_the_open_tasks_only(bench: Bench) -> None:
    active = bench.running(3)
    some = replace(active, open_tasks={index: active.open_tasks[index] for index in (0, 2)})
    assert isinstance(bench.submitter.cancel([some]), Acknowledged)
    expected = [SchedulerState.CANCELLED, RUNNING, SchedulerState.CANCELLED]
    until(lambda: bench.logged(active) == expected)
    assert isinstance(bench.submitter.cancel([some]), Acknowledged), "already gone"


def test_what_cannot_be_started_is_held_with_its_reason(bench: Bench) -> None:
    sent = bench.submission("true")
    bench.site = HTCondorCluster(type="htcondor", extra_lines=("executable = /no/such/program",))
    active = bench.send(sent)
    until(lambda: bench.logged(active) == [SchedulerState.HELD])
    for seen in (*bench.glance(active), *bench.queued(active)):
        assert seen.hold == HoldCode(6, 2)
        assert "/no/such/program" in seen.reason


def test_the_walltime_is_kept_and_named(bench: Bench) -> None:
    active = bench.start("sleep 100", 1, replace(SMALL, walltime_s=3))
    until(lambda: bench.logged(active) == [SchedulerState.TIMEOUT])
    assert "duration" in bench.glance(active)[0].reason
    assert bench.queued(active)[0].state is SchedulerState.TIMEOUT
    assert control.read_exit_records(active.control_dir)[0].warned == "TERM"
    until(lambda: active.native_id not in condor("condor_q", "-af", "ClusterId").split())
    assert bench.logged(active) == [SchedulerState.TIMEOUT]
    (active.control_dir / EVENT_LOG).unlink()
    until(lambda: [seen.source for seen in bench.queued(active)] == [Source.ACCOUNTING])
    assert bench.queued(active)[0].state is SchedulerState.TIMEOUT


def test_a_signal_that_ends_the_job_script_is_seen(bench: Bench) -> None:
    active = bench.running()
    pid = control.read_claims(active.control_dir)[0].pid
    assert pid
    os.kill(pid, 9)
    until(lambda: bench.logged(active) == [SchedulerState.FAILED])
    for seen in (*bench.glance(active), *bench.queued(active)):
        assert (seen.state, seen.signal, seen.exit_code) == (SchedulerState.FAILED, 9, None)


def test_memory_is_measured(bench: Bench) -> None:
    active = bench.start("x=$(head -c 60000000 /dev/zero | tr '\\0' x); while :; do sleep 1; done")
    until(lambda: any((seen.max_rss_mib or 0) > 50 for seen in bench.glance(active)))


@pytest.mark.parametrize(
    "resources",
    [replace(SMALL, requirements="Memory >"), replace(SMALL, requirements='Machine == "x')],
)
def test_a_wrong_expression_is_rejected(bench: Bench, resources: Resources) -> None:
    sent = bench.submission("true", 1, resources)
    outcome = bench.submitter.submit(sent)
    assert isinstance(outcome, Rejected), outcome
    assert "Parse error" in outcome.reason
    assert bench.submitter.find(sent, time.time() - 60) == Absent()


def test_requirements_cannot_smuggle_commands_in(bench: Bench) -> None:
    wanted = replace(SMALL, requirements="(\n  TARGET.Cpus > 0\n)\nexecutable = /bin/false\\")
    outcome = bench.submitter.submit(bench.submission("true", 1, wanted))
    assert isinstance(outcome, Rejected), outcome


@pytest.mark.parametrize("short", [True, False])
def test_an_excluded_node_is_not_used(bench: Bench, short: bool) -> None:
    node = os.uname().nodename if short else f"{os.uname().nodename}.elsewhere"
    active = bench.send(bench.submission("true", exclude_nodes=(node, 'we"ird')))
    if short:
        time.sleep(6)
        assert bench.logged(active) == [PENDING]
    else:
        until(lambda: bench.logged(active) == [SchedulerState.COMPLETED])


def test_the_limit_of_a_submission_is_known_before(bench: Bench) -> None:
    limit = {"_CONDOR_MAX_JOBS_PER_SUBMISSION": "7"}
    bench.gate.transport = HereTransport({**os.environ, **limit})
    assert bench.submitter.limits().tasks_per_submission == 7


def service(action: str) -> None:
    done = subprocess.run(
        ["sudo", "-n", "testbed-service", "schedd", action], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("cannot stop the schedd here")


@pytest.mark.alone
def test_without_a_schedd_nothing_is_sent_and_nothing_follows(bench: Bench) -> None:
    active = bench.running()
    sent = bench.submission("true")
    service("stop")
    try:
        until(lambda: "-- Schedd" not in condor("condor_q"))
        assert isinstance(bench.submitter.submit(sent), Backpressure)
        assert isinstance(bench.submitter.find(sent, 0), Unreachable)
        assert isinstance(bench.submitter.observe([active]), Unreachable)
        assert isinstance(bench.submitter.cancel([active]), Unreachable)
        assert bench.logged(active) in ([RUNNING], [PENDING])
    finally:
        service("start")
    until(lambda: "-- Schedd" in condor("condor_q"))
    until(lambda: [seen.state for seen in bench.queued(active)] == [RUNNING])
    bench.go()
    until(lambda: bench.logged(active) == [SchedulerState.COMPLETED])


def test_an_ended_task_is_remembered_and_an_unknown_one_is_missing(bench: Bench) -> None:
    ended = bench.start("true")
    until(lambda: bench.logged(ended) == [SchedulerState.COMPLETED])
    condor("condor_rm", ended.native_id)
    until(lambda: ended.native_id not in condor("condor_q", "-af", "ClusterId").split())
    assert bench.logged(ended) == [SchedulerState.COMPLETED]
    (ended.control_dir / EVENT_LOG).unlink()
    assert [seen.state for seen in bench.queued(ended)] == [SchedulerState.COMPLETED]
    never = replace(ended, key="gwffffffffffffffff", open_tasks={0: "gwffffffffffffffff.0"})
    assert bench.submitter.observe([never]) == Observed({}, absence_counts=True)
