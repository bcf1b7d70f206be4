import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SiteError
from gateway.site.model import Ssh
from gateway.transport.base import Failure
from gateway.transport.ssh import SshTransport

paramiko = pytest.importorskip("paramiko")
pytest.importorskip("fabric")


@pytest.fixture
def far(server: Any, known_hosts: Path) -> Iterator[SshTransport]:
    transport = SshTransport(server.site(known_hosts), connect_timeout_s=10)
    yield transport
    transport.close()


def test_output_status_and_error_text_come_back(far: SshTransport) -> None:
    result = far.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert result.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")


def test_words_reach_the_far_command_untouched(far: SshTransport) -> None:
    words = ["$HOME", "a b", "*", "`id`", "", "x\ny", "é", "'", '"', "\\", "!!", "~", "-n"]
    result = far.run(["printf", "<%s>", *words])
    assert result.stdout == "".join(f"<{word}>" for word in words)


def test_input_goes_through(far: SshTransport) -> None:
    text = "0123456789" * 300_000
    assert far.run(["cat"], stdin=text).stdout == text


def test_a_command_that_does_not_read_its_input_is_no_trouble(far: SshTransport) -> None:
    assert far.run(["true"], stdin="y" * 5_000_000, timeout_s=20).ok


def test_the_far_environment_is_clean(far: SshTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REANA_ACCESS_TOKEN", "secret")
    names = {line.partition("=")[0] for line in far.run(["env"]).stdout.splitlines()}
    assert {"PATH", "LANG", "LC_ALL"} <= names
    assert "REANA_ACCESS_TOKEN" not in names


def test_the_path_is_that_of_a_login_shell_and_its_chatter_stays_out(
    far: SshTransport, home: Path
) -> None:
    (home / "sw").mkdir()
    tool = home / "sw" / "squeue-of-test"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    profile = f"echo welcome; echo warning >&2; cat; PATH=$PATH:{home}/sw; export PATH\n"
    (home / ".profile").write_text(profile)
    result = far.run(["squeue-of-test"])
    assert (result.stdout, result.stderr) == ("found\n", "")


def test_start_up_files_that_talk_do_not_get_into_the_answer(
    far: SshTransport, server: Any, tmp_path: Path
) -> None:
    shell = tmp_path / "chatty"
    shell.write_text('#!/bin/sh\necho "Welcome to the site"\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    server.shell = [str(shell)]
    assert far.run(["echo", "answer"]).stdout == "answer\n"


def test_an_account_without_a_shell_certainly_ran_nothing(
    far: SshTransport, server: Any, tmp_path: Path
) -> None:
    shell = tmp_path / "nologin"
    shell.write_text('#!/bin/sh\necho "This account is not available." >&2\nexit 1\n')
    shell.chmod(0o755)
    server.shell = [str(shell)]
    result = far.run(["sbatch"])
    assert result.failure is Failure.NOT_ATTEMPTED
    assert "not available" in result.complaint


def test_a_missing_program_is_told_apart(far: SshTransport) -> None:
    result = far.run(["no-such-program-here"])
    assert result.failure is Failure.NOT_FOUND
    assert far.run(["sh", "-c", "echo mine >&2; exit 127"]).exit_status == 127


def test_words_that_no_command_can_get_are_told_apart(far: SshTransport) -> None:
    for word in ("a\0b", "\ud800"):
        assert far.run(["echo", word]).failure is Failure.NOT_FOUND
    assert far.run(["echo", os.fsdecode(b"\xff")]).stdout == "\ufffd\n"


def test_one_connection_serves_many_commands(far: SshTransport, server: Any) -> None:
    for _ in range(5):
        assert far.run(["true"]).ok
    assert len(server.transports) == 1


def test_a_broken_connection_is_opened_again(far: SshTransport, server: Any) -> None:
    assert far.run(["true"]).ok
    server.drop_connections()
    assert far.run(["echo", "again"]).stdout == "again\n"
    assert len(server.transports) == 2


def test_a_connection_lost_in_the_middle_is_not_called_unasked(
    far: SshTransport, server: Any
) -> None:
    far.run(["true"])
    threading.Timer(0.3, server.drop_connections).start()
    result = far.run(["sh", "-c", "echo half; sleep 20"], timeout_s=30)
    assert result.failure is Failure.DISCONNECTED
    assert result.exit_status is None
    assert far.run(["true"]).ok


def test_a_timeout_comes_in_time_and_the_next_command_works(far: SshTransport) -> None:
    far.run(["true"])
    begun = time.monotonic()
    result = far.run(["sh", "-c", "echo half; exec sleep 20"], timeout_s=1)
    assert (result.failure, result.stdout) == (Failure.TIMEOUT, "half\n")
    assert time.monotonic() - begun < 10
    assert far.run(["true"]).ok


def test_a_server_that_went_dumb_is_a_timeout(far: SshTransport, server: Any) -> None:
    far.run(["true"])
    server.dead = True
    result = far.run(["true"], timeout_s=0.3)
    assert result.failure is Failure.TIMEOUT
    assert result.seconds < 10


def test_endless_output_is_cut(server: Any, known_hosts: Path) -> None:
    far = SshTransport(server.site(known_hosts), stdout_cap=100_000)
    result = far.run(["yes"], timeout_s=20)
    far.close()
    assert result.failure is Failure.TOO_LONG
    assert len(result.stdout) <= 100_000


def test_a_long_answer_is_whole(far: SshTransport) -> None:
    result = far.run(["seq", "300000"], timeout_s=60)
    assert result.stdout == "".join(f"{n}\n" for n in range(1, 300_001))


def test_a_command_line_longer_than_sshd_can_pass_on_works(far: SshTransport) -> None:
    words = [f"{n:07d}" for n in range(40_000)]
    result = far.run(["sh", "-c", "echo $#; cat", "sh", *words], stdin="tail")
    assert result.stdout == "40000\ntail"


@pytest.mark.parametrize("cut_after", [10, 100, 300, 1_000_000, 1_999_999])
def test_half_an_input_is_never_given_to_a_command(
    far: SshTransport, server: Any, tmp_path: Path, cut_after: int
) -> None:
    """A scheduler would take half a script for a script."""
    far.run(["true"])
    server.cut_after = cut_after
    result = far.run(["tee", str(tmp_path / "got")], stdin="x" * 2_000_000, timeout_s=20)
    assert result.failure is Failure.DISCONNECTED
    _all_ended(server)
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("cut_after", [50_000, 250_001, 300_000])
def test_half_a_command_line_is_never_run(
    far: SshTransport, server: Any, tmp_path: Path, cut_after: int
) -> None:
    """A cut job id is the id of another job."""
    far.run(["true"])
    server.cut_after = cut_after
    words = [str(tmp_path / f"{number}") for number in range(10_000)]
    result = far.run(["touch", *words], timeout_s=20)
    assert result.failure is Failure.DISCONNECTED
    _all_ended(server)
    assert list(tmp_path.glob("[0-9]*")) == []


def _all_ended(server: Any) -> None:
    for process in server.processes:
        process.wait(10)


def _words(ssh: Ssh) -> str:
    result = SshTransport(ssh, connect_timeout_s=5).run(["sbatch"])
    assert result.failure is Failure.NOT_ATTEMPTED
    return result.complaint


def test_an_unknown_host_key_is_refused(server: Any, known_hosts: Path) -> None:
    known_hosts.write_text("")
    assert "host key of 127.0.0.1 is not known" in _words(server.site(known_hosts))
    assert known_hosts.read_text() == ""
    assert server.commands == []


def test_a_changed_host_key_is_refused(server: Any, known_hosts: Path) -> None:
    known_hosts.write_text(server.known_hosts_line(paramiko.ECDSAKey.generate()))
    assert "is not the one in known_hosts" in _words(server.site(known_hosts))
    assert server.commands == []


def test_a_refused_key_says_for_whom(server: Any, known_hosts: Path) -> None:
    server.allowed = paramiko.ECDSAKey.generate()
    assert "accepted no key of yours for tester" in _words(server.site(known_hosts))


def test_a_refused_connection_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "cannot connect to 127.0.0.1: " in _words(Ssh(host="127.0.0.1", port=port))


def test_an_unknown_host_says_so() -> None:
    assert "no such host name" in _words(Ssh(host="host.invalid"))


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.login.find_spec", lambda _: None)
    with pytest.raises(SiteError) as caught:
        SshTransport(Ssh(host="h"))
    assert "reana-batch-gateway[ssh]" in caught.value.hint


def test_importing_the_module_does_not_import_fabric() -> None:
    assert importlib.util.find_spec("fabric")
    code = "import sys, gateway.transport.ssh; sys.exit('fabric' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
