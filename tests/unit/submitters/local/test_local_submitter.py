"""The local cluster with real processes."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.site.model import LocalCluster
from gateway.submitters import control
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    Backpressure,
    Found,
    Observed,
    Submission,
    Submitted,
    Task,
    Unreachable,
)
from gateway.submitters.local import LocalSubmitter, launcher
from gateway.submitters.local.process_table import Host, ProcessTable
from gateway.vocabulary.evidence import Observation, SchedulerState
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

WAIT = "touch {index}.ready; while [ ! -e go ]; do sleep 0.02; done"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@dataclass
class Bench:
    """A local cluster of four cores, and submissions to it."""

    root: Path
    now: float = 1000.0
    sent: list[Submission] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})

    @property
    def submitter(self) -> LocalSubmitter:
        """A new one every time: nothing may be remembered in the process."""
        site = LocalCluster(type="local", cpus=4, memory="4000MiB")
        name = f"test {self.root}"
        return LocalSubmitter(name, site, lambda: self.now, environ=self.environ)

    def submission(
        self, command: str, count: int = 1, resources: Resources | None = None
    ) -> Submission:
        number = len(self.sent)
        key = f"gw{number:016x}"
        tasks = tuple(Task(f"{key}.{index}", index, "step") for index in range(count))
        sent = Submission(
            key, "step", self.root / f"control {number}", resources or Resources(cpus=1), tasks
        )
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
        self.sent.append(sent)
        return sent

    def active(self, sent: Submission) -> ActiveSubmission:
        open_tasks = {task.index: task.key for task in sent.tasks}
        return ActiveSubmission(sent.key, sent.key, sent.control_dir, self.now, open_tasks)

    def glance(self, sent: Submission) -> Mapping[str, Observation]:
        return self.submitter.glance([self.active(sent)])

    def states(self, sent: Submission) -> list[SchedulerState]:
        return [observation.state for _, observation in sorted(self.glance(sent).items())]

    def start(self, command: str, count: int = 1, resources: Resources | None = None) -> Submission:
        sent = self.submission(command, count, resources)
        outcome = self.submitter.submit(sent)
        assert isinstance(outcome, Submitted), outcome
        return sent

    def started(self, command: str, count: int = 1) -> Submission:
        sent = self.start(command, count)
        for index in range(count):
            until((self.root / f"{index}.ready").exists)
        return sent

    def close(self) -> None:
        mine = [str(sent.control_dir) for sent in self.sent]
        table = ProcessTable()
        sessions = {
            stat.session
            for pid, argv in table.commands()
            if any(directory in argv for directory in mine) and (stat := table.stat(pid))
        }
        # What a job script left behind whose own process a test has killed.
        sessions |= {
            claim.pid
            for sent in self.sent
            for claim in control.read_claims(sent.control_dir).values()
            if claim.pid
        }
        for pid in [int(path.name) for path in Path("/proc").glob("[0-9]*")]:
            stat = table.stat(pid)
            if stat and stat.alive and stat.session in sessions:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_tasks_run_and_end(bench: Bench) -> None:
    sent = bench.start("exit {index}", 3)
    until(lambda: all(state.is_terminal for state in bench.states(sent)) and bench.states(sent))
    assert bench.states(sent) == [
        SchedulerState.COMPLETED,
        SchedulerState.FAILED,
        SchedulerState.FAILED,
    ]
    assert [seen.exit_code for _, seen in sorted(bench.glance(sent).items())] == [0, 1, 2]


def test_an_outcome_of_submit_names_the_host(bench: Bench) -> None:
    outcome = bench.submitter.submit(bench.submission("true"))
    assert outcome == Submitted("gw0000000000000000", where=os.uname().nodename)


def test_a_task_is_a_session_of_its_own_with_nothing_of_ours(bench: Bench) -> None:
    bench.environ |= {"SECRET": "x", "HOME": "/h", "https_proxy": "p"}
    sent = bench.started("env; ls -l /proc/$PPID/fd/; " + WAIT)
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    stat = ProcessTable().stat(pid)
    assert stat
    assert stat.session == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    environ = Path(f"/proc/{pid}/environ").read_text()
    assert "SECRET" not in environ
    assert "HOME=/h\0" in environ
    assert "https_proxy=p\0" in environ


def test_a_task_is_nobody_s_zombie(bench: Bench) -> None:
    sent = bench.start("true")
    until(lambda: control.read_exit_records(sent.control_dir))
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    assert Path(f"/proc/{pid}/stat").exists() is False or os.getpid() != _parent(pid)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_task_can_be_interrupted(bench: Bench) -> None:
    sent = bench.started("trap 'exit 5' INT; " + WAIT)
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    os.kill(pid, signal.SIGINT)
    until(lambda: control.read_exit_records(sent.control_dir))
    record = control.read_exit_records(sent.control_dir)[0]
    assert (record.exit_code, record.warned) == (5, "INT")


def test_the_room_shrinks_at_once_and_grows_again(bench: Bench) -> None:
    wide = Resources(cpus=2, memory_mib=100)
    assert bench.submitter.room(wide) == 2
    first = bench.start(WAIT, 1, wide)
    assert bench.submitter.room(wide) == 1
    refused = bench.submitter.submit(bench.submission("true", 2, wide))
    assert refused == Backpressure(f"{os.uname().nodename} has room for 1 such tasks now", 1)
    assert bench.submitter.room(Resources(cpus=1, memory_mib=2000)) == 1
    (bench.root / "go").touch()
    until(lambda: control.read_exit_records(first.control_dir))
    until(lambda: bench.submitter.room(wide) == 2)


def test_a_refused_submission_starts_nothing(bench: Bench) -> None:
    sent = bench.submission("touch ran", 5)
    assert isinstance(bench.submitter.submit(sent), Backpressure)
    assert bench.submitter.find(sent, 0) == Absent()
    assert not (bench.root / "ran").exists()


def test_the_same_submission_twice_runs_once(bench: Bench) -> None:
    sent = bench.start("echo ran >>runs.{index}", 2)
    bench.submitter.submit(sent)
    until(lambda: bench.states(sent) == [SchedulerState.COMPLETED] * 2)
    until(lambda: bench.submitter.room(Resources(cpus=1)) == 4)
    assert [(bench.root / f"runs.{index}").read_text() for index in (0, 1)] == ["ran\n", "ran\n"]


def test_running_tasks_are_seen_by_a_new_process(bench: Bench) -> None:
    sent = bench.started(WAIT, 2)
    assert bench.states(sent) == [SchedulerState.RUNNING] * 2
    assert bench.submitter.observe([bench.active(sent)]) == Observed(bench.glance(sent), True)


def test_a_command_that_outlives_its_job_script_still_runs(bench: Bench) -> None:
    sent = bench.started(WAIT)
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: "gone" in next(iter(bench.glance(sent).values())).raw)
    assert bench.states(sent) == [SchedulerState.RUNNING]
    (bench.root / "go").touch()
    until(lambda: bench.states(sent) == [])


def test_a_killed_task_is_missing_and_has_not_ended(bench: Bench) -> None:
    sent = bench.started(WAIT)
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    for member in _session(pid):
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    until(lambda: bench.states(sent) == [])
    observed = bench.submitter.observe([bench.active(sent)])
    assert observed == Observed({}, absence_counts=True)


def _session(leader: int) -> list[int]:
    table = ProcessTable()
    stats = (table.stat(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    return [stat.pid for stat in stats if stat and stat.session == leader]


def test_absence_does_not_count_when_records_cannot_be_read(bench: Bench) -> None:
    sent = bench.submission("true")
    shutil.rmtree(sent.control_dir)
    observed = bench.submitter.observe([bench.active(sent)])
    assert isinstance(observed, Observed)
    assert not observed.absence_counts
    assert isinstance(bench.submitter.find(sent, 0), Unreachable)


def test_cancel_asks_first_and_a_task_may_clean_up(bench: Bench) -> None:
    sent = bench.started("trap 'touch cleaned; exit 0' TERM; " + WAIT)
    assert bench.submitter.cancel([bench.active(sent)]) == Acknowledged()
    until(lambda: bench.states(sent) == [SchedulerState.CANCELLED])
    assert (bench.root / "cleaned").exists()
    assert bench.submitter.cancel([bench.active(sent)]) == Acknowledged()


def test_cancel_kills_who_does_not_listen_and_says_so(bench: Bench) -> None:
    sent = bench.started("trap '' TERM; (trap '' TERM; sleep 60) & " + WAIT)
    active = bench.active(sent)
    bench.submitter.cancel([active])
    bench.now += 9
    bench.submitter.cancel([active])
    time.sleep(0.05)
    assert bench.states(sent) == [SchedulerState.RUNNING]
    bench.now += 1
    bench.submitter.cancel([active])
    until(lambda: bench.states(sent) == [SchedulerState.CANCELLED])
    seen = bench.glance(sent)["gw0000000000000000.0"]
    assert (seen.raw, seen.reason) == ("killed", "killed by the gateway")
    pid = control.read_claims(sent.control_dir)[0].pid
    assert pid
    until(
        lambda: all(not (stat := ProcessTable().stat(p)) or not stat.alive for p in _session(pid))
    )


def test_cancel_keeps_a_task_from_starting(bench: Bench) -> None:
    sent = bench.submission("touch ran")
    assert bench.submitter.cancel([bench.active(sent)]) == Acknowledged()
    bench.submitter.submit(sent)
    until(lambda: bench.states(sent) == [SchedulerState.CANCELLED])
    assert not (bench.root / "ran").exists()


def test_a_task_over_its_walltime_is_timed_out(bench: Bench) -> None:
    sent = bench.start("sleep 60", 1, Resources(cpus=1, walltime_s=1))
    until(lambda: bench.states(sent) == [SchedulerState.TIMEOUT])
    seen = bench.glance(sent)["gw0000000000000000.0"]
    assert seen.reason == "ended at its walltime limit, after 1 s"


def _claim_elsewhere(sent: Submission, node: str, boot: str) -> None:
    claim = {"key": sent.tasks[0].key, "restart": 0, "native_id": f"{node}:1:2:{boot}"}
    text = json.dumps(claim | {"node": node, "claimed_at": 1.0, "pid": 1})
    (sent.control_dir / "claims" / "0.0").write_text(text)


def test_another_host_s_task_is_out_of_reach(bench: Bench) -> None:
    sent = bench.submission("true")
    _claim_elsewhere(sent, "elsewhere", "b")
    assert bench.states(sent) == [SchedulerState.UNKNOWN]
    outcome = bench.submitter.cancel([bench.active(sent)])
    assert isinstance(outcome, Unreachable)
    assert "elsewhere" in outcome.reason


def test_a_task_of_an_earlier_boot_is_lost(bench: Bench) -> None:
    sent = bench.submission("true")
    _claim_elsewhere(sent, os.uname().nodename, "before")
    assert bench.states(sent) == [SchedulerState.NODE_FAILED]
    assert bench.submitter.cancel([bench.active(sent)]) == Acknowledged()


def test_find_before_and_after_a_start(bench: Bench) -> None:
    sent = bench.submission(WAIT)
    assert bench.submitter.find(sent, 0) == Absent()
    bench.submitter.submit(sent)
    until(lambda: control.read_claims(sent.control_dir))
    found = bench.submitter.find(sent, 0)
    assert isinstance(found, Found)
    assert (found.native_id, found.where) == (sent.key, os.uname().nodename)


def test_find_of_what_another_host_was_about_to_start_is_open(bench: Bench) -> None:
    sent = bench.submission("true")
    launcher.write_started(sent.control_dir, Host("elsewhere", "b"))
    outcome = bench.submitter.find(sent, 0)
    assert isinstance(outcome, Unreachable)
    assert "elsewhere" in outcome.reason


def test_find_after_a_crash_before_the_start_and_a_reboot(bench: Bench) -> None:
    sent = bench.submission("true")
    launcher.write_started(sent.control_dir, Host(os.uname().nodename, "before"))
    assert bench.submitter.find(sent, 0) == Absent()


def test_find_while_a_task_has_not_claimed_yet_is_open(bench: Bench) -> None:
    sent = bench.submission("true")
    script = sent.control_dir / "job.sh"
    script.write_text('while [ ! -e "$1/go" ]; do sleep 0.02; done; . "$1/real.sh"')
    (sent.control_dir / "real.sh").write_text("exit")
    bench.submitter.submit(sent)
    assert isinstance(bench.submitter.find(sent, 0), Unreachable)
    assert bench.states(sent) == [SchedulerState.PENDING]
    (sent.control_dir / "go").touch()
    until(lambda: bench.submitter.find(sent, 0) == Absent())
    assert bench.states(sent) == []


def test_without_setsid_nothing_is_started(bench: Bench) -> None:
    empty = bench.root / "bin"
    empty.mkdir()
    for tool in ("bash",):
        (empty / tool).symlink_to(shutil.which(tool) or "")
    bench.environ["PATH"] = str(empty)
    sent = bench.submission("touch ran")
    outcome = bench.submitter.submit(sent)
    assert isinstance(outcome, Backpressure)
    assert outcome.limit is None


def test_a_control_directory_that_cannot_be_written_is_no_start(bench: Bench) -> None:
    sent = bench.submission("true")
    shutil.rmtree(sent.control_dir)
    assert isinstance(bench.submitter.submit(sent), Backpressure)


def test_limits(bench: Bench) -> None:
    assert bench.submitter.limits().tasks_per_submission == 4
    assert bench.submitter.refusal(Resources(cpus=5))
    assert bench.submitter.refusal(Resources(cpus=4)) is None
