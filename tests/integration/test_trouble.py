"""Trouble that real clusters make, and what the user sees of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.place import GATEWAY, IN_TEST_BED, Place, make_place, share, workspace_of

IMAGE = "docker.io/library/busybox:latest"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BATCH = [
    pytest.param("slurm", marks=pytest.mark.slurm),
    pytest.param("htcondor", marks=pytest.mark.htcondor),
]
CONTROLLERS = {"slurm": "slurmctld", "htcondor": "schedd"}

pytestmark = [pytest.mark.apptainer, pytest.mark.timeout(300), IN_TEST_BED]


def specification(home: Path, *commands: str, **step: Any) -> Path:
    body = {"name": "step", "environment": IMAGE, "commands": list(commands), **step}
    path = home / "reana.yaml"
    data = {"workflow": {"type": "serial", "specification": {"steps": [body]}}}
    path.write_text(json.dumps(data))
    return path


def submit(place: Place, file: Path, cluster: str) -> str:
    done = place.call("submit", str(file), "--cluster", cluster)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until_runs(place: Place, workflow: str) -> None:
    """Wait until a workflow, which need not exist yet, has a job that runs."""
    deadline = time.monotonic() + 90
    while True:
        done = place.call("status", workflow, "--json")
        if done.returncode == 0 and json.loads(done.stdout)["progress"]["running"]:
            return
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(0.2)


def until(place: Place, workflow: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Tick until the status is as wanted."""
    deadline = time.monotonic() + 200
    while True:
        place.call("tick")
        data = place.data("status", workflow)
        if enough(data):
            return data
        assert time.monotonic() < deadline, place.call("explain", workflow).stdout
        time.sleep(0.3)


def is_over(data: dict[str, Any]) -> bool:
    return data["status"] in ("finished", "failed", "stopped")


def is_running(data: dict[str, Any]) -> bool:
    return any(job["state"] == "running" for job in data["jobs"])


