"""Fetching images with real Apptainer from a real registry; runs inside the test bed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.containers.image_store import is_sif
from gateway.containers.launch import build_fetch
from gateway.containers.lookup import NeedsFetch, Usable, look_up
from gateway.containers.reference import parse_registry_name
from gateway.containers.result import Fetched, FetchFailed, read_result
from gateway.site.model import Containers
from gateway.submitters import control
from gateway.submitters.base import Submission, Task
from gateway.vocabulary.resources import Resources

pytestmark = [pytest.mark.apptainer, pytest.mark.timeout(300)]

SLOW = "docker.io/library/python:3.13-slim"
"""Takes some seconds to convert."""
SMALL = "docker.io/library/busybox:latest"


@dataclass(frozen=True)
class Ended:
    status: int
    result: dict[str, Any]
    log: str


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "image store"


@pytest.fixture
def start(store: Path) -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []

    def start_fetch(name: str, *more: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "gateway.containers.fetch"]
        child = subprocess.Popen(
            [*argv, f"--reference={name}", f"--store={store}", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield start_fetch
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def end_of(child: subprocess.Popen[str]) -> Ended:
    out, err = child.communicate(timeout=200)
    return Ended(child.returncode, json.loads(out.splitlines()[-1]), err)


def lookup(name: str, store: Path, since: float = 0.0) -> Usable | NeedsFetch:
    return look_up(
        name,
        Containers(),
        store=store,
        workspace=Path("/nowhere"),
        home=Path("/nowhere"),
        now=time.time(),
        resolved_since=since,
    )


def leftovers(store: Path) -> list[str]:
    return [str(path) for part in ("claims", "partial") for path in (store / part).rglob("*")]


def images(store: Path) -> list[Path]:
    return sorted(store.glob("*.sif"))


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Registry:
    """A registry of our own, on this host only and without TLS."""

    host: str
    configuration: Path
    process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        self.process = subprocess.Popen(["docker-registry", "serve", str(self.configuration)])
        until(self._answers)

    def down(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def holds(self, image: str, name: str) -> None:
        copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*copy, f"docker://{image}", f"docker://{self.host}/{name}"], check=True)

    def _answers(self) -> bool:
        host, _, port = self.host.partition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = tmp_path / "registry.yml"
    configuration.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/blobs}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    registry = Registry(host, configuration)
    registry.up()
    yield registry
    registry.down()


def test_a_fetched_image_is_found_and_carries_the_registrys_digest(
    start: Start, store: Path
) -> None:
    assert isinstance(lookup("busybox", store), NeedsFetch)
    ended = end_of(start(SMALL))
    assert ended.status == 0, ended.log
    found = lookup("docker://busybox:latest", store)
    assert isinstance(found, Usable)
    shown = subprocess.run(
        ["skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{SMALL}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.image.digest == shown.stdout.strip() == ended.result["image"]["digest"]
    assert found.image.path == str(images(store)[0])
    assert Path(found.image.path).stat().st_mode & 0o777 == 0o444
    assert leftovers(store) == []


def test_the_same_content_is_converted_once_under_all_its_names(
    start: Start, store: Path, registry: Registry
) -> None:
    registry.holds(SMALL, "group/one:1")
    registry.holds(SMALL, "other/two:2")
    first = end_of(start(f"{registry.host}/group/one:1"))
    second = end_of(start(f"{registry.host}/other/two:2"))
    assert first.status == second.status == 0, first.log + second.log
    assert "Starting build" in first.log
    assert "Starting build" not in second.log
    assert len(images(store)) == 1


def test_a_tag_that_moves_moves_for_later_workflows_only(
    start: Start, store: Path, registry: Registry
) -> None:
    name = f"{registry.host}/group/image:latest"
    registry.holds(SMALL, "group/image:latest")
    end_of(start(name))
    before = lookup(name, store)
    moved_at = time.time()
    registry.holds(SLOW, "group/image:latest")
    assert lookup(name, store) == before
    assert isinstance(lookup(name, store, since=moved_at), NeedsFetch)
    assert end_of(start(name)).status == 0
    after = lookup(name, store, since=moved_at)
    assert isinstance(before, Usable)
    assert isinstance(after, Usable)
    assert after.image.digest != before.image.digest
    assert is_sif(Path(before.image.path))
    pinned = f"{registry.host}/group/image@{before.image.digest}"
    assert end_of(start(pinned)).status == 0
    again = lookup(pinned, store, since=time.time())
    assert isinstance(again, Usable)
    assert again.image.path == before.image.path


def test_four_fetches_at_once_make_one_conversion(start: Start, store: Path) -> None:
    ended = [end_of(child) for child in [start(SLOW) for _ in range(4)]]
    assert [one.status for one in ended] == [0, 0, 0, 0], ended
    assert sum("Starting build" in one.log for one in ended) == 1
    assert len({one.result["image"]["path"] for one in ended}) == 1
    assert leftovers(store) == []


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_fetch_that_was_killed_can_be_repeated_at_once(
    start: Start, store: Path, tmp_path: Path, number: signal.Signals
) -> None:
    result = tmp_path / "result.json"
    first = start(SLOW, f"--result={result}", f"--tmp={tmp_path}")
    until(lambda: list(store.glob("partial/*")))
    time.sleep(0.5)
    first.send_signal(number)
    first.wait(20)
    assert images(store) == []
    assert (read_result(result) is None) == (number == signal.SIGKILL)
    began = time.monotonic()
    second = end_of(start(SLOW))
    assert second.status == 0, second.log
    assert time.monotonic() - began < 45
    assert len(images(store)) == 1
    assert leftovers(store) == []


def test_a_waiting_fetch_takes_over_from_one_that_dies(start: Start, store: Path) -> None:
    first = start(SLOW)
    until(lambda: list(store.glob("partial/*")))
    second = start(SLOW)
    time.sleep(1)
    first.kill()
    ended = end_of(second)
    assert ended.status == 0, ended.log
    assert leftovers(store) == []


def test_an_image_that_does_not_exist_fails_for_good(start: Start, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    ended = end_of(start("docker.io/library/no-such-image:1", f"--result={result}"))
    assert ended.status == 3
    failed = read_result(result)
    assert isinstance(failed, FetchFailed)
    assert failed.permanent
    assert "docker.io/library/no-such-image:1" in failed.message


def test_a_registry_that_is_down_may_come_back_and_what_is_known_goes_on(
    start: Start, store: Path, registry: Registry
) -> None:
    name = f"{registry.host}/group/image:1"
    registry.holds(SMALL, "group/image:1")
    assert end_of(start(name)).status == 0
    registry.down()
    unknown = end_of(start(f"{registry.host}/group/image:2"))
    assert unknown.status == 75
    assert unknown.result["permanent"] is False
    assert "Connection refused" in unknown.result["message"]
    known = end_of(start(name))
    assert known.status == 0
    assert "Connection refused" in known.result["note"]


def test_a_slow_conversion_is_given_up_and_leaves_nothing(start: Start, store: Path) -> None:
    ended = end_of(start(SLOW, "--timeout=2"))
    assert ended.status == 75
    assert "not converted within" in ended.result["message"]
    assert images(store) == []
    assert leftovers(store) == []


@pytest.mark.parametrize("where", ["store", "tmp"])
def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path: Path, where: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    store = full if where == "store" else tmp_path / "store"
    tmp = full if where == "tmp" else tmp_path
    script = (
        'mount -t tmpfs -o size=20m tmpfs "$1" && '
        '"$2" -m gateway.containers.fetch --reference="$3" --store="$4" --tmp="$5" 2>/dev/null; '
        'find "$4" -type f >&2'
    )
    words = (str(full), sys.executable, SLOW, str(store), str(tmp))
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["permanent"] is False
    assert "no space is left" in result["message"]
    assert str(full) in result["message"]
    assert ran.stderr == ""


def test_as_a_job_of_the_gateway(tmp_path: Path, store: Path) -> None:
    result, folder = tmp_path / "result.json", tmp_path / "control"
    launch = build_fetch(parse_registry_name(SMALL, written="busybox"), store, result, Containers())
    submission = Submission("gw0", "fetch", folder, Resources(), (Task("gw0.0", 0, "fetch"),))
    control.prepare(submission, {"gw0.0": launch})
    subprocess.run(["bash", folder / "job.sh", folder, "0", "test", "0"], check=True)
    fetched = read_result(result)
    assert isinstance(fetched, Fetched)
    assert lookup("busybox", store) == Usable(fetched.image)
    assert fetched.image.reference == "busybox"


def test_the_program_starts_without_heavy_libraries() -> None:
    code = (
        "import sys, gateway.containers.fetch\n"
        "heavy = {'pydantic', 'sqlalchemy', 'yaml', 'click', 'fabric'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
