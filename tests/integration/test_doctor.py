"""``gateway doctor`` on real schedulers, with probe jobs that run on real nodes."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ExitCode
from tests.integration.place import IN_TEST_BED, Place, make_place

pytestmark = [
    pytest.mark.apptainer,
    pytest.mark.timeout(240),
    # Probes of one test must not be found by another.
    pytest.mark.xdist_group("doctor"),
    IN_TEST_BED,
]
BATCH = [
    pytest.param("slurm", marks=pytest.mark.slurm),
    pytest.param("htcondor", marks=pytest.mark.htcondor),
]


def findings(place: Place, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    done = place.call("doctor", "--json", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)}


def jobs_left(cluster: str) -> str:
    """Return what the queue still has of probes some time after their removal was confirmed."""
    if cluster == "slurm":
        argv = ["squeue", "--me", "--noheader", "--format=%j"]
    else:
        argv = ["condor_q", "-af", "JobBatchName"]
    deadline = time.monotonic() + 20
    while True:
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        left = "\n".join(line for line in said.splitlines() if "doctor" in line)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


@pytest.mark.parametrize("cluster", BATCH)
def test_a_probe_job_comes_back_from_a_node(place: Place, cluster: str) -> None:
    found = findings(place)
    assert found[f"cluster {cluster}: probe job"]["level"] == "ok"
    assert found[f"cluster {cluster}: shared filesystem"]["level"] == "ok"
    assert found[f"cluster {cluster}: clock"]["level"] == "ok"
    runtimes = {name: c for name, c in found.items() if name.startswith("containers on")}
    assert any(name.endswith(f"of {cluster}") for name in runtimes)
    assert {check["level"] for check in runtimes.values()} == {"ok"}
    assert jobs_left(cluster) == ""
    control = Path(place.data("config", "show")["site"]["shared_root"]) / "control"
    assert list(control.iterdir()) == []


@pytest.mark.parametrize("cluster", BATCH)
def test_a_node_runs_an_image_though_the_store_is_empty(home: Path, cluster: str) -> None:
    place = make_place(home, containers={"image_store": str(home / "no images")})
    found = findings(place)
    (node,) = [name for name in found if name.startswith("containers") and name.endswith(cluster)]
    for name in ("containers here", node):
        assert found[name]["level"] == "ok"
        assert "an image made for this runs" in found[name]["found"]
    root = Path(place.data("config", "show")["site"]["shared_root"])
    assert list(root.glob(".doctor*")) == []


@pytest.mark.parametrize("cluster", BATCH)
def test_versions_limits_and_accounting_are_found(place: Place, cluster: str) -> None:
    found = findings(place, "--quick")
    assert any(digit in found[f"cluster {cluster}"]["found"] for digit in "0123456789")
    assert found[f"cluster {cluster}: limits"]["level"] == "ok"
    kind = "accounting" if cluster == "slurm" else "history"
    assert found[f"cluster {cluster}: {kind}"]["level"] == "ok"
    assert [name for name in found if "probe" in name] == []


@pytest.mark.slurm
def test_a_job_that_cannot_start_is_removed_and_its_reason_is_told(home: Path) -> None:
    place = make_place(home, clusters={"slurm": {"extra_arguments": ["--begin=now+1hour"]}})
    probe = findings(place, "--timeout", "8")["cluster slurm: probe job"]
    assert probe["level"] == "warn"
    assert "BeginTime" in probe["found"]
    assert jobs_left("slurm") == ""


@pytest.mark.htcondor
def test_a_job_that_matches_no_machine_is_removed(home: Path) -> None:
    settings = {"extra_lines": ["requirements = False"]}
    place = make_place(home, clusters={"htcondor": settings})
    probe = findings(place, "--timeout", "8")["cluster htcondor: probe job"]
    assert probe["level"] == "warn"
    assert jobs_left("htcondor") == ""


@pytest.mark.slurm
def test_a_partition_that_does_not_exist_fails(home: Path) -> None:
    place = make_place(home, clusters={"slurm": {"partition": "nosuch"}})
    found = findings(place, code=ExitCode.SITE)
    assert found["cluster slurm: partitions"]["level"] == "fail"
    assert "cluster slurm: probe job" not in found


@pytest.mark.slurm
@pytest.mark.htcondor
def test_a_starting_site_names_what_is_here(place: Place, home: Path) -> None:
    file = home / "new.yaml"
    done = place.call("doctor", "--write-site", str(file))
    assert done.returncode == 0, done.stderr
    assert place.call("config", "check", str(file)).returncode == 0
    text = file.read_text()
    assert "type: slurm" in text
    assert "type: htcondor" in text
    assert "containers: host" not in text


@pytest.mark.slurm
@pytest.mark.sshd
def test_a_cluster_behind_ssh_is_examined_over_there(home: Path) -> None:
    place = make_place(home, clusters={"slurm": {"ssh": {"host": "localhost"}}})
    found = findings(place)
    assert "localhost" in found["cluster slurm: ssh"]["found"]
    assert found["cluster slurm: partitions"]["level"] == "ok"
    assert found["cluster slurm: probe job"]["level"] == "ok"
