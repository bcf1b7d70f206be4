"""Whether the inputs that a specification declares are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import SpecError
from gateway.spec.load import LoadedSpec
from gateway.spec.specification import Specification

MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Missing:
    """An input that is not there, or not as what it is listed as.

    Parameters
    ----------
    kind, index
        ``files`` or ``directories``, and the place in that list.
    """

    kind: str
    index: int
    path: str
    wrong: str

    @property
    def words(self) -> str:
        """What is wrong, with the place in the document."""
        return f"inputs.{self.kind}[{self.index}]: {self.path} {self.wrong}"


def missing_inputs(specification: Specification, base: Path) -> tuple[Missing, ...]:
    """Return the inputs that do not exist below ``base`` as what they are listed as."""
    inputs = specification.inputs
    kinds = (
        ("files", inputs.files, Path.is_file, "file", "directories"),
        ("directories", inputs.directories, Path.is_dir, "directory", "files"),
    )
    found = []
    for kind, paths, is_right, noun, other in kinds:
        for index, path in enumerate(paths):
            if not _is(is_right, base / path):
                there = _is(Path.exists, base / path)
                wrong = f"is no {noun}: list it under inputs.{other}" if there else "does not exist"
                found.append(Missing(kind, index, path, wrong))
    return tuple(found)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:
        return False


def missing_lines(loaded: LoadedSpec, base: Path) -> tuple[str, ...]:
    """Return a line for each input that is not there, with its place in the file."""
    return tuple(
        loaded.document.prefix(("inputs", each.kind, each.index)) + each.words
        for each in missing_inputs(loaded.specification, base)
    )


def require_inputs(loaded: LoadedSpec, base: Path) -> None:
    """Refuse a specification whose declared inputs do not exist, before anything is made.

    Raises
    ------
    SpecError
        With a line for each of them.
    """
    lines = missing_lines(loaded, base)
    if lines:
        more = f"; {len(lines)} are missing in all" if len(lines) > MOST_NAMED else ""
        raise SpecError(
            f"declared inputs are not there below {base}",
            problems=lines[:MOST_NAMED],
            hint=f"paths under `inputs` are relative to the specification file{more}",
        )
