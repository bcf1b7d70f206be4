"""Alembic migrations, applied by ``gateway.store.migrate``."""
