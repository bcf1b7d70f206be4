"""Old databases become new ones without loss; the migrations end at what the code expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from gateway.store import database, migrate
from gateway.store.database import open_engine
from gateway.store.store import Store
from gateway.store.tables import metadata
from gateway.vocabulary.records import DEFAULT_USER


def old_database(path: Path) -> str:
    """Write a database of the first schema that holds a workflow with a job."""
    url = f"sqlite:///{path}"
    engine = create_engine(url)
    migrate.upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO workflows (id, name, run_major, run_minor, key, status, specification,"
                " parameters, options, workspace, created_at) VALUES"
                " ('w1', 'old', 3, 1, 'nightly', 'running', '{}', '{}', '{}', '/ws', 1.0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO jobs (id, workflow_id, key, position, purpose, step, command, image,"
                " cluster, resources, retries, state, created_at) VALUES ('j1', 'w1', 'k', 0,"
                " 'step', 's', 'true', 'img', 'local', '{}', 0, 'running', 1.0)"
            )
        )
    engine.dispose()
    return url


def test_workflows_of_the_first_schema_belong_to_the_default_user(tmp_path: Path) -> None:
    store = Store(old_database(tmp_path / "gateway.db"))
    with store.read() as transaction:
        workflow = transaction.workflows.by_key(DEFAULT_USER, "nightly")
        jobs = transaction.jobs.of_workflow("w1")
    assert workflow is not None
    assert workflow.full_name == "old.3.1"
    assert [job.id for job in jobs] == ["j1"]
    store.close()


def test_foreign_keys_are_guarded_again_after_a_migration(tmp_path: Path) -> None:
    engine = open_engine(old_database(tmp_path / "gateway.db"))
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_migration_that_would_lose_a_reference_changes_nothing(tmp_path: Path) -> None:
    url = old_database(tmp_path / "gateway.db")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET workflow_id = 'gone'"))
    with pytest.raises(RuntimeError, match="would break 1 references"):
        migrate.upgrade(engine)
    with engine.connect() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
        )
    engine.dispose()


def test_migrations_end_at_the_tables_of_the_code(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == database.HEAD
    engine.dispose()
