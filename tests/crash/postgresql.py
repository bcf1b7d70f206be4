"""A PostgreSQL database as a place for tests, and what its own triggers saw."""

from __future__ import annotations

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from tests.crash.place import WATCHED, Move

_TRIGGER = """
CREATE FUNCTION moved_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO moves (kind, name, before, after)
  VALUES ('{table}', NEW.{name}, OLD.{column}, NEW.{column});
  RETURN NULL;
END $$;
CREATE TRIGGER moved_{table} AFTER UPDATE OF {column} ON {table} FOR EACH ROW
  WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) EXECUTE FUNCTION moved_{table}();
"""


def emptied(url: str, schema: str) -> str:
    """Empty one schema of a database and return the URL by which a gateway uses that alone."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    # A host that is a directory would come back quoted, which the driver does not undo.
    words = {"options": f"-csearch_path={schema}", "application_name": schema}
    private = make_url(url).update_query_dict(words)
    return private.render_as_string(hide_password=False)


def watch_moves(engine: Engine) -> None:
    """Have a database write down its own changes of state."""
    columns = "id serial, kind text, name text, before text, after text"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE moves ({columns})"))
        for table, column in WATCHED.items():
            name = "key" if table in ("attempts", "submissions") else "id"
            connection.exec_driver_sql(_TRIGGER.format(table=table, column=column, name=name))


def read_moves(engine: Engine) -> list[Move]:
    """Return all changes of state, first one first."""
    with engine.connect() as connection:
        query = text("SELECT kind, name, before, after FROM moves ORDER BY id")
        return [Move(*row) for row in connection.execute(query)]


def is_locked(engine: Engine) -> bool:
    """Say whether somebody is in the middle of a transaction that has written or locked a row.

    Only who has the same name counts: others may use other schemas of the database.
    """
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = current_setting('application_name') "
        "AND backend_xid IS NOT NULL AND pid != pg_backend_pid()"
    )
    with engine.connect() as connection:
        return bool(connection.execute(query).scalar())
