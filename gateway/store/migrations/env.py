"""Alembic's entry: run migrations on the connection that ``migrate`` has opened."""

from typing import Any

from alembic import context

from gateway.crash_points import CrashPoint, crash_point


def _applied(*_: Any, **__: Any) -> None:
    crash_point(CrashPoint.SCHEMA_STEP)


context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=False,
    on_version_apply=_applied,
)
context.run_migrations()
