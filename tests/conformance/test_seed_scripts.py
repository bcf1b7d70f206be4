"""Scripts that people have around REANA's client, run as they are.

On this machine always; against Slurm and HTCondor in the test bed with
``scripts/conformance --testbed``.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.place import Reana, Server, Wire, client_environment, complaints
from tests.conformance.testbed import VARIABLE, serving_in_testbed

SEEDS = Path(__file__).with_name("seeds")
IMAGE = "docker.io/library/python:3.13-slim"
INSTANCE = os.environ.get(VARIABLE)
BACKENDS = {"kubernetes": "Local"} | (
    {"slurmcern": "Slurm", "htcondorcern": "HTCondor"} if INSTANCE else {}
)

LIMIT_S = 600
"""Not awaited when all is well: a script starts the client a dozen times."""

pytestmark = pytest.mark.timeout(LIMIT_S + 100)


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[tuple[Wire, str]]:
    if INSTANCE:
        with serving_in_testbed(INSTANCE, client_environment()) as found:
            yield found
    else:
        server: Server = request.getfixturevalue("server")
        yield server, server.app.accounts.new_token(None)[1]


@pytest.fixture
def seed(gateway: tuple[Wire, str], tmp_path: Path) -> Iterator[Reana]:
    """Return a client in an empty directory; its answers are checked at the end."""
    wire, token = gateway
    wire.tap.take()
    reana = Reana(wire, token, tmp_path)
    yield reana
    wrong = [each for seen in reana.exchanged() for each in complaints(wire.agent, seen)]
    assert not wrong, "\n".join(wrong)


def step(backend: str, *commands: str) -> dict[str, object]:
    return {
        "name": "analyse",
        "environment": IMAGE,
        "commands": list(commands),
        "compute_backend": backend,
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_walk_through_the_python_api(seed: Reana, backend: str) -> None:
    seed.write("in.txt", "some words\n")
    steps = {"steps": [step(backend, "echo read; tr a-z A-Z < ${source} > out.txt")]}
    seed.write("steps.json", json.dumps(steps))
    words = [str(SEEDS / "walk_through.py"), "steps.json", "in.txt", "out.txt"]
    done = seed.run([str(seed.server.venv / "bin/python"), *words], limit_s=LIMIT_S)
    assert done.code == 0, done.seen
    lines = done.out.splitlines()
    assert lines[0] == f"{BACKENDS[backend]} finished read"
    assert lines[1] == "files: in.txt out.txt"
    assert lines[2].endswith(" finished")
    assert (seed.cwd / "out.txt").read_text() == "SOME WORDS\n"
    workflow = lines[2].split()[0]
    for asked in (*BACKENDS.values(), "slurm", "htcondor"):
        chosen = ("--json", "--filter", f"compute_backend={asked}")
        shown = seed.ok("logs", "-w", workflow, *chosen).data
        assert len(shown["job_logs"]) == (asked.lower() == BACKENDS[backend].lower()), asked


def analysis(reana: Reana, backend: str, *commands: str) -> None:
    """Write what a PanDA step finds in its directory."""
    for name in ("userkey.pem", "usercert.pem"):
        reana.write(name, f"{name} of me\n")
    reana.write("template/data/in.txt", "some words\n")
    spec = {
        "inputs": {"files": ["data/in.txt"], "parameters": {"dataset": "DATASET"}},
        "workflow": {"type": "serial", "specification": {"steps": [step(backend, *commands)]}},
        "outputs": {"files": ["results/limit.txt"]},
    }
    reana.write("template/reana.yaml", json.dumps(spec))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_panda_step_scrapes_its_way_to_the_results(seed: Reana, backend: str) -> None:
    prepare = 'mkdir -p results; test "$$VONAME" = atlas'
    analyse = "cat data/in.txt > results/limit.txt; echo ${dataset} >> results/limit.txt"
    analysis(seed, backend, prepare, analyse)
    done = seed.run(
        [str(SEEDS / "panda_step.sh"), "limit", "mc.123", "template", "1"], limit_s=LIMIT_S
    )
    assert done.code == 0, done.seen
    assert "finished" in done.out
    with tarfile.open(seed.cwd / "output.tar") as found:
        member = found.extractfile("results/limit.txt")
        assert member is not None
        assert member.read() == b"some words\nmc.123\n"


def test_a_panda_step_sees_a_failure(seed: Reana) -> None:
    backend = next(iter(BACKENDS))
    analysis(seed, backend, "exit 3")
    done = seed.run(
        [str(SEEDS / "panda_step.sh"), "bad", "mc.123", "template", "1"], limit_s=LIMIT_S
    )
    assert "failed" in done.out
