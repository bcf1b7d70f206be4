"""Loading a specification: everything that is wrong with the document itself, at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from gateway.documents.document import Document
from gateway.documents.document import Path as DataPath
from gateway.documents.printable import printable
from gateway.errors import SpecError
from gateway.spec.places import STEPS, describe
from gateway.spec.specification import Specification

_SECTIONS = ("inputs", "outputs", "tests", "workspace")
_MAX_DEPTH = 60
_TOO_DEEP = f"lists and mappings are nested {_MAX_DEPTH} deep"
_NAMELESS = "the specification"


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A specification with what is needed to speak about it.

    Parameters
    ----------
    specification
        Complete and well formed; whether its commands can be filled in, ``validate`` says.
    warnings
        Remarks on the document.
    document
        Data and positions, for the problem lines of ``validate``.
    name
        What messages call it.
    """

    specification: Specification
    warnings: tuple[str, ...]
    document: Document
    name: str


def load_file(path: Path, *, called: str | None = None) -> LoadedSpec:
    """Read reana.yaml; a serial workflow in a file of its own is taken in.

    Parameters
    ----------
    path
        The file.
    called
        What messages call it; default: as given.

    Raises
    ------
    SpecError
        If it cannot be read or is wrong; ``problems`` holds ``reana.yaml:12:5: ...`` lines.
    """
    from gateway.documents.reading import read_document

    name = called or str(path)
    document = read_document(path, name, if_absent="name the file with -f, or go to its directory")
    if document.data is None:
        raise SpecError(f"{name} is not valid", problems=(f"{name}: is empty",))
    return _load(_with_steps_file(_without_blanks(document), path, name), name)


def load_data(data: Mapping[str, Any]) -> LoadedSpec:
    """Read a specification that came as JSON.

    Raises
    ------
    SpecError
        If it is wrong; ``problems`` names places such as ``inputs.files[0]``.
    """
    return _load(_without_blanks(Document(data)), _NAMELESS)


def restore(raw: Mapping[str, Any]) -> Specification:
    """Return the specification whose ``raw`` was stored.

    Raises
    ------
    SpecError
        If it is wrong by the rules of this version.
    """
    return _specification(Document(raw), _NAMELESS)


def _load(document: Document, name: str) -> LoadedSpec:
    document = _with_text_version(document)
    return LoadedSpec(_specification(document, name), document.notes, document, name)


def _specification(document: Document, name: str) -> Specification:
    from pydantic import ValidationError

    from gateway.documents.validation import translate
    from gateway.spec.build import build, model_for

    problems = tuple(_unfit_values(document))
    model = model_for(document.data)
    try:
        checked = model.model_validate(document.data)
    except ValidationError as error:
        problems += translate(error, model, document, describe)
    if problems:
        raise SpecError(f"{name} is not valid", problems=problems)
    return build(checked, document.data)


def _without_blanks(document: Document) -> Document:
    """Drop sections and lists with nothing in them (``inputs:``): REANA's replies know no null."""
    if not isinstance(document.data, Mapping):
        return document
    given = document.data.items()
    data = {key: value for key, value in given if value is not None or key not in _SECTIONS}
    for key in _SECTIONS:
        if isinstance(data.get(key), Mapping):
            data[key] = {name: value for name, value in data[key].items() if value is not None}
    return replace(document, data=data)


def _with_text_version(document: Document) -> Document:
    """Write ``version: 0.9`` as text: REANA's client refuses a number in replies."""
    version = document.data.get("version") if isinstance(document.data, Mapping) else None
    if not isinstance(version, int | float) or isinstance(version, bool):
        return document
    return replace(document, data={**document.data, "version": str(version)})


def _with_steps_file(document: Document, path: Path, name: str) -> Document:
    """Take the steps from the file that ``workflow.file`` names, if they stand there."""
    from gateway.documents.reading import read_document
    from gateway.spec.paths import file_path

    workflow = document.data.get("workflow") if isinstance(document.data, Mapping) else None
    if not isinstance(workflow, Mapping) or workflow.get("type") != "serial":
        return document
    named = workflow.get("file")
    if workflow.get("specification") is not None or not isinstance(named, str):
        return document
    try:
        file = file_path(named)
    except ValueError:
        return document
    try:
        steps = read_document(path.parent / file, str(Path(name).parent / file))
    except SpecError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        place = document.prefix(("workflow", "file"))
        why = f"workflow.file: {named} cannot be read: {error.__cause__.strerror}"
        raise SpecError(
            f"{name} is not valid",
            problems=(printable(f"{place}{why}"),),
            hint=f"correct workflow.file, whose path begins in the directory of {Path(name).name}, "
            "or write the steps below workflow.specification",
        ) from error
    return document.graft(STEPS[:-1], steps)


def _unfit_values(document: Document) -> Iterator[str]:
    """Yield a problem for every value that no file, command or database can carry."""
    pending: list[tuple[DataPath, Any]] = [((), document.data)]
    while pending:
        path, value = pending.pop()
        problem = _unfit(value) if len(path) < _MAX_DEPTH else _TOO_DEEP
        if problem:
            yield printable(f"{document.prefix(path)}{describe(path, document.data)}: {problem}")
        elif isinstance(value, Mapping):
            pending += [(path, str(key)) for key in value]
            pending += [((*path, str(key)), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            pending += [((*path, index), inner) for index, inner in enumerate(value)]


def _unfit(value: Any) -> str:
    if isinstance(value, float) and not isfinite(value):
        return "is not a finite number"
    if not isinstance(value, str):
        return ""
    if "\0" in value:
        return "contains a NUL character"
    half = any("\ud800" <= character <= "\udfff" for character in value)
    return "contains half a character (a lone surrogate)" if half else ""