@contextmanager
def stopped(service: str) -> Iterator[None]:
    subprocess.run(["sudo", "testbed-service", service, "stop"], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(
            ["sudo", "testbed-service", service, "start"], check=True, capture_output=True
        )


@pytest.mark.alone
@pytest.mark.parametrize(
    "cluster", [each for each in BATCH if each.values[0] in share(sid="slurm", trixie="htcondor")]
)
def test_scheduler_down_at_submit_and_back_later(home: Path, cluster: str) -> None:
    place = make_place(home, clusters={cluster: {"resend_after": "15s"}})
    file = specification(home, "echo once >> count")
    workflow = submit(place, file, cluster)
    with stopped(CONTROLLERS[cluster]):
        until(place, workflow, lambda data: data["status"] == "running")
        place.call("tick")
        data = place.data("status", workflow)
        assert data["status"] == "running"
        assert data["jobs"][0]["attempts"][0]["waits_for"]
    until(place, workflow, is_over)
    assert (workspace_of(place, workflow) / "count").read_text() == "once\n"


@pytest.mark.slurm
def test_partition_that_does_not_exist_is_one_clear_failure(place: Place, home: Path) -> None:
    file = specification(home, "true", compute_backend="slurmcern", slurm_partition="nowhere")
    done = place.call("run", str(file))
    assert done.returncode == 1
    assert "partition" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("cluster", BATCH)
def test_memory_larger_than_any_node_fails_or_says_why_it_waits(
    place: Place, home: Path, cluster: str
) -> None:
    file = specification(home, "true", memory="900 GiB")
    workflow = submit(place, file, cluster)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        place.call("tick")
        data = place.data("status", workflow)
        attempts = data["jobs"][0]["attempts"] if data["jobs"] else []
        if is_over(data) or (attempts and attempts[0]["scheduler_id"]):
            break
        time.sleep(0.5)
    explained = place.call("explain", workflow).stdout
    assert "refuses it" in explained or "waits" in explained
    if not is_over(data):
        assert place.call("stop", workflow).returncode == 0
        assert until(place, workflow, is_over)["status"] == "stopped"


@pytest.mark.parametrize("cluster", BATCH)
def test_memory_above_the_sites_maximum_is_refused_before_submission(
    home: Path, cluster: str
) -> None:
    place = make_place(home, clusters={cluster: {"maximum": {"memory": "2 GiB"}}})
    file = specification(home, "true", memory="3 GiB")
    done = place.call("submit", str(file), "--cluster", cluster)
    assert done.returncode == 2
    assert "memory" in done.stderr
    assert place.call("list", "--json").stdout.strip() == "[]"


REMOVERS = {
    "slurm": lambda native: ["scancel", native],
    "htcondor": lambda native: ["condor_rm", native],
}
REMOVED = {"slurm": "queue says CANCELLED", "htcondor": "condor_rm"}
"""What the scheduler says of it."""


@pytest.mark.parametrize("cluster", BATCH)
def test_job_killed_outside_the_gateway_fails_with_the_schedulers_words(
    place: Place, home: Path, cluster: str
) -> None:
    workflow = submit(place, specification(home, "sleep 120", "touch never"), cluster)
    data = until(place, workflow, is_running)
    native = data["jobs"][0]["scheduler_id"].partition("_")[0]
    subprocess.run(REMOVERS[cluster](native), check=True, capture_output=True)
    data = until(place, workflow, is_over)
    assert data["status"] == "failed"
    assert "outside" in data["message"]
    assert REMOVED[cluster] in data["message"]
    assert REMOVED[cluster] in place.call("explain", workflow).stdout
    assert [len(job["attempts"]) for job in data["jobs"]] == [1]


@pytest.mark.parametrize("cluster", ["local", *BATCH])
def test_stop_removes_the_job_from_the_cluster(place: Place, home: Path, cluster: str) -> None:
    workflow = submit(place, specification(home, "echo here; sleep 120", "touch never"), cluster)
    until(place, workflow, is_running)
    assert place.call("stop", workflow).returncode == 0
    data = until(place, workflow, is_over)
    assert data["status"] == "stopped"
    assert [job["state"] for job in data["jobs"]] == ["stopped"]
    assert not (Path(data["workspace"]) / "never").exists()


# Slurm counts whole minutes: test_slurm_submitter has its walltime test.
@pytest.mark.parametrize("cluster", ["local", BATCH[1]])
def test_walltime_ends_the_job_and_the_reason_says_so(
    place: Place, home: Path, cluster: str
) -> None:
    workflow = submit(place, specification(home, "sleep 120", walltime="5s"), cluster)
    data = until(place, workflow, is_over)
    assert data["status"] == "failed"
    assert "walltime" in data["message"]


@pytest.mark.parametrize("cluster", ["local", *BATCH])
def test_killed_driver_is_taken_over_and_nothing_runs_twice(
    place: Place, home: Path, cluster: str
) -> None:
    first = "echo 0 >> count; until [ -e go ]; do sleep 0.2; done"
    file = specification(home, first, "echo 1 >> count", "echo 2 >> count")
    runner = subprocess.Popen(
        [*GATEWAY, "run", str(file), "--cluster", cluster, "-q"],
        env=place.environ,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until_runs(place, "workflow")
    finally:
        runner.kill()
        runner.wait()
    Path(place.data("status", "workflow")["workspace"], "go").touch()
    until(place, "workflow", is_over)
    assert (workspace_of(place, "workflow") / "count").read_text() == "0\n1\n2\n"


def test_image_that_does_not_exist_ends_the_workflow_with_its_name(
    place: Place, home: Path
) -> None:
    file = specification(home, "true")
    file.write_text(file.read_text().replace(IMAGE, "docker.io/nobody/nothing:9"))
    began = time.monotonic()
    done = place.call("run", str(file))
    assert done.returncode == 1
    assert "docker.io/nobody/nothing:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 120


def test_command_that_is_not_in_the_image(place: Place, home: Path) -> None:
    done = place.call("run", str(specification(home, "no-such-program --help")))
    assert done.returncode == 1
    assert "exit code 127 (command not found)" in done.stderr
    assert "no-such-program" in done.stderr


@pytest.mark.sshd
@pytest.mark.slurm
def test_cluster_behind_ssh(home: Path) -> None:
    place = make_place(home, clusters={"slurm": {"ssh": {"host": "127.0.0.1"}}})
    done = place.call(
        "run", str(EXAMPLES / "hello4" / "reana.yaml"), "--cluster", "slurm", "--json"
    )
    assert done.returncode == 0, done.stderr
    expected = (EXAMPLES / "hello4" / "EXPECT.txt").read_text()
    workspace = Path(json.loads(done.stdout)["workspace"])
    assert (workspace / "results" / "greetings.txt").read_text() == expected
