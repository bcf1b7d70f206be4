"""Processes on SQLite, and on PostgreSQL where ``GATEWAY_TEST_POSTGRESQL`` names one; worlds."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.place import memory_folder
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


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """Yield empty folders for simulated worlds, of whose troubles no log tells."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="gateway-world-", dir=memory_folder()) as root:
        yield (Path(tempfile.mkdtemp(dir=root)) for _ in itertools.count())
    logging.disable(logging.NOTSET)
