"""Users and the digests of their tokens in the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from gateway.store.tables import tokens, users
from gateway.vocabulary.records import Token, User


class Users:
    """Everything that is read and written about users, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user: User) -> None:
        """Insert a user; a second one with the same address is a ``TakenError``."""
        self._connection.execute(
            users.insert(),
            {
                "id": user.id,
                "email": user.email,
                "full_name": user.full_name,
                "created_at": user.created_at,
            },
        )

    def get(self, user_id: str) -> User | None:
        """Return a user by its id."""
        return self._user(users.c.id == user_id)

    def by_email(self, email: str) -> User | None:
        """Return a user by its address."""
        return self._user(users.c.email == email)

    def all(self) -> list[User]:
        """Return all users, oldest first."""
        found = self._connection.execute(select(users).order_by(users.c.created_at, users.c.id))
        return [User(**row._mapping) for row in found]

    def _user(self, condition: Any) -> User | None:
        row = self._connection.execute(select(users).where(condition)).first()
        return User(**row._mapping) if row else None

    def add_token(self, token: Token) -> None:
        """Insert a token's record."""
        self._connection.execute(
            tokens.insert(),
            {
                "id": token.id,
                "user_id": token.user_id,
                "label": token.label,
                "digest": token.digest,
                "created_at": token.created_at,
            },
        )

    def token_of(self, digest: str) -> Token | None:
        """Return the token with a digest, also a revoked one."""
        row = self._connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
        return Token(**row._mapping) if row else None

    def tokens(self, user_id: str | None = None) -> list[Token]:
        """Return tokens, also revoked ones, oldest first."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        if user_id is not None:
            query = query.where(tokens.c.user_id == user_id)
        return [Token(**row._mapping) for row in self._connection.execute(query)]

    def revoke(self, token_id: str, at: float) -> bool:
        """Revoke a token; say whether it was valid until now."""
        statement = (
            update(tokens)
            .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        return self._connection.execute(statement).rowcount == 1
