"""The ssh transport against OpenSSH, on the test bed: another login node is this host again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.site.model import Ssh
from gateway.transport.base import CallKind, CommandResult, Failure
from gateway.transport.gate import CallRecord, ClusterGate, calls_per_minute
from gateway.transport.ssh import SshTransport

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.skipif(
        "GATEWAY_TESTBED" not in os.environ or os.geteuid() == 0,
        reason="runs inside the test bed, as an ordinary user with an ssh key",
    ),
]

HOST = "127.0.0.1"
FIND_THE_DAEMON = """
import os, signal, time
pid = os.getpid()
while pid > 1:
    fields = dict(l.split(":\\t", 1) for l in open(f"/proc/{pid}/status") if ":\\t" in l)
    if fields["Name"].startswith("sshd") and int(fields["Uid"].split()[0]) == os.getuid():
        print(pid, flush=True)
        break
    pid = int(fields["PPid"])
"""
"""Prints the process that serves this connection alone."""
CUT_THE_LINE = f"{FIND_THE_DAEMON}os.kill(pid, signal.SIGKILL)\ntime.sleep(5)\n"


@pytest.fixture
def far() -> Iterator[SshTransport]:
    transport = SshTransport(Ssh(host=HOST))
    yield transport
    transport.close()


def refusal(ssh: Ssh) -> CommandResult:
    result = SshTransport(ssh, connect_timeout_s=10).run(["sbatch", "--version"])
    assert result.failure is Failure.NOT_ATTEMPTED
    return result


def test_output_status_and_error_text_come_back(far: SshTransport) -> None:
    result = far.run(["sh", "-c", "id -un; echo err >&2; exit 3"])
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout
    assert (result.exit_status, result.stdout, result.stderr) == (3, me, "err\n")


@pytest.mark.parametrize(
    "argv", [["squeue", "--version"], ["sbatch", "--version"], ["condor_q", "-version"]]
)
def test_the_schedulers_commands_are_found(far: SshTransport, argv: list[str]) -> None:
    assert far.run(argv).ok


@pytest.mark.slurm
def test_a_batch_script_sent_as_input_becomes_a_job(far: SshTransport) -> None:
    script = "#!/bin/sh\n" + "# padding\n" * 20_000 + "true\n"
    result = far.run(["sbatch", "--parsable", "--output=/dev/null", "--chdir=/"], stdin=script)
    assert result.ok, result.complaint
    assert far.run(["scancel", result.stdout.strip()]).ok


def test_words_reach_the_far_command_untouched(far: SshTransport) -> None:
    words = ["$HOME", "a b", "*", "`id`", "", "x\ny", "é", "'", '"', "\\", "!!", "~"]
    assert far.run(["printf", "<%s>", *words]).stdout == "".join(f"<{word}>" for word in words)


def test_input_and_long_output_are_whole(far: SshTransport) -> None:
    text = "".join(f"line {number}\n" for number in range(400_000))
    assert far.run(["cat"], stdin=text, timeout_s=60).stdout == text


def test_a_command_that_does_not_read_its_input_is_no_trouble(far: SshTransport) -> None:
    assert far.run(["true"], stdin="y" * 5_000_000).ok


def test_output_without_end_is_cut() -> None:
    far = SshTransport(Ssh(host=HOST), stdout_cap=1_000_000)
    result = far.run(["yes"], timeout_s=30)
    far.close()
    assert result.failure is Failure.TOO_LONG


def test_twenty_thousand_job_ids_fit_into_one_command(far: SshTransport) -> None:
    ids = [f"{number:07d}" for number in range(40_000)]
    assert far.run(["sh", "-c", "echo $#; cat", "sh", *ids], stdin="in").stdout == "40000\nin"


def test_the_far_environment_is_clean(far: SshTransport) -> None:
    names = {line.partition("=")[0] for line in far.run(["env"]).stdout.splitlines()}
    assert {"PATH", "HOME", "USER", "LC_ALL"} <= names
    assert not names & {"SSH_CONNECTION", "SSH_CLIENT", "XDG_RUNTIME_DIR", "GATEWAY_TESTBED"}


def test_a_missing_program_is_told_apart(far: SshTransport) -> None:
    assert far.run(["no-such-program-here"]).failure is Failure.NOT_FOUND


def test_commands_use_one_connection_and_are_quick(far: SshTransport) -> None:
    far.run(["true"])
    begun = time.monotonic()
    for _ in range(20):
        assert far.run(["true"]).ok
    assert time.monotonic() - begun < 10


def test_a_line_cut_in_the_middle_is_no_answer_and_the_next_command_works(
    far: SshTransport,
) -> None:
    result = far.run([sys.executable, "-c", CUT_THE_LINE], timeout_s=20)
    assert result.failure is Failure.DISCONNECTED
    assert result.exit_status is None
    assert result.seconds < 5
    assert far.run(["echo", "again"]).stdout == "again\n"


def test_a_line_cut_between_commands_goes_unnoticed(far: SshTransport) -> None:
    daemon = far.run([sys.executable, "-c", FIND_THE_DAEMON])
    assert daemon.ok
    os.kill(int(daemon.stdout), signal.SIGKILL)
    assert far.run(["echo", "again"]).stdout == "again\n"


def test_a_timeout_comes_in_time_and_ends_the_far_command_soon(far: SshTransport) -> None:
    far.run(["true"])
    marker = f"86{os.getpid()}"
    result = far.run(["sh", "-c", f"echo half; exec sleep {marker}"], timeout_s=1)
    assert (result.failure, result.stdout) == (Failure.TIMEOUT, "half\n")
    assert result.seconds < 4
    deadline = time.monotonic() + 15
    alive = ["pgrep", "-f", f"sleep {marker}"]
    while subprocess.run(alive, capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_unknown_host_key_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()
    result = refusal(Ssh(host="127.0.0.2", known_hosts=empty))
    assert "host key of 127.0.0.2 is not known" in result.complaint
    assert empty.read_text() == ""


def test_a_changed_host_key_is_refused(tmp_path: Path) -> None:
    own = (Path.home() / ".ssh" / "id_ed25519.pub").read_text().split()
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"127.0.0.3 {own[0]} {own[1]}\n")
    assert (
        "is not the one in known_hosts"
        in refusal(Ssh(host="127.0.0.3", known_hosts=wrong)).complaint
    )


def test_a_user_without_rights_is_refused() -> None:
    assert "accepted no key of yours for nobody" in refusal(Ssh(host=HOST, user="nobody")).complaint


def test_a_closed_port_says_so() -> None:
    assert f"cannot connect to {HOST}: " in refusal(Ssh(host=HOST, port=9)).complaint


def test_an_unreachable_login_node_is_left_alone_for_a_while() -> None:
    records: list[CallRecord] = []
    gate = ClusterGate(
        "far",
        SshTransport(Ssh(host=HOST, port=9)),
        calls_per_minute=calls_per_minute(12),
        log=records.append,
    )
    first = gate.call(CallKind.STATUS, ["squeue"])
    second = gate.call(CallKind.SUBMIT, ["sbatch"])
    assert first.failure is second.failure is Failure.NOT_ATTEMPTED
    assert "backing off" in second.complaint
    assert len(records) == 1


def test_an_alias_of_the_ssh_configuration_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Path.home() / ".ssh"
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host cluster\n  HostName {HOST}\n  IdentityFile {keys}/id_ed25519\n"
    )
    far = SshTransport(Ssh(host="cluster", known_hosts=keys / "known_hosts"))
    result = far.run(["echo", "through the alias"])
    far.close()
    assert result.stdout == "through the alias\n", result.complaint
