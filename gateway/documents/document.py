"""Plain data, and where in the text each piece of it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Path = tuple[str | int, ...]
"""Keys and list indices (from 0) from the top of a document down to one value."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; line and column count from 1. ``str`` gives ``reana.yaml:12:5``."""

    document: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.document}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data with the positions of its keys and values.

    Parameters
    ----------
    data
        What JSON can carry. ``None`` for an empty text.
    values, keys
        Positions by path; both empty for data that never was a text (an API body).
    notes
        Remarks on values that YAML reads in a way few people expect.
    """

    data: Any
    values: Mapping[Path, Position] = field(default_factory=dict)
    keys: Mapping[Path, Position] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def prefix(self, path: Path, *, key: bool = False) -> str:
        """Return ``"reana.yaml:12:5: "`` for the value, or its key, or else the nearest around it.

        Empty where the data has no positions.
        """
        position = self.position(path, key=key)
        return "" if position is None else f"{position}: "

    def position(self, path: Path, *, key: bool = False) -> Position | None:
        """Return where the value, or its key, or else the nearest thing around it stands."""
        if key and path in self.keys:
            return self.keys[path]
        around = (path[:end] for end in range(len(path), -1, -1))
        return next((self.values[place] for place in around if place in self.values), None)

    def graft(self, path: Path, branch: Document) -> Document:
        """Return this document with ``branch`` put in at ``path``, below an existing mapping."""
        return replace(
            self,
            data=_put(self.data, path, branch.data),
            values={**self.values, **_below(path, branch.values)},
            keys={**self.keys, **_below(path, branch.keys)},
            notes=self.notes + branch.notes,
        )


def _put(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    return {**data, path[0]: _put(data.get(path[0]), path[1:], value)}


def _below(path: Path, positions: Mapping[Path, Position]) -> dict[Path, Position]:
    return {path + inner: position for inner, position in positions.items()}


def dotted(path: Path, data: Any = None) -> str:
    """Write a path the way people do: ``inputs.files[0]``; the data does not matter."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
