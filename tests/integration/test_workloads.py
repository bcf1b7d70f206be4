"""Workflows with known right results, on real clusters, driven in every way there is.

The newer flavour of the test bed plays every way, the older one a way for each workload there.

Runs inside the test bed as an ordinary user; every test has a state and a shared root of its own,
and all share the converted images.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.integration.place import (
    DRIVERS,
    IN_TEST_BED,
    Place,
    drive,
    make_place,
    ways,
    workspace_of,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLUSTERS = ("local", "slurm", "htcondor")
BACKENDS = (("reana-slurm.yaml", "slurm"), ("reana-htcondor.yaml", "htcondor"))

pytestmark = [
    pytest.mark.apptainer,
    pytest.mark.timeout(300),
    IN_TEST_BED,
]


def check_hello(workspace: Path) -> None:
    expected = (EXAMPLES / "hello4" / "EXPECT.txt").read_bytes()
    assert (workspace / "results" / "greetings.txt").read_bytes() == expected


def check_fit(workspace: Path) -> None:
    expected = json.loads((EXAMPLES / "fit2step" / "EXPECT.json").read_text())
    found = json.loads((workspace / "results" / "fit.json").read_text())
    assert (found["valid"], found["n"]) == (True, expected["n"])
    for part in ("values", "errors"):
        assert found[part] == pytest.approx(expected[part], rel=1e-6)


def check_notebook(workspace: Path) -> None:
    expected = json.loads((EXAMPLES / "notebook" / "EXPECT.json").read_text())["coast"]
    assert json.loads((workspace / "results" / "trend.json").read_text()) == expected
    cells = json.loads((workspace / "results" / "run.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(output["output_type"] != "error" for output in outputs)


CHECKS = {"hello4": check_hello, "fit2step": check_fit, "notebook": check_notebook}


def on(cluster: str, *values: str) -> ParameterSet:
    """Return a case, marked with the batch system that it needs."""
    return pytest.param(*values, marks=() if cluster == "local" else getattr(pytest.mark, cluster))


@pytest.mark.parametrize(
    ("workload", "cluster", "how"),
    [
        on(cluster, workload, cluster, how)
        for row, workload in enumerate(CHECKS)
        for column, cluster in enumerate(CLUSTERS)
        for how in ways(row, column)
    ],
)
def test_workload_gives_its_known_result(
    place: Place, workload: str, cluster: str, how: str
) -> None:
    workflow = drive(place, how, EXAMPLES / workload / "reana.yaml", cluster)
    CHECKS[workload](workspace_of(place, workflow))
    jobs = place.data("status", workflow)["jobs"]
    assert isinstance(jobs, list)
    assert {job["cluster"] for job in jobs} == {cluster}
    assert all(len(job["attempts"]) == 1 for job in jobs)


@pytest.mark.parametrize(
    ("name", "cluster", "how"),
    [
        on(cluster, name, cluster, how)
        for number, (name, cluster) in enumerate(BACKENDS)
        for how in ways(number)
    ],
)
def test_compute_backend_of_a_step_chooses_the_cluster(
    place: Place, name: str, cluster: str, how: str
) -> None:
    workflow = drive(place, how, EXAMPLES / "hello4" / name, "local")
    check_hello(workspace_of(place, workflow))
    jobs = place.data("status", workflow)["jobs"]
    assert isinstance(jobs, list)
    assert {job["cluster"] for job in jobs} == {cluster}


def test_log_holds_what_the_program_wrote_and_nothing_of_apptainer(place: Place) -> None:
    workflow = drive(place, "run", EXAMPLES / "hello4" / "reana.yaml", "local")
    (job,) = json.loads(place.call("logs", workflow, "--json").stdout)
    assert job["stdout"].splitlines() == [
        "greeting Ada Lovelace",
        "greeting Emmy Noether",
        "greeting Émilie du Châtelet",
    ]
    assert job["stderr"] == "wrote 3 lines to results/greetings.txt\n"


@pytest.mark.postgresql
@pytest.mark.parametrize("how", DRIVERS)
def test_state_may_be_in_postgresql(home: Path, how: str, postgresql: str) -> None:
    place = make_place(home, postgresql)
    workflow = drive(place, how, EXAMPLES / "fit2step" / "reana.yaml", "local")
    check_fit(workspace_of(place, workflow))


@pytest.mark.slurm
def test_image_may_be_converted_on_the_cluster(home: Path) -> None:
    place = make_place(home, containers={"build_cluster": "slurm", "image_store": f"{home}/images"})
    file = EXAMPLES / "hello4" / "reana.yaml"
    workflow = drive(place, "run", file, "local")
    check_hello(workspace_of(place, workflow))
    (image,) = place.data("status", workflow)["images"]
    assert image["reference"] == "docker.io/library/python:3.13-slim"
    assert image["digest"].startswith("sha256:")
    assert image["resolved_at"]
    explained = place.data("explain", image["fetch_job"])
    assert ["cluster", "slurm"] in explained["facts"]


def test_bad_parameter_fails_the_first_step_and_the_second_never_starts(place: Place) -> None:
    file = EXAMPLES / "fit2step" / "reana.yaml"
    done = place.call("run", str(file), "-p", "events=abc", "--json")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert [job["step"] for job in data["jobs"]] == ["gendata", "gendata"]
    assert "invalid literal" in done.stderr
