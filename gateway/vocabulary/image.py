"""A container image: as the user wrote it, and as it will be run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class ImageSource(StrEnum):
    """Where the immutable image comes from."""

    CVMFS = "cvmfs"
    STORE = "store"
    FILE = "file"
    DIRECTORY = "directory"
    HOST = "host"
    """No image: the site runs commands on the host, by its own explicit choice."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image that will not change under a running workflow.

    Parameters
    ----------
    reference
        What the user wrote.
    path
        SIF file or unpacked directory that jobs run; empty for ``HOST``.
    digest
        ``sha256:...`` of the registry's manifest, or of the file; empty where there is none.
    resolved_at
        Seconds since the epoch.
    """

    reference: str
    path: str
    source: ImageSource
    digest: str
    resolved_at: float

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ResolvedImage:
        """Read what ``to_json`` wrote."""
        return cls(**{**data, "source": ImageSource(data["source"])})
