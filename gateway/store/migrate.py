"""Bring a database to the present schema with Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from gateway.crash_points import CrashPoint, crash_point


def upgrade(engine: Engine, to: str = "head") -> None:
    """Apply the missing migrations, one process at a time, all or none.

    SQLite's immediate transaction and PostgreSQL's advisory lock keep a second process out; it
    finds the work done when its turn comes.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.connect() as connection, _unguarded(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7206121)"))
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        _require_whole(connection)
        crash_point(CrashPoint.SCHEMA_HALF)
    crash_point(CrashPoint.SCHEMA_WRITTEN)


@contextmanager
def _unguarded(connection: Connection) -> Iterator[None]:
    """Let SQLite replace a table to which others refer.

    It changes a table by writing it anew and dropping the old one, and takes the drop for a
    violation unless foreign keys are off, which has no effect within a transaction
    (https://www.sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.cursor().execute("PRAGMA foreign_keys=ON")


def _require_whole(connection: Connection) -> None:
    """Refuse to commit a schema in which a row refers to nothing."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        raise RuntimeError(f"the migration would break {len(broken)} references: {broken[:3]}")
