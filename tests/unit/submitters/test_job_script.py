"""The job script under a real bash."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.submitters import control
from gateway.submitters.base import Submission, Task
from gateway.vocabulary.evidence import ExitRecord
from gateway.vocabulary.launch import CONTAINER, SCRATCH, Launch
from gateway.vocabulary.resources import Resources

NO_CLAIM, DUPLICATE, NO_RECORD = 75, 79, 73
HOSTILE = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60
) | st.text(
    st.sampled_from("'\"\\$`!*?[]{}()<>|&;~#=% \t\n\r\x01\x7f-@_GATEWAYSCRTCH"), max_size=60
)


class Job:
    """One task in a control directory, and ways to run it."""

    def __init__(self, root: Path) -> None:
        self.control = root / 'control dir\'s "$HOME"'
        self.workspace = root / "work space"
        self.workspace.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(root),
            "GATEWAY_RETRY_S": "0.01",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def write(
        self,
        command: str,
        *,
        runtime: tuple[str, ...] = ("env",),
        env: dict[str, str] | None = None,
    ) -> None:
        launch = Launch(runtime, ("bash", "-c", command), env or {}, str(self.workspace))
        self.write_launch(launch)

    def write_launch(self, launch: Launch) -> None:
        tasks = (Task("gwkey.0", 0, "step"),)
        sent = Submission("gw0123456789abcdef", "step", self.control, Resources(), tasks)
        control.prepare(sent, {"gwkey.0": launch})
        self.edit("SIGNAL_GAP_S=1", "SIGNAL_GAP_S=0.02")

    def edit(self, old: str, new: str) -> None:
        """Change the script, so that a test need not wait."""
        script = self.control / "job.sh"
        text = script.read_text()
        assert old in text
        script.write_text(text.replace(old, new))

    def start(self, restart: int = 0, **environ: str) -> "subprocess.Popen[bytes]":
        argv = ["bash", str(self.control / "job.sh"), str(self.control), "0", "42_0", str(restart)]
        process = subprocess.Popen(
            argv,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, restart: int = 0, **environ: str) -> int:
        return self.start(restart, **environ).wait(30)

    def record(self) -> ExitRecord:
        return control.read_exit_records(self.control)[0]

    def said(self, restart: int = 0) -> bytes:
        return control.log_paths(self.control, 0, restart)[0].read_bytes()

    def running(self) -> None:
        """Wait until the command has said that it runs."""
        until((self.workspace / "ready").exists)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def is_gone(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path)
    yield made
    made.close()


def test_a_command_runs_in_its_workspace_and_leaves_a_record(job: Job) -> None:
    job.write("pwd; echo err >&2; echo $A >made", env={"A": "a b"})
    assert job.run() == 0
    assert job.said().decode() == f"{job.workspace}\n"
    assert control.log_paths(job.control, 0, 0)[1].read_text() == "err\n"
    assert (job.workspace / "made").read_text() == "a b\n"
    record = job.record()
    assert (record.key, record.native_id, record.exit_code) == ("gwkey.0", "42_0", 0)
    assert (record.signal, record.warned, record.runtime_error) == (None, "", "")
    assert record.node == os.uname().nodename
    assert 0 <= record.finished_at - record.started_at < 30
    assert abs(record.finished_at - time.time()) < 30


def test_a_claim_names_the_process(job: Job) -> None:
    job.write("true")
    process = job.start()
    process.wait(30)
    claim = control.read_claims(job.control)[0]
    assert (claim.pid, claim.restart, claim.native_id) == (process.pid, 0, "42_0")


@pytest.mark.parametrize("code", [1, 2, 100, 125, 254])
def test_the_exit_code_of_the_command_is_the_script_s(job: Job, code: int) -> None:
    job.write(f"exit {code}")
    assert job.run() == code
    assert (job.record().exit_code, job.record().signal) == (code, None)
    assert job.record().runtime_error == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_that_ends_the_command_is_recorded(job: Job, number: signal.Signals) -> None:
    job.write(f"kill -s {number.name[3:]} $$")
    assert job.run() == 128 + number
    assert (job.record().exit_code, job.record().signal) == (128 + number, number)
    assert job.record().warned == ""


def test_two_copies_run_the_command_once(job: Job) -> None:
    job.write("echo ran >>runs; sleep 0.05")
    for restart in range(12):
        (job.workspace / "runs").unlink(missing_ok=True)
        for path in (job.control / "exits").iterdir():
            path.unlink()
        copies = [job.start(restart) for _ in range(3)]
        codes = sorted(copy.wait(30) for copy in copies)
        assert codes == [0, DUPLICATE, DUPLICATE]
        assert (job.workspace / "runs").read_text() == "ran\n"


def test_a_second_copy_does_not_touch_the_records_of_the_first(job: Job) -> None:
    job.write("echo once; exit 3")
    job.run()
    before = job.record(), job.said(), control.read_claims(job.control)
    assert job.run() == DUPLICATE
    assert (job.record(), job.said(), control.read_claims(job.control)) == before


@pytest.mark.parametrize("code", [0, 5])
def test_a_clean_end_is_final_also_for_a_restart(job: Job, code: int) -> None:
    job.write(f"echo ran >>runs; exit {code}")
    assert job.run(0) == code
    assert job.run(1) == DUPLICATE
    assert (job.workspace / "runs").read_text() == "ran\n"


def test_a_restart_after_a_removal_runs_again_with_logs_of_its_own(job: Job) -> None:
    job.write("echo run; [ -e ready ] && exit; touch ready; sleep 30 & wait")
    first = job.start(0)
    job.running()
    first.terminate()
    assert first.wait(30) == 143
    assert job.record().warned == "TERM"
    assert job.run(1) == 0
    assert (job.record().restart, job.record().exit_code, job.record().warned) == (1, 0, "")
    assert job.said(0) == job.said(1) == b"run\n"


def test_a_stop_before_the_start_is_kept(job: Job) -> None:
    job.write("touch ran")
    control.forbid_start(job.control, 0)
    assert job.run() == 143
    assert (job.record().warned, job.record().exit_code) == ("stop", 143)
    assert not (job.workspace / "ran").exists()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "XCPU"])
def test_a_signal_is_passed_on_and_noted(job: Job, name: str) -> None:
    job.write(f"trap 'echo got; exit 9' {name}; touch ready; while :; do sleep 0.01; done")
    process = job.start()
    job.running()
    process.send_signal(signal.Signals[f"SIG{name}"])
    assert process.wait(30) == 9
    assert (job.record().warned, job.record().exit_code, job.said()) == (name, 9, b"got\n")


def test_the_first_signal_that_asks_for_an_end_is_the_reason(job: Job) -> None:
    job.write(
        "for name in USR1 HUP; do trap \"touch $name\" $name; done; trap 'exit 4' TERM; "
        "touch ready; while :; do sleep 0.01; done"
    )
    process = job.start()
    job.running()
    for name in ("USR1", "HUP"):
        process.send_signal(signal.Signals[f"SIG{name}"])
        until((job.workspace / name).exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 4
    assert job.record().warned == "HUP"


def test_usr1_is_passed_on_and_asks_for_no_end(job: Job) -> None:
    job.write("trap 'exit 9' USR1; touch ready; while :; do sleep 0.01; done")
    process = job.start()
    job.running()
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 9
    assert job.record().warned == ""


@pytest.mark.parametrize("by_itself", [False, True])
def test_a_signal_that_reaches_the_command_first_is_the_reason(job: Job, by_itself: bool) -> None:
    """Slurm signals the processes of a job one by one, the children before their parents."""
    answer = "trap 'exit 1' TERM; " if by_itself else ""
    job.write(f"{answer}echo $$ >pid; touch ready; while :; do sleep 0.01; done")
    job.edit("SIGNAL_GAP_S=0.02", "SIGNAL_GAP_S=3")
    process = job.start()
    job.running()
    os.kill(int((job.workspace / "pid").read_text()), signal.SIGTERM)
    time.sleep(0.2)
    process.terminate()
    assert process.wait(30) == (1 if by_itself else 143)
    assert job.record().warned == "TERM"


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_right_whenever_a_signal_comes(job: Job, code: int) -> None:
    """Bash can lose the status of a child that ends while a signal interrupts ``wait``."""
    job.write(f"touch ready; exit {code}")
    for restart in range(10):
        (job.workspace / "ready").unlink(missing_ok=True)
        shutil.rmtree(job.control / "exits")
        (job.control / "exits").mkdir()
        process = job.start(restart)
        job.running()
        while process.poll() is None:
            process.send_signal(signal.SIGUSR2)
        assert (process.wait(30), job.record().exit_code) == (code, code)


@pytest.mark.parametrize("name", ["TERM", "USR1", "USR2"])
def test_a_record_is_true_whenever_and_in_whatever_order_signals_come(job: Job, name: str) -> None:
    """A scheduler signals the script alone, or all processes of a job, in some order."""
    job.write("sleep 0.03")
    job.edit("SIGNAL_GAP_S=0.02", "SIGNAL_GAP_S=2")
    chance = random.Random(name)
    number = signal.Signals[f"SIG{name}"]
    for restart in range(8):
        shutil.rmtree(job.control / "exits")
        (job.control / "exits").mkdir()
        process = job.start(restart)
        time.sleep(chance.uniform(0, 0.2))
        targets = sorted(map(int, session_of(process.pid)), reverse=chance.random() < 0.5)
        for pid in targets if chance.random() < 0.7 else [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        code = process.wait(30)
        record = control.read_exit_records(job.control).get(0)
        if record is None:
            claimed = {claim.restart for claim in control.read_claims(job.control).values()}
            assert restart not in claimed
            continue
        assert record.exit_code == code
        assert record.warned in ("", name if name != "USR1" else "")
        own_end = code == 0 or name == "USR1"
        assert own_end or record.warned == name, "a signal from outside counts as the command's own"


def test_a_full_scratch_directory_does_not_hide_the_exit_code(job: Job) -> None:
    job.write("exit 0")
    job.edit("status=$scratch/status", "status=/dev/full")
    assert job.run() == 0
    assert (job.record().exit_code, job.record().warned) == (0, "")


def test_the_early_warning_is_noted_and_not_passed_on(job: Job) -> None:
    job.write("touch ready; until [ -e go ]; do sleep 0.01; done; exit 6")
    process = job.start()
    job.running()
    process.send_signal(signal.SIGUSR2)
    time.sleep(0.05)
    (job.workspace / "go").touch()
    assert process.wait(30) == 6
    assert job.record().warned == "USR2"
    assert job.run(1) == DUPLICATE


def test_a_signal_before_the_start_keeps_the_command_from_starting(job: Job) -> None:
    job.write("touch ran")
    for restart in range(8):
        process = job.start(restart)
        time.sleep(0.001 * restart)
        process.terminate()
        code = process.wait(30)
        if (job.workspace / "ran").exists():
            break
        assert code in (-signal.SIGTERM, 143)
        records = control.read_exit_records(job.control)
        claims = control.read_claims(job.control)
        assert claims.keys() <= records.keys(), "claimed, and died without a word"


def test_a_stopped_command_has_not_ended(job: Job) -> None:
    job.write("echo $$ >pid; touch ready; until [ -e go ]; do sleep 0.01; done; exit 7")
    process = job.start()
    job.running()
    command = int((job.workspace / "pid").read_text())
    os.kill(command, signal.SIGSTOP)
    until(lambda: "T" in Path(f"/proc/{command}/stat").read_text().split())
    time.sleep(0.05)
    assert process.poll() is None
    (job.workspace / "go").touch()
    os.kill(command, signal.SIGCONT)
    assert process.wait(30) == 7


def test_nothing_of_the_command_outlives_it(job: Job) -> None:
    job.write("sleep 600 & echo $! >pid; exit 0")
    assert job.run() == 0
    pid = (job.workspace / "pid").read_text().strip()
    until(partial(is_gone, pid))


def test_nothing_of_the_command_outlives_the_shell_that_waits_for_it(job: Job) -> None:
    """It is killed, with or without a signal that hides how it ended."""
    job.write(
        "read -r _ _ _ script _ </proc/$PPID/stat; echo $$ >pid; "
        "for i in 1 2 3 4 5; do kill -s USR2 $script; done; kill -9 $PPID; sleep 600"
    )
    for restart in range(5):
        code = job.run(restart)
        record = control.read_exit_records(job.control).get(0)
        assert code == NO_RECORD if record is None else (code, record.exit_code) == (137, 137)
        pid = (job.workspace / "pid").read_text().strip()
        until(partial(is_gone, pid))
        for path in (job.control / "exits").iterdir():
            path.unlink()


def test_the_walltime_ends_a_command_and_says_so(job: Job) -> None:
    job.write("trap 'exit 8' TERM; while :; do sleep 0.01; done")
    assert job.run(GATEWAY_WALLTIME_S="0.2") == 8
    assert (job.record().warned, job.record().exit_code) == ("WALLTIME", 8)


def test_a_command_that_does_not_mind_term_is_killed_after_its_walltime(job: Job) -> None:
    job.write("trap '' TERM; touch ready; while :; do sleep 0.05; done")
    job.edit("KILL_AFTER_S=10", "KILL_AFTER_S=0.1")
    assert job.run(GATEWAY_WALLTIME_S="0.2") == 137
    assert (job.record().warned, job.record().signal) == ("WALLTIME", 9)


def test_a_walltime_that_is_not_used_up_leaves_nothing_behind(job: Job) -> None:
    job.write("echo ${GATEWAY_WALLTIME_S-unset}")
    process = job.start(GATEWAY_WALLTIME_S="600")
    assert process.wait(30) == 0
    assert (job.record().warned, job.said()) == ("", b"unset\n")
    until(lambda: not list(session_of(process.pid)))


def session_of(leader: int) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            yield path.parent.name


def test_the_private_directory_is_removed(job: Job, tmp_path: Path) -> None:
    runtime = ("env", f"S={SCRATCH}/tmp")
    job.write('echo "$S"; touch "$S/x" "$S/../home/y"', runtime=runtime)
    assert job.run() == 0
    scratch = Path(job.said().decode().strip())
    assert scratch.parts[: len(tmp_path.parts)] == tmp_path.parts
    assert not scratch.parent.exists()


def test_no_place_for_a_private_directory_is_a_runtime_error(job: Job, tmp_path: Path) -> None:
    job.write("touch ran")
    assert job.run(TMPDIR=str(tmp_path / "none")) == 126
    assert "no scratch directory" in job.record().runtime_error
    assert not (job.workspace / "ran").exists()


def test_a_missing_workspace_is_a_runtime_error(job: Job) -> None:
    job.write("true")
    shutil.rmtree(job.workspace)
    assert job.run() == 126
    assert "No such file or directory" in job.record().runtime_error


def test_a_missing_container_runtime_is_a_runtime_error(job: Job) -> None:
    job.write("true", runtime=("/nowhere/apptainer", "exec"))
    assert job.run() == 127
    assert "/nowhere/apptainer" in job.record().runtime_error


def test_a_missing_container_runtime_is_found_by_name_too(job: Job, tmp_path: Path) -> None:
    job.write("true", runtime=("no-such-apptainer", "exec"))
    assert job.run() == 127
    assert "no-such-apptainer: not found" in job.record().runtime_error


def test_what_a_failing_runtime_says_is_kept(job: Job) -> None:
    say = r"printf 'noise\nFATAL:   \"a\\b\"\tcaf\351\n' >&2; exit 255"
    job.write_launch(Launch(("bash", "-c", say), (), {}, str(job.workspace)))
    assert job.run() == 255
    assert job.record().runtime_error == 'FATAL:   "a\\b" caf\ufffd'


@pytest.mark.parametrize("command", ["no_such_command", "echo oops >&2; exit 255", "exit 126"])
def test_a_command_s_own_127_or_255_is_its_own(job: Job, command: str) -> None:
    job.write(command)
    assert job.run() in (126, 127, 255)
    assert job.record().runtime_error == ""


def test_an_exit_record_that_cannot_be_written_is_tried_for_a_while(job: Job) -> None:
    job.write("exit 3")
    shutil.rmtree(job.control / "exits")
    (job.control / "exits").write_text("in the way")
    process = job.start(GATEWAY_RETRY_S="0.2")
    until((job.control / "logs" / "0.0.out").exists)
    (job.control / "exits").unlink()
    (job.control / "exits").mkdir()
    assert process.wait(30) == 3
    assert job.record().exit_code == 3


def test_an_exit_record_that_never_can_be_written_has_an_exit_code_of_its_own(job: Job) -> None:
    job.write("exit 3")
    shutil.rmtree(job.control / "exits")
    assert job.run() == NO_RECORD
    assert list(control.read_claims(job.control)) == [0]


def test_a_full_disk_leaves_no_half_record(job: Job) -> None:
    job.write("exit 0")
    (job.control / "exits" / ".0.0.part").symlink_to("/dev/full")
    assert job.run() == NO_RECORD
    assert control.read_exit_records(job.control) == {}


def test_logs_that_cannot_be_written_are_a_runtime_error(job: Job) -> None:
    job.write("touch ran")
    shutil.rmtree(job.control / "logs")
    assert job.run() == 126
    assert "logs" in job.record().runtime_error
    assert not (job.workspace / "ran").exists()


def test_no_claim_no_run(job: Job) -> None:
    job.write("touch ran")
    shutil.rmtree(job.control / "claims")
    assert job.run() == NO_CLAIM
    assert not (job.workspace / "ran").exists()
    assert control.read_exit_records(job.control) == {}


def test_a_task_that_is_not_there_is_not_run(job: Job) -> None:
    job.write("touch ran")
    (job.control / "tasks" / "0.sh").unlink()
    assert job.run() == NO_CLAIM
    assert control.read_claims(job.control) == {}


def test_a_lost_answer_of_link_does_not_lose_the_claim(job: Job, tmp_path: Path) -> None:
    """NFS: the link is made, its answer lost, and the repeated call says that it exists."""
    job.write("touch ran")
    fake = tmp_path / "bin" / "ln"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/bash\n{shutil.which("ln")} "$@"\nexit 1\n')
    fake.chmod(0o755)
    assert job.run(PATH=f"{fake.parent}:{os.environ['PATH']}") == 0
    assert (job.workspace / "ran").exists()


@pytest.mark.parametrize("answer", ["echo 'ignoring all arguments' >&2", "true"])
def test_a_sync_that_knows_no_files_is_enough(job: Job, tmp_path: Path, answer: str) -> None:
    """The sync of coreutils before 8.24 ignores its arguments and flushes everything."""
    job.write("exit 0")
    fake = tmp_path / "bin" / "sync"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/bash\n{answer}\n")
    fake.chmod(0o755)
    assert job.run(PATH=f"{fake.parent}:{os.environ['PATH']}") == 0
    assert job.record().exit_code == 0


def test_standard_input_is_empty(job: Job) -> None:
    job.write("cat; echo end")
    assert job.run() == 0
    assert job.said() == b"end\n"


@pytest.fixture(scope="module")
def shared_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("text"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(words=st.lists(HOSTILE, min_size=1, max_size=3), value=HOSTILE)
def test_commands_and_variables_arrive_byte_for_byte(
    shared_job: Job, words: list[str], value: str
) -> None:
    job = shared_job
    for folder in ("claims", "exits"):
        shutil.rmtree(job.control / folder, ignore_errors=True)
    inner = ("bash", "-c", 'printf "%s\\0" "$@" "$VALUE"', "bash", *words)
    job.write_launch(Launch(("env",), inner, {"VALUE": value}, str(job.workspace)))
    assert job.run() == 0
    assert job.said().decode().split("\0")[:-1] == [*words, value]


def test_markers_are_replaced_in_the_runtime_part_only(job: Job, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "singularity"
    fake.parent.mkdir()
    fake.write_text("#!/bin/bash\necho $SINGULARITYENV_A; printf '%s\\n' \"$@\"\n")
    fake.chmod(0o755)
    runtime = (CONTAINER, "exec", "--home", f"{SCRATCH}/home")
    inner = ("echo", SCRATCH, CONTAINER, "$A")
    job.write_launch(Launch(runtime, inner, {"A": SCRATCH}, str(job.workspace)))
    assert job.run(PATH=f"{fake.parent}:/usr/bin:/bin") == 0
    said = job.said().decode().splitlines()
    assert said[:3] == [SCRATCH, "exec", "--home"]
    assert said[3].startswith(str(tmp_path))
    assert said[3].endswith("/home")
    assert said[4:] == list(inner)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_the_script_is_clean(job: Job) -> None:
    job.write("true", env={"A": "b"})
    argv = ["shellcheck", "-x", str(job.control / "job.sh")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == ""
