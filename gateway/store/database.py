"""Open the database: SQLite for a person or a group, PostgreSQL for a site."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from sqlite3 import SQLITE_BUSY
from sqlite3 import OperationalError as SQLiteOperationalError
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from gateway.errors import SiteError, UnreachableError
from gateway.store.filesystem import journal_mode, locks_work

HEAD = "0002"
"""The migration that this version of the code needs."""

BUSY_S = 60
"""How long a writer waits for another one."""
RETRY_S = 0.05


def open_engine(url: str) -> Engine:
    """Return an engine whose schema is up to date, creating or migrating the database.

    Raises
    ------
    SiteError
        If the database cannot be used where it is, or was written by a newer gateway.
    """
    try:
        engine = _sqlite(url) if url.startswith("sqlite") else _server(url)
        _bring_up_to_date(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SiteError(
            f"the database URL {_shown(url)} cannot be used: {error}",
            hint="write for example postgresql+psycopg://user@host/name, and install "
            "reana-batch-gateway[postgresql]",
        ) from error
    except DatabaseError as error:
        raise explain(url, error) from error
    return engine


def explain(url: str, error: DatabaseError) -> SiteError:
    """Say in words what is wrong with the database, or that it does not answer."""
    cause = str(error.orig).strip().splitlines()[0]
    if not isinstance(error, OperationalError):
        return SiteError(
            f"the database {_shown(url)} cannot be used: {cause}",
            hint="if the file is something else, move it away or set `database` in the site file; "
            "a damaged database must come back from a backup",
        )
    return UnreachableError(
        f"the database {_shown(url)} does not answer: {cause}",
        hint="nothing is lost; check `database` and `state_dir` in the site file (gateway config "
        "show), free disk space, and try again",
    )


def _shown(url: str) -> str:
    """Return the URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "of the site file"


def _server(url: str) -> Engine:
    # Without parameters: an error that is logged must not show what users keep here.
    engine = create_engine(url, pool_pre_ping=True, pool_size=2, hide_parameters=True)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _limit_waits)
    return engine


def _limit_waits(connection: Any, _record: Any) -> None:
    """End transactions of processes that sleep or are cut off, and waits for them.

    PostgreSQL does neither by itself: a driver whose host lost its network in the middle of a
    transaction would lock out all others until the connection is given up, after hours. What the
    site has set, in the server or in the URL, stays.
    """
    cursor = connection.cursor()
    for name in ("idle_in_transaction_session_timeout", "lock_timeout"):
        cursor.execute(
            f"SELECT set_config('{name}', '{BUSY_S}s', false) WHERE current_setting('{name}') = '0'"
        )
    cursor.close()
    connection.commit()


def _sqlite(url: str) -> Engine:
    path = Path(make_url(url).database or "")
    if not path.exists():
        _prove_directory(path.parent)
        _make_private(path)
    mode = journal_mode(path.parent)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_S, "check_same_thread": False}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # Transactions are begun below, in the mode that each needs.
        connection.isolation_level = None
        _set_journal(connection, mode)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _make_private(path: Path) -> None:
    """Make an empty database for its owner alone; what SQLite puts beside it is so too."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _set_journal(connection: Any, mode: str) -> None:
    """Change the journal of a database, if it has another one.

    That needs the file alone, and where two processes would have to wait for each other SQLite
    answers at once that it is locked, whatever time-out is set (sqlite3_busy_handler).
    """
    (present,) = connection.execute("PRAGMA journal_mode").fetchone()
    deadline = time.monotonic() + BUSY_S
    while str(present).upper() != mode:
        try:
            (present,) = connection.execute(f"PRAGMA journal_mode={mode}").fetchone()
        except SQLiteOperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
        else:
            return


def _prove_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        proved = locks_work(directory)
    except OSError as error:
        raise SiteError(
            f"the state directory {directory} cannot be written: {error.strerror}",
            hint="set `state_dir` in the site file to a directory of yours on a local disk",
        ) from error
    if not proved:
        raise SiteError(
            f"file locks do not work in {directory}, so a database there could be damaged",
            hint="set `state_dir` in the site file to a local disk, or use PostgreSQL",
        )


def _bring_up_to_date(engine: Engine) -> None:
    """Compare the schema's version by one query; load the migration tool only if needed."""
    version = _version(engine)
    if version == HEAD:
        return
    if version is not None and version > HEAD:
        raise SiteError(
            f"a newer gateway wrote the database (schema {version}, this one knows {HEAD})",
            hint="upgrade this gateway, or use another `database` in the site file",
        )
    from gateway.store.migrate import upgrade

    upgrade(engine)


def _version(engine: Engine) -> str | None:
    with engine.connect().execution_options(reading=True) as connection:
        try:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DatabaseError as error:
            if "alembic_version" not in str(error):
                raise
            return None
    return str(found) if found is not None else None
