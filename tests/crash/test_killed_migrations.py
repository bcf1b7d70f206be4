"""A process is killed while it brings an older database up to date: nothing half, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

from gateway.crash_points import CrashPoint
from gateway.store import migrate
from gateway.store.database import HEAD
from tests.crash.processes import KILLED, Bench

FIRST = "0001"
POINTS = [point for point in CrashPoint if point.place == "migration"]
WORKFLOW = """
INSERT INTO workflows (id, name, run_major, run_minor, status, specification, parameters, options,
  workspace, created_at) VALUES ('w', 'fit', 1, 0, 'finished', '{}', '{}', '{}', '/nowhere', 1)
"""


@pytest.fixture
def old(bench: Bench) -> Bench:
    """Return a place whose database has the first schema, and a workflow in it."""
    bench.database.parent.mkdir()
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    with bench.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
        connection.execute(text(WORKFLOW))
    return bench


def shape(engine: Engine) -> dict[str, set[str]]:
    """Return the columns of each table."""
    found = inspect(engine)
    return {
        table: {column["name"] for column in found.get_columns(table)}
        for table in found.get_table_names()
    }


def version(bench: Bench) -> str:
    ((found,),) = bench.rows("SELECT version_num FROM alembic_version")
    return str(found)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_killed_upgrade(old: Bench, point: CrashPoint) -> None:
    before = shape(old.engine)
    assert old.wait(old.start("list", kill_at=point.name)) == KILLED

    if point.in_transaction:
        assert (version(old), shape(old.engine)) == (FIRST, before)
    else:
        assert version(old) == HEAD
    old.ok("list")
    assert version(old) == HEAD
    assert old.rows("SELECT name, status FROM workflows") == [("fit", "finished")]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_two_processes_upgrade_and_one_is_killed(old: Bench, point: CrashPoint) -> None:
    """The one that is not killed waits for its turn, and finds the work done, or does it."""
    doomed = old.start("list", kill_at=point.name)
    other = old.start("list")

    # One of them came first; the second does not pass the points of a migration any more.
    assert old.wait(doomed) in (KILLED, 0)
    assert old.wait(other) == 0, old.told()
    assert version(old) == HEAD
    assert old.rows("SELECT name, status FROM workflows") == [("fit", "finished")]
