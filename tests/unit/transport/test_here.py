import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transport.base import Failure
from gateway.transport.here import STDERR_CAP, HereTransport


@pytest.fixture
def here() -> HereTransport:
    return HereTransport({"PATH": os.environ["PATH"], "HOME": "/h", "SECRET": "leak"})


def test_output_status_and_error_text_come_back(here: HereTransport) -> None:
    result = here.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.ok
    assert result.failure is None


def test_words_reach_the_command_untouched_by_any_shell(here: HereTransport) -> None:
    words = ["$HOME", "a b", "*", "`id`", "", "x\ny", "é"]
    result = here.run([sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *words])
    assert result.stdout.strip() == ascii(words)


def test_the_environment_is_clean(here: HereTransport) -> None:
    names = {line.partition("=")[0] for line in here.run(["env"]).stdout.splitlines()}
    assert names == {"PATH", "HOME", "LANG", "LC_ALL"}


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_input_of_any_size_goes_through(here: HereTransport, size: int) -> None:
    text = "x" * size
    assert here.run(["cat"], stdin=text).stdout == text


def test_a_command_that_does_not_read_its_input_is_no_trouble(here: HereTransport) -> None:
    assert here.run(["true"], stdin="y" * 5_000_000).ok


def test_a_gateway_that_is_killed_does_not_cut_the_input(tmp_path: Path) -> None:
    """A scheduler would take half a script for a script."""
    command = f"sleep 0.3; wc -c > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/got"
    code = (
        "import os, threading; from gateway.transport.here import HereTransport\n"
        "threading.Timer(0.1, os._exit, [0]).start()\n"
        f"HereTransport().run(['sh', '-c', {command!r}], stdin='x' * 1_000_000)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    deadline = time.monotonic() + 10
    while not (tmp_path / "got").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "got").read_text().strip() == "1000000"


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded(data: bytes) -> None:
    script = f"import sys; sys.stdout.buffer.write({data!r})"
    result = HereTransport().run([sys.executable, "-SEc", script])
    assert result.stdout == data.decode("utf-8", "replace")


def test_a_missing_program_is_told_apart_from_one_that_fails(here: HereTransport) -> None:
    result = here.run(["no-such-program-here"])
    assert result.failure is Failure.NOT_FOUND
    assert result.exit_status is None
    assert "no-such-program-here" in result.complaint


def test_a_file_that_cannot_be_executed_counts_as_missing(
    here: HereTransport, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("echo no")
    assert here.run([str(tmp_path / "plain")]).failure is Failure.NOT_FOUND


@pytest.mark.parametrize("argv", [["echo", "a\0b"], ["echo", "\ud800"], ["echo", "x" * 3_000_000]])
def test_words_that_no_command_can_get_are_no_reason_to_wait(
    here: HereTransport, argv: list[str]
) -> None:
    result = here.run(argv)
    assert result.failure is Failure.NOT_FOUND
    assert result.complaint.startswith("echo: command not found (")


def test_a_host_too_busy_to_start_anything_certainly_ran_nothing(
    here: HereTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    result = here.run(["sbatch"])
    assert result.failure is Failure.NOT_ATTEMPTED
    assert "temporarily unavailable" in result.complaint


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_timeout_ends_the_whole_group(here: HereTransport, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    begun = time.monotonic()
    result = here.run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], timeout_s=0.5)
    assert result.failure is Failure.TIMEOUT
    assert time.monotonic() - begun < 10
    deadline = time.monotonic() + 5
    while not _gone(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _gone(int(note.read_text()))


def test_a_timeout_keeps_what_was_said_before(here: HereTransport) -> None:
    result = here.run(["sh", "-c", "echo half; exec sleep 60"], timeout_s=0.5)
    assert (result.failure, result.stdout) == (Failure.TIMEOUT, "half\n")


def test_a_command_that_says_enough_is_gone_at_once(here: HereTransport, tmp_path: Path) -> None:
    later = tmp_path / "later"
    script = f"echo 'try again' >&2; sleep 60; touch {later}"
    result = here.run(["sh", "-c", script], enough="try again")
    assert (result.failure, result.stderr) == (Failure.CUT_OFF, "try again\n")
    assert result.seconds < 10
    assert not later.exists()


def test_a_command_that_ignores_sigterm_is_ended(here: HereTransport) -> None:
    result = here.run(["sh", "-c", "trap '' TERM HUP INT; sleep 60"], timeout_s=0.2)
    assert result.failure is Failure.TIMEOUT
    assert result.seconds < 10


def test_endless_output_is_cut_and_ended() -> None:
    result = HereTransport(stdout_cap=10_000).run(["yes"], timeout_s=20)
    assert result.failure is Failure.TOO_LONG
    assert len(result.stdout) == 10_000
    assert result.seconds < 10


def test_output_of_exactly_the_cap_is_fine() -> None:
    result = HereTransport(stdout_cap=1000).run(["sh", "-c", "printf '%1000s' x"])
    assert result.ok
    assert len(result.stdout) == 1000


def test_endless_complaints_cost_no_memory_and_lose_nothing(here: HereTransport) -> None:
    result = here.run(["sh", "-c", "yes | head -c 5000000 >&2; echo fine"])
    assert result.stdout == "fine\n"
    assert len(result.stderr) == STDERR_CAP


def test_death_by_a_signal_reads_as_in_a_shell(here: HereTransport) -> None:
    assert here.run(["sh", "-c", "kill -9 $$"]).exit_status == 137


def test_a_daemon_left_on_the_pipes_does_not_hold_up_the_answer(here: HereTransport) -> None:
    result = here.run(["sh", "-c", "setsid sleep 5 & echo $!"], timeout_s=30)
    os.kill(int(result.stdout), signal.SIGKILL)
    assert result.ok
    assert result.seconds < 3


def test_the_command_has_its_own_group_so_a_ctrl_c_does_not_reach_it(here: HereTransport) -> None:
    group = here.run([sys.executable, "-c", "import os; print(os.getpgid(0))"]).stdout
    assert int(group) != os.getpgid(0)


@pytest.fixture
def _alarm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_alarm")
def test_an_interrupt_leaves_no_child_behind(here: HereTransport, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt):
        here.run(["sh", "-c", f"echo $$ > {note}; exec sleep 60"])
    assert _gone(int(note.read_text()))


def test_a_signal_handler_that_returns_does_not_disturb(here: HereTransport) -> None:
    hits: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        result = here.run(["sh", "-c", "sleep 0.1; cat"], stdin="z" * 1_000_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits
    assert result.stdout == "z" * 1_000_000


def test_no_descriptors_are_left_open(here: HereTransport) -> None:
    here.run(["true"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        here.run(["true"])
        here.run(["no-such-program-here"])
        here.run(["sleep", "9"], timeout_s=0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
