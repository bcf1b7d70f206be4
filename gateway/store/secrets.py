"""Encrypted secrets of users in the database."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from gateway.store.portions import portions
from gateway.store.tables import attempts, secrets
from gateway.vocabulary.records import Secret
from gateway.vocabulary.states import AttemptState

_NOT_IN_SCHEDULER = (AttemptState.READY.value, AttemptState.ENDED.value)


class Secrets:
    """Everything that is read and written about secrets, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, user_id: str) -> list[Secret]:
        """Return the secrets of a user by name."""
        query = select(secrets).where(secrets.c.user_id == user_id).order_by(secrets.c.name)
        return [Secret(**row._mapping) for row in self._connection.execute(query)]

    def put(self, record: Secret) -> None:
        """Insert a secret, or replace the one of its name."""
        self.remove(record.user_id, [record.name])
        self._connection.execute(
            secrets.insert(),
            {
                "user_id": record.user_id,
                "name": record.name,
                "kind": record.kind,
                "sealed": record.sealed,
            },
        )

    def remove(self, user_id: str, names: Collection[str]) -> None:
        """Remove secrets of a user by name."""
        self._connection.execute(
            delete(secrets).where(secrets.c.user_id == user_id, secrets.c.name.in_(list(names)))
        )

    def needless(self, attempt_keys: Collection[str]) -> list[str]:
        """Return those of the attempts that no scheduler has, so that none needs its secrets."""
        found: list[str] = []
        for some in portions(attempt_keys):
            query = select(attempts.c.key).where(
                attempts.c.key.in_(some),
                attempts.c.state.in_(_NOT_IN_SCHEDULER),
            )
            found += self._connection.execute(query).scalars()
        return found
