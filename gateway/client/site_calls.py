"""The server, the user, and the user's secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.client.http import Call, Wire
from gateway.client.results import SecretName, SiteFact, User
from gateway.errors import UsageError


class SiteCalls:
    """What can be asked of the server itself."""

    wire: Wire

    def ping(self) -> User:
        """Say who we are there and what version answers."""
        found = self.wire.get("/api/you")
        return User(
            found.get("email") or "",
            found.get("full_name") or "",
            found.get("reana_server_version") or "",
        )

    def info(self) -> dict[str, SiteFact]:
        """Return what the site has: clusters, backends, defaults."""
        return {
            name: SiteFact(each["title"], _value(each["value"]))
            for name, each in self.wire.get("/api/info").items()
        }

    def secrets(self) -> tuple[SecretName, ...]:
        """Return the names of the user's secrets."""
        return tuple(
            SecretName(each["name"], each["type"]) for each in self.wire.get("/api/secrets")
        )

    def add_secrets(
        self,
        env: Mapping[str, str] | None = None,
        files: Iterable[str | Path] = (),
        *,
        overwrite: bool = False,
    ) -> None:
        """Keep secrets: environment variables, and files under their own names.

        Raises
        ------
        ConflictError
            If one exists and ``overwrite`` is false; none was stored.
        """
        values = {name: ("env", value.encode()) for name, value in (env or {}).items()}
        for file in files:
            path = Path(file)
            try:
                values[path.name] = ("file", path.read_bytes())
            except OSError as error:
                raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        self.store_secrets(values, overwrite=overwrite)

    def store_secrets(
        self, values: Mapping[str, tuple[str, bytes]], *, overwrite: bool = False
    ) -> None:
        """Keep secrets, each with its kind (``env`` or ``file``) and value."""
        body = {
            name: {"value": base64.b64encode(value).decode("ascii"), "type": kind}
            for name, (kind, value) in values.items()
        }
        query = {"overwrite": overwrite}
        self.wire.send(Call("POST", "/api/secrets/", query, body=body, repeatable=overwrite))

    def delete_secrets(self, names: Iterable[str]) -> tuple[str, ...]:
        """Remove secrets; return their names.

        Raises
        ------
        NotFoundError
            If one does not exist; none was removed.
        """
        return tuple(self.wire.send(Call("DELETE", "/api/secrets/", body=list(names))) or ())


def _value(value: Any) -> str | tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) else value
