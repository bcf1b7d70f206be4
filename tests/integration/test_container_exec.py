"""Commands in real containers, started by the real job script; runs inside the test bed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.containers.launch import LONGEST_COMMAND, build_launch
from gateway.containers.lookup import Usable, look_up
from gateway.service.secrets import LARGEST_ENV, MOST_ENV
from gateway.site.model import Containers
from gateway.submitters import control
from gateway.submitters.base import Submission, Task
from gateway.vocabulary.image import ImageSource, ResolvedImage
from gateway.vocabulary.launch import JobSecrets
from gateway.vocabulary.resources import Resources

pytestmark = [pytest.mark.apptainer, pytest.mark.timeout(300)]

PYTHON = "python:3.13-slim"
BUSYBOX = "busybox"
JUPYTER = "docker.io/reanahub/reana-env-jupyter:3.0.0"
HOST = "host"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Images = Callable[[str], ResolvedImage]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Images by name, fetched once."""
    store = tmp_path_factory.mktemp("images")

    def image(name: str) -> ResolvedImage:
        if name == HOST:
            return ResolvedImage(name, "", ImageSource.HOST, "", 0.0)
        asked = {"workspace": Path("/"), "home": Path("/"), "now": time.time()}
        found = look_up(name, Containers(), store=store, **asked)  # type: ignore[arg-type]
        if not isinstance(found, Usable):
            argv = [sys.executable, "-m", "gateway.containers.fetch", f"--store={store}"]
            subprocess.run([*argv, f"--reference={found.reference.name}"], check=True)
            found = look_up(name, Containers(), store=store, **asked)  # type: ignore[arg-type]
        assert isinstance(found, Usable)
        return found.image

    return image


@dataclass
class Node:
    """Where jobs run: prepares a control directory and starts the job script."""

    images: Images
    folder: Path
    workspace: Path
    started: int = 0

    def start(
        self,
        image: str,
        command: str,
        *,
        site: Containers | None = None,
        workspace: Path | None = None,
        gpus: bool = False,
        env: dict[str, str] | None = None,
        secret_files: dict[str, bytes] | None = None,
    ) -> tuple[subprocess.Popen[bytes], Path]:
        self.started += 1
        place = workspace or self.workspace
        place.mkdir(parents=True, exist_ok=True)
        launch = build_launch(
            self.images(image), command, place, "a-uuid", "gw1.0", site or Containers(),
            gpus=gpus, cvmfs=False, user=os.environ.get("USER", "alice"),
            secrets=JobSecrets(env or {}, secret_files or {}),
            secrets_dir=self.folder / "secrets" / f"job {self.started}",
        )  # fmt: skip
        folder = self.folder / f"control {self.started}"
        task = Task("gw1.0", 0, "step")
        control.prepare(Submission("gw1", "step", folder, Resources(), (task,)), {task.key: launch})
        argv = ["bash", str(folder / "job.sh"), str(folder), "0", "test", "0"]
        leak = {"HOST_LEAK": "1", "PYTHONPATH": "/leaked"}
        return subprocess.Popen(argv, env={**os.environ, **leak}, stderr=subprocess.DEVNULL), folder

    def run(self, image: str, command: str, **options: object) -> Ran:
        job, folder = self.start(image, command, **options)  # type: ignore[arg-type]
        job.wait(120)
        return self.ended(folder)

    @staticmethod
    def ended(folder: Path) -> Ran:
        out, err = control.log_paths(folder, 0, 0)
        record = control.read_exit_records(folder)[0]
        return Ran(record.exit_code, out.read_text(), err.read_text())


