"""Fixtures of tests that run inside the test bed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import coerce_node_id

from tests.integration.place import Place, make_place, private_postgresql


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--alone",
        choices=("only", "without"),
        help="run only, or all but, the tests that nothing else may run beside",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose by ``--alone``, and begin with what takes longest, so that the rest runs beside it."""
    asked = config.getoption("--alone")
    if asked:
        wanted = [item for item in items if _is_alone(item) == (asked == "only")]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        _show_group(item)


def _show_group(item: pytest.Item) -> None:
    """Name the group of a test where the scheduler looks for it: at the end of the node's id.

    pytest-xdist 3.8 writes it into an attribute that pytest 9.2 does not read any more. Then each
    worker would live through all cases of a group, of which it reports a part.
    """
    named: str | None = getattr(item, "_nodeid", None)
    if named is not None and named != item.nodeid:
        item._id = coerce_node_id(named)
    assert named is None or named == item.nodeid


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a private PostgreSQL and return the SQLAlchemy URL of an empty database."""
    with private_postgresql(tmp_path_factory.mktemp("pg")) as url:
        yield url


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory below the shared home, which worker nodes see."""
    path = Path.home() / "tests" / f"{os.getpid()}-{time.time_ns()}"
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def place(home: Path) -> Place:
    return make_place(home)
