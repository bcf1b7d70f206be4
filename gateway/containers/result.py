"""What a fetch came to: the file by which the job tells the one who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.containers.failure import ImageUnavailableError
from gateway.containers.image_store import read_json, write_json
from gateway.vocabulary.image import ResolvedImage


@dataclass(frozen=True, slots=True)
class Fetched:
    """The image is in the store. ``note`` says what the user should know, or is empty."""

    image: ResolvedImage
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return {"ok": True, "image": self.image.to_json(), "note": self.note}


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """The image cannot be had; ``permanent`` if asking again cannot help."""

    message: str
    permanent: bool
    hint: str = ""
    retry_after_s: float = 0.0

    @classmethod
    def of(cls, error: ImageUnavailableError) -> FetchFailed:
        """Describe an error."""
        return cls(error.message, error.permanent, error.hint, error.retry_after_s)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return {
            "ok": False,
            "permanent": self.permanent,
            "message": self.message,
            "hint": self.hint,
            "retry_after_s": self.retry_after_s,
        }


FetchResult = Fetched | FetchFailed


def write_result(path: Path, result: FetchResult) -> None:
    """Write the result for ``read_result``; complete or absent."""
    write_json(path, result.to_json(), mode=0o600)


def read_result(path: Path) -> FetchResult | None:
    """Return what a fetch wrote, or ``None`` while there is nothing that can be read.

    A fetch whose job has ended and that left no result was killed: it may be tried again.
    """
    data = read_json(path)
    try:
        if data["ok"]:
            return Fetched(ResolvedImage.from_json(data["image"]), data["note"])
        return FetchFailed(
            data["message"], bool(data["permanent"]), data["hint"], float(data["retry_after_s"])
        )
    except (KeyError, TypeError, ValueError):
        return None