@pytest.fixture
def node(images: Images, tmp_path: Path) -> Node:
    return Node(images, tmp_path, tmp_path / "a workspace")


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, JUPYTER, HOST])
def test_a_quiet_command_leaves_both_logs_empty(node: Node, image: str) -> None:
    assert node.run(image, "true") == Ran(0, "", "")


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
@pytest.mark.parametrize("code", [1, 3, 127, 137, 255])
def test_the_exit_code_is_the_commands(node: Node, image: str, code: int) -> None:
    assert node.run(image, f"exit {code}").code == code


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
def test_a_command_that_does_not_exist(node: Node, image: str) -> None:
    ran = node.run(image, "no-such-program")
    assert ran.code == 127
    assert "no-such-program" in ran.err


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
@pytest.mark.parametrize(
    "command",
    [
        "printf '%s\\n' \"a'b\" 'c\"d' '$HOME' '`id`' \\\\ '%s' é",
        "# a comment first\nprintf second; printf ' third'  # and last",
        "cat <<'END'\n$HOME 'x' \"y\" `z` \\\nEND\n",
        "printf '%s' @GATEWAY_SCRATCH@ @GATEWAY_CONTAINER@",
    ],
)
def test_the_command_means_what_a_shell_makes_of_it(node: Node, image: str, command: str) -> None:
    shell = subprocess.run(
        ["bash", "-c", command], capture_output=True, check=True, cwd="/"
    ).stdout.decode()
    assert node.run(image, command) == Ran(0, shell, "")


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
def test_the_longest_command_that_is_accepted_runs(node: Node, image: str) -> None:
    start = "echo ${#X}; exit 5; #"
    command = start + "x" * (LONGEST_COMMAND - len(start))
    assert node.run(image, command, env={"X": "y" * 60_000}) == Ran(5, "60000\n", "")


def test_bash_where_the_image_has_it_and_sh_where_not(node: Node) -> None:
    assert node.run(PYTHON, "[[ a == a ]] && echo ${BASH_VERSION%%.*} $0").out == "5 bash\n"
    assert node.run(BUSYBOX, "echo ${BASH_VERSION:-none} $0").out == "none sh\n"


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
def test_home_and_temporary_directories_are_empty_writable_and_gone_afterwards(
    node: Node, image: str
) -> None:
    command = (
        'cd && find . "${TMPDIR:-/tmp}" -type f; '
        'touch "$HOME/h" "${TMPDIR:-/tmp}/gateway-t" && echo written'
    )
    ran = node.run(image, command)
    assert (ran.code, ran.out.split(), ran.err) == (0, ["written"], "")
    assert not Path("/tmp/gateway-t").exists()


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
def test_the_environment_is_ours_and_nothing_of_the_host(node: Node, image: str) -> None:
    secret = "a'b\"c $HOME `id` $(id) \\ \nsecond line é"
    ran = node.run(image, "env -0 2>/dev/null || cat /proc/self/environ", env={"SECRET": secret})
    env = dict(item.partition("=")[::2] for item in ran.out.split("\0") if item)
    assert env["SECRET"] == secret
    assert env["REANA_WORKSPACE"] == env["PWD"] == str(node.workspace)
    assert env["REANA_WORKFLOW_UUID"] == "a-uuid"
    assert env["GATEWAY_KEY"] == "gw1.0"
    assert env["LANG"] == "C.UTF-8"
    assert {"HOST_LEAK", "PYTHONPATH", "GATEWAY_SCRATCH"}.isdisjoint(env)


@pytest.mark.parametrize("image", [PYTHON, HOST])
def test_no_secret_is_in_any_argv(node: Node, image: str) -> None:
    ran = node.run(
        image, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", env={"S": "hidden1"}
    )
    assert "gw1.0" not in ran.out
    assert "hidden1" not in ran.out
    assert "job.sh" in ran.out


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, JUPYTER])
def test_secret_files_are_mounted_read_only_where_reana_has_them(node: Node, image: str) -> None:
    files = {"key.bin": bytes(range(256)), "a b'c": b"hidden2"}
    command = (
        "echo $REANA_SECRETS_DIR; cd /etc/reana/secrets && ls; "
        "cat key.bin | od -An -tx1 | tail -n 1; cat a*; "
        "for f in new key.bin; do (echo x >$f) 2>/dev/null && echo written; done; true"
    )
    ran = node.run(image, command, secret_files=files)
    last = " ".join(f"{byte:02x}" for byte in range(240, 256))
    assert ran.out == f"/etc/reana/secrets\na b'c\nkey.bin\n {last}\nhidden2"
    assert (ran.code, ran.err) == (0, "")


