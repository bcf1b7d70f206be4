"""Real processes on SQLite, and on PostgreSQL where ``GATEWAY_TEST_POSTGRESQL`` names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.postgresql import emptied
from tests.crash.processes import Bench, Zygote

URL = os.environ.get("GATEWAY_TEST_POSTGRESQL")
"""A database that exists for tests alone. Each worker of pytest has a schema of its own in it."""


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"] if URL else ["sqlite"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of an empty database; ``None`` for SQLite in the place."""
    if request.param == "sqlite":
        return None
    assert URL is not None
    return emptied(URL, os.environ.get("PYTEST_XDIST_WORKER", "main"))


@pytest.fixture
def bench(database: str | None, tmp_path: Path, zygote: Zygote) -> Iterator[Bench]:
    made = Bench(tmp_path / "place", zygote, url=database)
    yield made
    made.close()
