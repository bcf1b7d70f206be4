"""Real processes are killed at every crash point, paused and doubled, with state in PostgreSQL.

The tests are those of ``tests/crash``. One flavour of the test bed kills ``tick``, the other
``serve``: together they are all of them; with ``GATEWAY_TEST_COMBINATIONS=all`` it kills both.
``scripts/chaos`` plays as many random rounds as asked, over every cluster.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.place import EVERYTHING, IN_TEST_BED, share

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = ("killed_processes", "killed_fetches", "killed_migrations", "paused_processes")
ROUNDS = 5
CLUSTERS = [
    "local",
    *(
        pytest.param(cluster, marks=getattr(pytest.mark, cluster))
        for cluster in share(sid="slurm", trixie="htcondor")
    ),
]


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=CHECKOUT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )


@IN_TEST_BED
@pytest.mark.timeout(900)
def test_killed_and_paused_at_every_point(postgresql: str) -> None:
    not_here = "serve" if os.environ["GATEWAY_TESTBED"].startswith("sid") else "tick"
    modules = [f"tests/crash/test_{name}.py" for name in MODULES]
    chosen = "postgresql" if EVERYTHING else f"postgresql and not {not_here}"
    done = run(
        *("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *modules, "-k", chosen),
        GATEWAY_TEST_POSTGRESQL=postgresql,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@IN_TEST_BED
@pytest.mark.timeout(900)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_random_rounds(postgresql: str, cluster: str) -> None:
    words = ("--rounds", str(ROUNDS), "--jobs", str(ROUNDS))
    done = run("scripts/chaos", *words, "--cluster", cluster, "--postgresql", postgresql)
    assert done.returncode == 0, done.stdout
    assert f"{ROUNDS} rounds, 0 violations" in done.stdout
