"""YAML text to plain data with positions.

Stricter than YAML where YAML surprises: duplicate keys, tags and numbers that JSON cannot carry
are errors; dates and ``12:30`` stay the text that was written. Sizes are bounded, so that a hostile
text costs little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.documents.document import Document, Path, Position
from gateway.documents.printable import printable
from gateway.documents.yaml_errors import explain
from gateway.errors import SpecError

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 60
_MAX_VALUES = 100_000
"""After aliases are followed: a few lines of nested aliases stand for billions of values."""
_TOO_DEEP = f"lists and mappings are nested more than {_MAX_DEPTH} deep"
_TOO_MANY = f"the document holds more than {_MAX_VALUES} values, aliases followed"

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_LEFT_AS_TEXT = (f"{_TAG}timestamp", f"{_TAG}value")


class _ProblemError(Exception):
    """One thing that makes the text unreadable, at one place."""

    def __init__(self, mark: yaml.Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, used down to nodes only."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [pair for pair in pairs if pair[0] not in _LEFT_AS_TEXT]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        if self._depth >= _MAX_DEPTH or self._nodes > _MAX_VALUES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _ProblemError(mark, _TOO_DEEP if self._depth >= _MAX_DEPTH else _TOO_MANY)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def parse_yaml(text: str, name: str) -> Document:
    """Read one YAML document.

    Parameters
    ----------
    text
        The whole text.
    name
        What messages call it: the file name as the user gave it.

    Raises
    ------
    SpecError
        If the text is not one YAML document of plain data; the problem begins with
        ``name:line:column``.
    """
    if len(text) > MAX_BYTES:
        raise unreadable(name, f"{name}: is larger than {MAX_BYTES // 1024} KiB")
    try:
        return _parse(text, name)
    except _ProblemError as problem:
        mark = problem.mark
        line = f"{name}:{mark.line + 1}:{mark.column + 1}: {problem}"
    except yaml.YAMLError as error:
        line = explain(error, text, name)
    raise unreadable(name, line)


def unreadable(name: str, problem: str, hint: str = "") -> SpecError:
    """Return the error for a text that cannot be read at all."""
    return SpecError(f"{name} cannot be read", problems=(printable(problem),), hint=hint)


def _parse(text: str, name: str) -> Document:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return Document(None) if node is None else _Builder(loader, name).document(node)
    finally:
        loader.dispose()


class _Builder:
    """Turns nodes into data; collects positions and notes on the way."""

    def __init__(self, loader: _Loader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._values: dict[Path, Position] = {}
        self._keys: dict[Path, Position] = {}
        self._notes: list[str] = []
        self._open: set[int] = set()

    def document(self, root: yaml.Node) -> Document:
        data = self._value(root, ())
        return Document(data, self._values, self._keys, tuple(dict.fromkeys(self._notes)))

    def _at(self, node: yaml.Node) -> Position:
        mark = node.start_mark
        return Position(self._name, mark.line + 1, mark.column + 1)

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if len(self._values) >= _MAX_VALUES:
            raise _ProblemError(node.start_mark, _TOO_MANY)
        self._values[path] = self._at(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._enter(node)
        data = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else self._sequence(node, path)
        )
        self._open.discard(id(node))
        return data

    def _enter(self, node: yaml.Node) -> None:
        if id(node) in self._open:
            raise _ProblemError(node.start_mark, "contains itself through an alias")
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise _unknown_tag(node)
        self._open.add(id(node))

    def _sequence(self, node: yaml.Node, path: Path) -> list[Any]:
        return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data = {}
        for key, (key_node, value_node) in self._entries(node).items():
            self._keys[(*path, key)] = self._at(key_node)
            data[key] = self._value(value_node, (*path, key))
        return data

    def _entries(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for other in self._merge_sources(value_node):
                    merged = {**self._merged(other), **merged}
                continue
            key = _key(key_node)
            if key in own:
                first = own[key][0].start_mark.line + 1
                raise _ProblemError(
                    key_node.start_mark, f"the key '{key}' is there twice, also in line {first}"
                )
            own[key] = (key_node, value_node)
        return {**merged, **own}

    def _merged(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        self._enter(node)
        entries = self._entries(node)
        self._open.discard(id(node))
        return entries

    def _merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                raise _ProblemError(source.start_mark, "'<<' takes an alias of a mapping")
            yield source

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return _whole_characters(node.value)
        if kind == "null":
            return None
        if kind not in ("bool", "int", "float"):
            raise _unknown_tag(node)
        if ":" in node.value:
            self._note(node, "is kept as text; other readers of YAML 1.1 see a number of base 60")
            return node.value
        return self._number(node, kind)

    def _number(self, node: yaml.ScalarNode, kind: str) -> Any:
        try:
            value = getattr(self._loader, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError) as error:
            raise _ProblemError(
                node.start_mark, f"'{node.value[:40]}' is not a valid {kind}"
            ) from error
        if isinstance(value, float) and not math.isfinite(value):
            message = f"the number {node.value} is not finite; put it in quotes if text is meant"
            raise _ProblemError(node.start_mark, message)
        digits = node.value.lstrip("+-").replace("_", "")
        if kind == "int" and digits.startswith("0") and digits.isdigit() and len(digits) > 1:
            self._note(node, f"is an octal number, {value}; put it in quotes if text is meant")
        return value

    def _note(self, node: yaml.ScalarNode, remark: str) -> None:
        self._notes.append(printable(f"{self._at(node)}: {node.value} {remark}"))


def _key(node: yaml.Node) -> str:
    """Return a key as written: JSON, which carries specifications on, knows text keys only."""
    if not isinstance(node, yaml.ScalarNode):
        raise _ProblemError(node.start_mark, "a key must be text, not a list or a mapping")
    if not node.tag.startswith(_TAG):
        raise _unknown_tag(node)
    return _whole_characters(node.value)


def _whole_characters(text: str) -> str:
    """Join the two halves (surrogates) in which JSON writes a rare character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _unknown_tag(node: yaml.Node) -> _ProblemError:
    tag = node.tag.replace(_TAG, "!!")
    return _ProblemError(
        node.start_mark,
        f"the tag '{tag}' is not understood; put the value in quotes if it begins with '!'",
    )
