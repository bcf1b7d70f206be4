"""``gateway --host``: every command there as it is here, with files from here and to here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS, run
from gateway.cli.remote import FORWARDED
from gateway.cli.remote_files import CALLBACKS
from gateway.errors import ExitCode
from tests.client.conftest import PROGRAM, PROJECT, SPEC
from tests.unit.transport.conftest import SshServer

WAITS_FOR_GO = "for i in $$(seq 2000); do [ -e go ] && break; sleep 0.05; done"

pytestmark = pytest.mark.timeout(300)


@dataclass
class Laptop:
    """The command line here, for a login node that is this machine."""

    destination: str
    here: Path
    capture: pytest.CaptureFixture[str]

    def gateway(self, *arguments: str, away: bool = True) -> tuple[int, str, str]:
        """Run a command; return its exit code, output and talk."""
        self.capture.readouterr()
        host = ["--host", self.destination, "--host-command", PROGRAM] if away else []
        code = run([*host, *arguments])
        out, err = self.capture.readouterr()
        return code, out, err

    def write(self, name: str, text: str) -> Path:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def laptop(
    destination: str,
    alone: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Laptop:
    del alone
    found = Laptop(destination, tmp_path / "laptop", capfd)
    found.write("data/in.txt", "input\n")
    found.write("reana.yaml", json.dumps(SPEC))
    monkeypatch.chdir(found.here)
    monkeypatch.delenv("REANA_WORKON", raising=False)
    return found


def test_run_brings_inputs_there_and_follows_to_the_end(laptop: Laptop) -> None:
    code, out, err = laptop.gateway("run", "--name", "fit", "-p", "greeting=hi")
    assert code == ExitCode.OK, err
    assert "fit.1: 1 file, 6 Bytes staged in" in err
    assert "fit.1 finished after" in err
    output = Path(out.strip())
    assert (output.name, output.read_text()) == ("out.txt", "hi\n")
    code, out, _ = laptop.gateway("ls", "-w", "fit", "--format", "name")
    assert out.split() == ["NAME", "data/in.txt", "reana.yaml", "results/out.txt"]


def test_the_exit_code_says_that_it_failed(laptop: Laptop) -> None:
    laptop.write("reana.yaml", json.dumps(SPEC).replace("mkdir -p", "exit 3; mkdir"))
    code, out, err = laptop.gateway("run", "--name", "fit")
    assert code == ExitCode.FAILED
    assert "reason: " in err
    assert out == ""


LOOKS = [
    ("status", "fit"),
    ("status", "fit", "--json"),
    ("list", "--filter", "status=moon"),
    ("logs", "-w", "fit.1"),
    ("du", "-w", "fit", "-s", "-h"),
    ("ls", "-w", "nope", "--json"),
    ("frobnicate",),
]
CHANGES = [
    ("stop", "fit"),
    ("status", "--nonsense"),
    ("start", "fit"),
    ("upload", "-w", "fit", "nowhere"),
    ("validate", "-p", "other=1"),
    ("submit", "--key", "k"),
    ("create", "-f", "nowhere.yaml"),
    ("secrets-add", "--env", "PASSWORD=x", "--overwrite"),
]


@pytest.mark.parametrize("commands", [LOOKS, CHANGES])
def test_output_and_exit_code_are_those_of_here(
    laptop: Laptop, commands: list[tuple[str, ...]]
) -> None:
    code, out, _ = laptop.gateway("submit", "--name", "fit", "--key", "k", away=False)
    assert (code, len(out)) == (0, 37)
    laptop.gateway("stop", "fit", away=False)
    laptop.gateway("tick", away=False)
    for words in commands:
        assert laptop.gateway(*words) == laptop.gateway(*words, away=False), words


def test_secrets_stand_on_no_command_line_there(laptop: Laptop, server: SshServer) -> None:
    laptop.write("key.pem", "of the file")
    code, _, err = laptop.gateway("secrets-add", "--env", "PASSWORD=swordfish", "--file", "key.pem")
    assert (code, err) == (0, "added: PASSWORD, key.pem\n")
    assert b"swordfish" not in b"".join(server.commands)
    assert laptop.gateway("secrets-list", "--json")[1].count("name") == 2


def test_a_workflow_is_led_by_hand(laptop: Laptop) -> None:
    assert laptop.gateway("create", "-w", "fit")[:2] == (0, "fit.1\n")
    code, _, err = laptop.gateway("upload", "-w", "fit")
    assert (code, err) == (0, "1 file, 6 Bytes staged in\n")
    laptop.write("more/x.txt", "x")
    assert laptop.gateway("upload", "-w", "fit", "more")[2] == "uploaded more/x.txt\n"
    assert laptop.gateway("start", "fit")[:2] == (0, "fit.1\n")
    assert laptop.gateway("wait", "fit", "--quiet")[0] == ExitCode.OK
    changed = json.dumps(SPEC).replace("hello", "changed")
    laptop.write("changed.yaml", changed)
    code, out, err = laptop.gateway("restart", "fit", "-f", "changed.yaml", "--follow")
    assert (code, out) == (0, "fit.1.1\n"), err
    assert laptop.gateway("logs", "fit", away=False)[1].endswith("changed\n")


def test_files_come_here(laptop: Laptop, tmp_path: Path) -> None:
    laptop.write("more/x.txt", "x")
    laptop.gateway("run", "-n", "fit", "-p", "greeting=changed", away=False)
    laptop.gateway("upload", "-w", "fit", "more", away=False)
    code, _, err = laptop.gateway("download", "-w", "fit", "-o", "down")
    assert (code, err) == (0, "downloaded down/results/out.txt\n")
    assert (laptop.here / "down/results/out.txt").read_text() == "changed\n"
    assert laptop.gateway("download", "-w", "fit", "more/x.txt", "-o", "-")[1] == "x"
    code, _, err = laptop.gateway("download", "-w", "fit", "--tar", str(tmp_path / "o.tar"), "*")
    assert code == 0, err
    with tarfile.open(tmp_path / "o.tar") as packed:
        assert "more/x.txt" in packed.getnames()
    assert laptop.gateway("mv", "-w", "fit", "more/x.txt", "y.txt")[0] == 0
    assert laptop.gateway("rm", "-w", "fit", "y.txt")[0] == 0
    assert laptop.gateway("delete", "fit", "--include-all-runs")[0] == 0
    assert laptop.gateway("list")[1].split() == [
        "NAME", "RUN_NUMBER", "CREATED", "STARTED", "ENDED", "STATUS", "PROGRESS",
    ]  # fmt: skip


def test_the_environment_names_host_and_workflow(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_HOST", laptop.destination)
    monkeypatch.setenv("GATEWAY_REMOTE_COMMAND", PROGRAM)
    monkeypatch.setenv("REANA_WORKON", "fit")
    assert laptop.gateway("create", "-n", "fit", away=False)[1] == "fit.1\n"
    code, out, _ = laptop.gateway("status", "--format", "status", away=False)
    assert (code, out.split()) == (0, ["STATUS", "created"])


def test_what_belongs_there_is_refused_with_what_to_do(laptop: Laptop) -> None:
    every = {name for names in COMMANDS.values() for name in names}
    refused = every - set(FORWARDED) - set(CALLBACKS)
    assert {"serve", "tick", "doctor", "connect", "completion", "config"} <= refused
    for name in refused:
        code, out, err = laptop.gateway(name)
        assert (code, out) == (ExitCode.USAGE, "")
        assert f"run it there: ssh {laptop.destination} gateway {name}" in err


def test_a_site_file_of_there_is_used(laptop: Laptop, tmp_path: Path) -> None:
    code, _, err = laptop.gateway("--site", str(tmp_path / "absent.yaml"), "list")
    assert code == ExitCode.USAGE
    assert "absent.yaml does not exist" in err
    code, _, err = laptop.gateway("--site", str(tmp_path / "absent.yaml"), "create")
    assert "absent.yaml does not exist" in err
    assert code == ExitCode.SITE


def test_a_missing_program_there_is_said(laptop: Laptop) -> None:
    host = ("--host", laptop.destination, "--host-command", "/no/such")
    for command in ("list", "create"):
        code, _, err = laptop.gateway(*host, command, away=False)
        assert code == ExitCode.SITE
        assert "there is no program '/no/such' on" in err


def test_a_wrong_command_tells_that_versions_differ(laptop: Laptop) -> None:
    there = laptop.write("old", "#!/bin/sh\n[ $1 = --version ] && echo 'gateway 0.0.9' || exit 2\n")
    there.chmod(0o755)
    host = ("--host", laptop.destination, "--host-command", str(there))
    code, _, err = laptop.gateway(*host, "list", "--brandnew", away=False)
    assert code == ExitCode.USAGE
    assert "is version 0.0.9, the one here" in err


def test_ctrl_c_leaves_the_workflow_alone(laptop: Laptop) -> None:
    laptop.write("reana.yaml", json.dumps(SPEC).replace("mkdir -p", f"{WAITS_FOR_GO}; mkdir -p"))
    # A shell makes its background jobs, and so perhaps us, ignore it; what has a handler is not
    # ignored in a child.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*PROGRAM.split(), "--host", laptop.destination, "--host-command", PROGRAM, "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    signal.signal(signal.SIGINT, former)
    assert process.stderr is not None
    heard = ""
    while "running" not in heard:
        line = process.stderr.readline()
        assert line, heard
        heard += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (ExitCode.DETACHED, ""), heard + err
    assert "detached" in err
    status = json.loads(laptop.gateway("status", "workflow", "--json", away=False)[1])
    assert status["status"] == "running"
    (Path(status["workspace"]) / "go").touch()


def test_nothing_of_the_start_up_files_is_shown(laptop: Laptop) -> None:
    code, out, err = laptop.gateway("list", "--json")
    assert (code, json.loads(out), err) == (0, [], "")