def test_secret_files_of_the_host_runtime_are_where_it_says(node: Node) -> None:
    ran = node.run(HOST, 'cat "$REANA_SECRETS_DIR/key"', secret_files={"key": b"hidden3"})
    assert ran == Ran(0, "hidden3", "")


@pytest.mark.parametrize("image", [PYTHON, HOST])
def test_as_many_variables_as_a_user_may_have_reach_a_job(node: Node, image: str) -> None:
    env = {f"S{number}": "x" * LARGEST_ENV for number in range(MOST_ENV // LARGEST_ENV)}
    ran = node.run(image, "env | wc -c", env=env)
    assert ran.code == 0
    assert int(ran.out) > MOST_ENV


def test_workspaces_below_tmp_and_home_with_spaces(node: Node, tmp_path: Path) -> None:
    below_tmp = Path(f"/tmp/gateway test {os.getpid()}/w s")
    below_home = Path.home() / f"gateway test {os.getpid()}" / "w s"
    for place in (below_tmp, below_home):
        ran = node.run(PYTHON, "pwd; echo x >file; ls", workspace=place)
        assert ran == Ran(0, f"{place}\nfile\n", "")
        assert (place / "file").read_text() == "x\n"
        (place / "file").unlink()
        place.rmdir()
        place.parent.rmdir()


def test_a_sites_binds_and_home_does_not_suffer_from_them(node: Node, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("bound")
    site = Containers(binds=(f"{tmp_path / 'data'}:/some/where:ro", "/home"))
    ran = node.run(PYTHON, "cat /some/where/file; touch ~/x /some/where/x; ls -d ~", site=site)
    assert ran.out == "bound/gateway/home\n"
    assert "Read-only" in ran.err


def test_a_bind_that_the_node_lacks_is_the_runtimes_word(node: Node) -> None:
    ran = node.run(PYTHON, "true", site=Containers(binds=("/not/on/this/node",)))
    assert ran.code == 255
    assert "/not/on/this/node" in ran.err


def test_asking_for_graphics_processors_where_there_are_none(node: Node) -> None:
    assert node.run(PYTHON, "echo ok", gpus=True) == Ran(0, "ok\n", "")


def test_the_job_runs_as_the_user_and_the_image_is_read_only(node: Node) -> None:
    ran = node.run(
        PYTHON, "id -u; python -c 'import getpass; print(getpass.getuser())'; touch /usr/x"
    )
    assert ran.out.split()[0] == str(os.getuid())
    assert "Read-only" in ran.err


def test_shared_memory_and_processes_work_in_the_container(node: Node) -> None:
    code = (
        "import multiprocessing as m\nwith m.Pool(2) as p: print(sum(p.map(abs, range(-100, 0))))\n"
    )
    assert node.run(PYTHON, f"python -c '{code}'") == Ran(0, "5050\n", "")


@pytest.mark.parametrize("image", [PYTHON, BUSYBOX, HOST])
def test_a_signal_to_the_job_script_reaches_the_program(node: Node, image: str) -> None:
    command = "trap 'echo saved; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    job, folder = node.start(image, command)
    out, _ = control.log_paths(folder, 0, 0)
    deadline = time.monotonic() + 30
    while not (out.exists() and "ready" in out.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    job.wait(30)
    ran = node.ended(folder)
    assert (ran.code, ran.out) == (9, "ready\nsaved\n")
    assert control.read_exit_records(folder)[0].warned == "TERM"


def test_papermill_in_the_jupyter_image(node: Node) -> None:
    node.workspace.mkdir()
    cell: dict[str, object] = {
        "cell_type": "code", "execution_count": None, "id": "a", "outputs": [],
        "metadata": {"tags": ["parameters"]}, "source": "n = 1",
    }  # fmt: skip
    show = {**cell, "id": "b", "metadata": {}, "source": "print(n * 21)"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell, show], "metadata": {"kernelspec": kernel},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (node.workspace / "in.ipynb").write_text(json.dumps(notebook))
    ran = node.run(JUPYTER, "papermill in.ipynb out.ipynb -p n 2 -k python3")
    assert ran.code == 0, ran.err
    assert '"42\\n"' in (node.workspace / "out.ipynb").read_text()
