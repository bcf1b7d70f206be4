"""pydantic's errors as problem lines that a person understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.documents.document import Document, Path, dotted
from gateway.documents.nearest import did_you_mean
from gateway.documents.printable import printable
from gateway.documents.schema import KEY_MARK, Located, Schema

Describe = Callable[[Path, Any], str]
"""Names a place for people, given its path and the whole data."""

_Context = Mapping[str, Any]
_MISSING, _UNKNOWN = "missing", "extra_forbidden"
_WHOLE = ("int_type", "int_parsing", "int_from_float", "int_parsing_size")
_MAPPING = ("dict_type", "model_type", "model_attributes_type", "mapping_type")

_MESSAGES: dict[str, Callable[[_Context, Any], str]] = {
    "string_type": lambda _, value: f"must be text, not {show(value)}{_quotes(value)}",
    "bool_type": lambda _, value: f"must be true or false, not {show(value)}",
    "bool_parsing": lambda _, value: f"must be true or false, not {show(value)}",
    "list_type": lambda _, value: f"must be a list (items begin with '- '), not {show(value)}",
    "tuple_type": lambda _, value: f"must be a list (items begin with '- '), not {show(value)}",
    "path_type": lambda _, value: f"must be a path, not {show(value)}",
    "literal_error": lambda ctx, value: _choice(value, str(ctx["expected"])),
    "enum": lambda ctx, value: _choice(value, str(ctx["expected"])),
    "greater_than_equal": lambda ctx, value: f"must be at least {ctx['ge']}, not {show(value)}",
    "less_than_equal": lambda ctx, value: f"must be at most {ctx['le']}, not {show(value)}",
    "greater_than": lambda ctx, value: f"must be more than {ctx['gt']}, not {show(value)}",
    "less_than": lambda ctx, value: f"must be less than {ctx['lt']}, not {show(value)}",
    "union_tag_not_found": lambda ctx, _: f"the key {ctx['discriminator']} is missing",
    "union_tag_invalid": lambda ctx, _: _wrong_tag(ctx),
    "too_short": lambda _, __: "must not be empty",
    "string_too_short": lambda _, __: "must not be empty",
    "value_error": lambda ctx, _: str(ctx["error"]),
    "assertion_error": lambda ctx, _: str(ctx["error"]),
    **dict.fromkeys(_WHOLE, lambda _, value: f"must be a whole number, not {show(value)}"),
    **dict.fromkeys(_MAPPING, lambda _, value: f"must be a mapping of keys, not {show(value)}"),
}


def translate(
    error: ValidationError,
    model: type[BaseModel],
    document: Document,
    describe: Describe = dotted,
) -> tuple[str, ...]:
    """Return every problem as one line: position, place, what is wrong, what was meant.

    Parameters
    ----------
    error
        What ``model`` said of ``document.data``.
    describe
        How to name a place; the default writes ``inputs.files[0]``.
    """
    schema = Schema(model.model_json_schema())
    found = (
        _problem(details, schema.locate(details["loc"]), document, describe)
        for details in error.errors(include_url=False)
        if not _follows_from_others(details)
    )
    lines = (printable(line) for _, line in sorted(found, key=lambda pair: pair[0]))
    return tuple(dict.fromkeys(lines))


def _problem(
    details: Any, located: Located, document: Document, describe: Describe
) -> tuple[tuple[int, int], str]:
    """Return one problem line with line and column, by which the lines are put in order."""
    path, kind = located.path, details["type"]
    on_key = kind == _UNKNOWN or details["loc"][-1:] == (KEY_MARK,)
    position = document.position(path, key=on_key)
    label = describe(path[:-1] if kind in (_UNKNOWN, _MISSING) else path, document.data)
    parts = (position, label, _message(details, located))
    line = ": ".join(str(part) for part in parts if part)
    return (position.line, position.column) if position else (0, 0), line


def _message(details: Any, located: Located) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == _MISSING:
        return f"the key '{located.path[-1]}' is missing"
    if kind == _UNKNOWN:
        return _unknown_key(str(located.path[-1]), located.siblings)
    make = _MESSAGES.get(kind)
    return make(context, details["input"]) if make else _fallback(details["msg"])


def _follows_from_others(details: Any) -> bool:
    """Whether a list only counts as too short because pydantic left out its wrong items."""
    least = details.get("ctx", {}).get("min_length", 0)
    return bool(details["type"] == "too_short" and len(details["input"]) >= least)


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = did_you_mean(key, known)
    listed = f"; known keys: {', '.join(known)}" if known and not near else ""
    return f"unknown key '{key}'{near or listed}"


def _wrong_tag(context: _Context) -> str:
    key = str(context["discriminator"]).strip("'")
    return f"{key}: {_choice(context['tag'], str(context['expected_tags']))}"


def _choice(value: Any, expected: str) -> str:
    words = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    return f"must be one of {', '.join(words)}, not {show(value)}{near}"


def _fallback(message: str) -> str:
    return message.replace("Input should", "should").replace("Value error, ", "")


def _quotes(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; put the whole text in quotes if it contains ': '"
    return "" if value is None or isinstance(value, list) else "; put it in quotes"


def show(value: Any) -> str:
    """Name a value in a message: short, and in YAML's words rather than Python's."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    short = text if len(text) <= 60 else text[:57] + "..."
    return repr(short) if isinstance(value, str) else short
