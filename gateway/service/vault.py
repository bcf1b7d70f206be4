"""Encryption of secrets at rest, with a key that lies beside the database, not in it."""

from __future__ import annotations

import os
import secrets as random
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import SiteError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secrets.key"


class Vault:
    """Seals and opens values (Fernet: AES-128-CBC with HMAC-SHA256).

    Parameters
    ----------
    state_dir
        Directory of the key, which is made when it is first needed.
    """

    def __init__(self, state_dir: Path) -> None:
        self._key_file = state_dir / KEY_FILE
        self._cipher: Fernet | None = None

    @property
    def key_file(self) -> Path:
        """File with the key, mode 0600. Whoever loses it loses all secrets."""
        return self._key_file

    def seal(self, value: bytes) -> bytes:
        """Return a value encrypted; the same value never gives the same twice."""
        return self._open(make=True).encrypt(value)

    def unseal(self, sealed: bytes, name: str) -> bytes:
        """Return the value.

        Raises
        ------
        SiteError
            If the key is gone or another one.
        """
        from cryptography.fernet import InvalidToken

        try:
            return self._open(make=False).decrypt(sealed)
        except InvalidToken as error:
            raise SiteError(
                f"the secret {name!r} cannot be decrypted: {self._key_file} is not the key with "
                "which it was added",
                hint="put the key back, or add the secret again with --overwrite",
            ) from error

    def _open(self, *, make: bool) -> Fernet:
        from cryptography.fernet import Fernet

        if self._cipher is None:
            try:
                self._cipher = Fernet(self._key(make=make))
            except (OSError, ValueError) as error:
                raise SiteError(
                    f"the key of all secrets cannot be used: {self._key_file}: {error}",
                    hint="put it back from a backup; without it, add all secrets again",
                ) from error
        return self._cipher

    def _key(self, *, make: bool) -> bytes:
        try:
            return self._key_file.read_bytes().strip()
        except FileNotFoundError:
            if not make:
                raise
        self._make_key()
        return self._key_file.read_bytes().strip()

    def _make_key(self) -> None:
        """Give the file a key, whole; of several makers the first one wins, for all of them."""
        from cryptography.fernet import Fernet

        self._key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._key_file.with_name(f".{KEY_FILE}.{random.token_hex(4)}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(part, self._key_file)
        finally:
            part.unlink(missing_ok=True)
