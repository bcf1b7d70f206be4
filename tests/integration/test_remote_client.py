"""The Python client and ``gateway --host`` through OpenSSH: the login node is this host again."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.errors import ExitCode
from gateway.vocabulary.states import WorkflowStatus
from tests.integration.place import GATEWAY, Place

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        "GATEWAY_TESTBED" not in os.environ or os.geteuid() == 0,
        reason="runs inside the test bed, as an ordinary user with an ssh key",
    ),
]

HOST = "127.0.0.1"
SPEC = {
    "version": "0.9.4",
    "inputs": {"files": ["in.txt"]},
    "workflow": {
        "type": "serial",
        "specification": {
            "steps": [
                {
                    "name": "copy",
                    "environment": "docker.io/library/python:3.13-slim",
                    "commands": ["cat in.txt | tee out.txt"],
                }
            ]
        },
    },
    "outputs": {"files": ["out.txt"]},
}


@pytest.fixture
def laptop(home: Path) -> Path:
    """The user's own directory, which the jobs need not see."""
    directory = home / "laptop"
    directory.mkdir()
    (directory / "in.txt").write_text("hello\n")
    (directory / "reana.yaml").write_text(json.dumps(SPEC))
    return directory


@pytest.fixture
def program(place: Place, home: Path) -> str:
    """The gateway over there, with the site of this test, behind a noisy login."""
    script = home / "gateway there"
    root = place.environ["PYTHONPATH"]
    words = " ".join(GATEWAY)
    script.write_text(
        f"#!/bin/sh\nGATEWAY_SITE='{place.site_file}' PYTHONPATH='{root}' exec {words} \"$@\"\n"
    )
    script.chmod(0o755)
    return f"'{script}'"


@pytest.fixture
def client(program: str) -> Iterator[Client]:
    with Client.ssh(HOST, command=program) as found:
        yield found


def there(program: str, laptop: Path, *words: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [*GATEWAY, "--host", HOST, "--host-command", program, *words],
        cwd=laptop,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.apptainer
@pytest.mark.parametrize(
    "cluster",
    [
        pytest.param("slurm", marks=pytest.mark.slurm),
        pytest.param("htcondor", marks=pytest.mark.htcondor),
    ],
)
def test_a_workflow_runs_there_without_a_daemon(client: Client, laptop: Path, cluster: str) -> None:
    run = client.run(laptop / "reana.yaml", "copy", cluster=cluster)
    ended = client.wait(run.id, timeout=240)
    assert ended.status is WorkflowStatus.FINISHED, client.explain(run.id)
    (path,) = client.download(run.id, destination=laptop / "down")
    assert path.read_text() == "hello\n"


@pytest.mark.apptainer
@pytest.mark.slurm
def test_the_command_line_does_it_too(program: str, laptop: Path) -> None:
    done = there(program, laptop, "run", "--name", "copy", "--cluster", "slurm")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_text() == "hello\n"
    assert there(program, laptop, "download", "-w", "copy", "-o", "down").returncode == 0
    assert (laptop / "down" / "out.txt").read_text() == "hello\n"
    assert there(program, laptop, "status", "nope").returncode == ExitCode.NOT_FOUND


def test_the_gateway_that_serves_there_answers(client: Client, place: Place, laptop: Path) -> None:
    server = subprocess.Popen([*GATEWAY, "serve"], env=place.environ, stderr=subprocess.DEVNULL)
    try:
        socket = Path(place.environ["GATEWAY_SITE"]).parent / "state" / "gateway.sock"
        deadline = time.monotonic() + 60
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        created = client.create(SPEC, "w")
        assert client.wire.get("/gateway/ready")["ready"]
        data = os.urandom(20_000_000)
        (laptop / "big").write_bytes(data)
        client.upload_as(created.id, [("big", laptop / "big")])
        (path,) = client.download(created.id, ["big"], laptop / "down")
        assert path.read_bytes() == data
    finally:
        server.terminate()
        assert server.wait(20) == 0


def test_on_a_terminal_there_is_one_there_too(program: str, laptop: Path) -> None:
    """Colours, and Ctrl-C that detaches over there as it does here."""
    created = there(program, laptop, "create", "-n", "w")
    assert created.returncode == 0, created.stderr
    pid, terminal = pty.fork()
    if pid == 0:
        # A shell makes its background jobs, and so perhaps us, ignore it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(laptop)
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        words = ["--host", HOST, "--host-command", program, "wait", "w"]
        os.execv(sys.executable, [*GATEWAY, *words])
    heard = b""
    pressed = False
    while True:
        readable, _, _ = select.select([terminal], [], [], 60)
        assert readable, heard
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        heard += piece
        if b"created" in heard and not pressed:
            os.write(terminal, b"\x03")
            pressed = True
    _, status = os.waitpid(pid, 0)
    assert b"detached: w.1 is not stopped" in heard, heard
    assert b"gateway-command-starts-here" not in heard
    assert os.waitstatus_to_exitcode(status) == ExitCode.DETACHED
