"""Opening a SQLite database that others are using at that moment."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.errors import UnreachableError
from gateway.store import database
from gateway.store.database import open_engine


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that holds the write lock of a database with a rollback journal."""
    connection = sqlite3.connect(
        tmp_path / "gateway.db", isolation_level=None, check_same_thread=False
    )
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_change_of_the_journal_waits_for_others(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = threading.Event()

    def rest(_seconds: float) -> None:
        # Only now does the other process end its transaction: there was something to wait for.
        waited.set()
        if other.in_transaction:
            other.execute("COMMIT")

    monkeypatch.setattr("gateway.store.database.time.sleep", rest)
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    assert waited.is_set()
    engine.dispose()


def test_who_waits_too_long_is_told(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    with pytest.raises(UnreachableError, match="locked"):
        open_engine(f"sqlite:///{tmp_path}/gateway.db")
