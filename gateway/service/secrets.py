"""Secrets of users: added once, encrypted at rest, given to every job.

They are read when a job is sent, so a credential that is renewed under way reaches the jobs that
follow; the time line of a job says which versions it got.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import ConflictError, NotFoundError, UsageError
from gateway.service.vault import Vault
from gateway.store.store import Store, TakenError, Transaction
from gateway.vocabulary.launch import JobSecrets
from gateway.vocabulary.records import DEFAULT_USER, Secret

Kind = Literal["env", "file"]

KIB = 1024
LARGEST_ENV = 64 * KIB
LARGEST_FILE = 1024 * KIB
MOST_ENV = 256 * KIB
MOST_BYTES = 8 * 1024 * KIB
MOST_SECRETS = 100
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_OURS = re.compile(
    r"(GATEWAY|gateway|APPTAINER|SINGULARITY|BASH)_?.*|REANA_(WORKSPACE|WORKFLOW_UUID|SECRETS_DIR)|PATH|HOME"
    r"|USER|LOGNAME|TMPDIR|LANG|IFS|ENV|PWD|OLDPWD|SHLVL|SHELLOPTS|UID|EUID|PPID|GROUPS|_"
)
_SEALING = 57
"""Bytes that Fernet adds before it writes base64."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret to be added; its value stays out of ``repr``."""

    name: str
    kind: Kind
    value: bytes

    def __repr__(self) -> str:
        return f"NewSecret({self.name!r}, {self.kind!r})"

    def check(self) -> None:
        """Refuse what no job could be given.

        Raises
        ------
        UsageError
            If name or value cannot be those of a variable or file.
        """
        (self._check_variable if self.kind == "env" else self._check_file)()

    def _check_variable(self) -> None:
        if not _VARIABLE.fullmatch(self.name):
            raise UsageError(
                f"secret {self.name[:80]!a}: not the name of an environment variable",
                hint="use letters, digits and '_', not beginning with a digit",
            )
        if _OURS.fullmatch(self.name):
            raise UsageError(
                f"secret {self.name!r}: jobs have a variable of this name already",
                hint="use another name",
            )
        if len(self.value) > LARGEST_ENV:
            raise UsageError(
                f"secret {self.name!r}: {len(self.value)} bytes are more than a variable may have "
                f"({LARGEST_ENV})",
                hint="add it as a file",
            )
        try:
            text = self.value.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise UsageError(
                f"secret {self.name!r}: a variable cannot hold what is no UTF-8 text",
                hint="add it as a file",
            )

    def _check_file(self) -> None:
        name = self.name
        size = len(name.encode("utf-8", "surrogatepass"))
        if name in ("", ".", "..") or "/" in name or not name.isprintable() or size > 255:
            raise UsageError(f"secret {name[:80]!a}: not the name of a file without directories")
        if len(self.value) > LARGEST_FILE:
            raise UsageError(
                f"secret {name!r}: {len(self.value)} bytes are more than a secret file may have "
                f"({LARGEST_FILE})"
            )


class UnknownSecretsError(NotFoundError):
    """Some secrets do not exist; none was deleted."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"there is no secret {', '.join(map(repr, names))}",
            hint="`gateway secrets-list` shows what there is",
        )
        self.names = list(names)


class Secrets:
    """The secrets of one user."""

    def __init__(self, store: Store, vault: Vault, owner: str = DEFAULT_USER) -> None:
        self._store = store
        self._vault = vault
        self._owner = owner

    def listed(self) -> list[Secret]:
        """Return names and kinds, values sealed."""
        with self._store.read() as transaction:
            return transaction.secrets.of(self._owner)

    def add(self, new: Sequence[NewSecret], *, overwrite: bool = False) -> None:
        """Add secrets, all or none.

        Raises
        ------
        ConflictError
            If one exists and ``overwrite`` does not allow to replace it.
        UsageError
            If one cannot be given to jobs, or they become too many.
        """
        for each in new:
            each.check()
        if len({each.name for each in new}) < len(new):
            raise UsageError("two secrets have the same name")
        records = [
            Secret(self._owner, each.name, each.kind, self._vault.seal(each.value)) for each in new
        ]
        try:
            with self._store.write() as transaction:
                self._put(transaction, records, overwrite=overwrite)
        except TakenError as error:
            raise ConflictError("somebody else is adding the same secret now") from error

    def _put(self, transaction: Transaction, records: Sequence[Secret], *, overwrite: bool) -> None:
        present = {each.name: each for each in transaction.secrets.of(self._owner)}
        taken = [each.name for each in records if each.name in present]
        if taken and not overwrite:
            names = ", ".join(map(repr, taken))
            raise ConflictError(
                f"the secret {names} already exists; nothing was added",
                hint="use --overwrite to replace it",
            )
        _check_sum(present | {each.name: each for each in records})
        for each in records:
            transaction.secrets.put(each)

    def delete(self, names: Sequence[str]) -> list[str]:
        """Delete secrets, all or none; return their names.

        Raises
        ------
        UnknownSecretsError
            If one does not exist.
        """
        wanted = list(dict.fromkeys(names))
        with self._store.write() as transaction:
            present = {each.name for each in transaction.secrets.of(self._owner)}
            missing = [name for name in wanted if name not in present]
            if missing:
                raise UnknownSecretsError(missing)
            transaction.secrets.remove(self._owner, wanted)
        return wanted


def _check_sum(secrets: Mapping[str, Secret]) -> None:
    sizes = {name: len(each.sealed) * 3 // 4 - _SEALING for name, each in secrets.items()}
    in_env = sum(size for name, size in sizes.items() if secrets[name].kind == "env")
    if len(sizes) > MOST_SECRETS or sum(sizes.values()) > MOST_BYTES or in_env > MOST_ENV:
        raise UsageError(
            f"too many secrets: a user may have {MOST_SECRETS}, of {MOST_BYTES // KIB} KiB in all "
            f"and of {MOST_ENV // KIB} KiB in variables",
            hint="delete those that no job needs: `gateway secrets-delete NAME`",
        )


def secrets_of(transaction: Transaction, vault: Vault, owner: str) -> JobSecrets:
    """Return what a job of a user gets now.

    Raises
    ------
    SiteError
        If they cannot be decrypted.
    """
    env: dict[str, str] = {}
    files: dict[str, bytes] = {}
    marks: dict[str, str] = {}
    for each in transaction.secrets.of(owner):
        value = vault.unseal(each.sealed, each.name)
        marks[each.name] = hashlib.sha256(each.sealed).hexdigest()[:8]
        if each.kind == "env":
            env[each.name] = value.decode()
        else:
            files[each.name] = value
    return JobSecrets(env, files, marks)
