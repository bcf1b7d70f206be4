"""Which login a registry gets: what the user's own Apptainer or Docker would send.

Read: ``$APPTAINER_DOCKER_USERNAME`` and ``_PASSWORD`` (or ``SINGULARITY_``), then
``~/.apptainer/docker-config.json``, ``~/.singularity/docker-config.json``,
``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``. Credential helpers are not run.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.containers.image_store import read_json
from gateway.containers.reference import DOCKER_HUB

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login. The password is never shown."""

    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """Value of an ``Authorization`` header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def find_credentials(
    registry: str, environment: Mapping[str, str], home: Path
) -> Credentials | None:
    """Return the user's login for a registry, or ``None`` to come without one."""
    for prefix in ("APPTAINER", "SINGULARITY"):
        user = environment.get(f"{prefix}_DOCKER_USERNAME")
        password = environment.get(f"{prefix}_DOCKER_PASSWORD")
        if user and password:
            return Credentials(user, password)
    for path in _files(environment, home):
        found = in_config(read_json(path), registry)
        if found:
            return found
    return None


def in_config(config: Mapping[str, Any], registry: str) -> Credentials | None:
    """Return the login that a Docker configuration holds for a registry."""
    entries = config.get("auths")
    if not isinstance(entries, dict):
        return None
    names = _HUB_KEYS if registry == DOCKER_HUB else (registry,)
    for key, entry in entries.items():
        if isinstance(entry, dict) and (key in names or _host(key) in names):
            found = _decoded(entry.get("auth"))
            if found:
                return found
    return None


def _files(environment: Mapping[str, str], home: Path) -> Iterator[Path]:
    yield home / ".apptainer" / "docker-config.json"
    yield home / ".singularity" / "docker-config.json"
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").split("/", 1)[0].lower()


def _decoded(auth: object) -> Credentials | None:
    if not isinstance(auth, str):
        return None
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return Credentials(user, password) if colon and user else None
