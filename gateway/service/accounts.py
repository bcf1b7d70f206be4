"""Users and their access tokens.

A token is shown once, when it is made; the database keeps its digest. That of the default user is
also kept in a file that only its owner can read, so that scripts on the login node find it.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from gateway.errors import ConflictError, GatewayError, NotFoundError, UsageError
from gateway.store.store import Store, TakenError, Transaction
from gateway.vocabulary.ids import new_id
from gateway.vocabulary.records import DEFAULT_USER, Token, User

TOKEN_FILE = "token"  # noqa: S105 - the name of a file
_TOKEN_BYTES = 32


class TokenRefusedError(GatewayError):
    """A token does not give access."""


class Accounts:
    """Who may use the API.

    Parameters
    ----------
    state_dir
        Directory of the file with the default user's token.
    """

    def __init__(self, store: Store, state_dir: Path, clock: Callable[[], float]) -> None:
        self._store = store
        self._token_file = state_dir / TOKEN_FILE
        self._clock = clock

    @property
    def token_file(self) -> Path:
        """File with the default user's token, mode 0600."""
        return self._token_file

    def default_user(self) -> User:
        """Return the person who runs the gateway; make the record when it is first needed."""
        with self._store.read() as transaction:
            user = transaction.users.get(DEFAULT_USER)
        if user is not None:
            return user
        login = _login()
        made = User(DEFAULT_USER, f"{login}@{socket.gethostname()}", login, self._clock())
        try:
            with self._store.write() as transaction:
                transaction.users.add(made)
        except TakenError:
            return self.default_user()
        return made

    def ensure_token(self) -> str | None:
        """Make the default user's first token; ``None`` if there was one before."""
        user = self.default_user()
        with self._store.read() as transaction:
            valid = [token for token in transaction.users.tokens(user.id) if not token.revoked_at]
        if valid:
            return None
        return self.new_token(user.email, "made by `gateway serve`")[1]

    def add_user(self, email: str, full_name: str = "") -> User:
        """Add a user.

        Raises
        ------
        UsageError
            If the address is none.
        ConflictError
            If there is a user with this address.
        """
        name, at, host = email.partition("@")
        if not (name and at and host) or not email.isprintable() or " " in email:
            raise UsageError(f"{email!r} is not an e-mail address")
        self.default_user()
        user = User(new_id(), email, full_name, self._clock())
        try:
            with self._store.write() as transaction:
                transaction.users.add(user)
        except TakenError as error:
            raise ConflictError(f"there is a user {email} already") from error
        return user

    def users(self) -> list[User]:
        """Return all users."""
        self.default_user()
        with self._store.read() as transaction:
            return transaction.users.all()

    def find(self, email: str | None) -> User:
        """Return a user by its address; without one, the default user.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        if email is None:
            return self.default_user()
        self.default_user()
        with self._store.read() as transaction:
            user = transaction.users.by_email(email) or transaction.users.get(email)
        if user is None:
            raise NotFoundError(
                f"there is no user {email!r}", hint="`gateway user list` shows them"
            )
        return user

    def new_token(self, email: str | None, label: str = "") -> tuple[Token, str]:
        """Make a token; return its record and the token itself, which nobody can show again."""
        user = self.find(email)
        secret = secrets.token_urlsafe(_TOKEN_BYTES)
        record = Token(secrets.token_hex(4), user.id, label, digest(secret), self._clock())
        with self._store.write() as transaction:
            transaction.users.add_token(record)
        if user.id == DEFAULT_USER:
            _write_private(self._token_file, secret)
        return record, secret

    def kept_token(self) -> str | None:
        """Return the default user's token from its file, if it is there and still valid."""
        try:
            secret = self._token_file.read_text().strip()
        except OSError:
            return None
        with self._store.read() as transaction:
            record = transaction.users.token_of(digest(secret))
        return secret if record is not None and record.revoked_at is None else None

    def tokens(self, email: str | None = None) -> list[Token]:
        """Return the tokens of a user, or of all."""
        user_id = None if email is None else self.find(email).id
        with self._store.read() as transaction:
            return transaction.users.tokens(user_id)

    def revoke(self, token_id: str) -> Token:
        """Make a token useless, at once and for ever.

        Raises
        ------
        NotFoundError
            If there is no such token.
        """
        with self._store.write() as transaction:
            known = {token.id: token for token in transaction.users.tokens()}
            if token_id not in known:
                raise NotFoundError(
                    f"there is no token {token_id!r}", hint="`gateway token list` shows their ids"
                )
            transaction.users.revoke(token_id, self._clock())
        return known[token_id]

    def user_of(self, secret: str) -> User:
        """Return the user whom a token gives access.

        The lookup is by digest: what its time could tell is about the digest, from which
        nobody finds the token.

        Raises
        ------
        TokenRefusedError
            If the token is unknown or revoked, in REANA's words.
        """
        with self._store.read() as transaction:
            return _user_of(transaction, digest(secret))


def _user_of(transaction: Transaction, digested: str) -> User:
    token = transaction.users.token_of(digested)
    if token is None:
        raise TokenRefusedError("Token not valid.")
    if token.revoked_at is not None:
        raise TokenRefusedError("User access token revoked.")
    user = transaction.users.get(token.user_id)
    assert user is not None
    return user


def digest(secret: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"


def _write_private(path: Path, secret: str) -> None:
    """Replace a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    part.replace(path)
