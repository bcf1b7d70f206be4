"""What is wrong with a YAML text, in words for people who never read YAML's grammar."""

from __future__ import annotations

import re
from typing import Any

import yaml

_CONTINUED = "the indentation does not fit the lines above, or a quote or bracket is missing"

_IN_CONTEXT = (
    ("while scanning an alias", "'*' begins an alias in YAML; put the value in quotes"),
    ("while scanning an anchor", "'&' begins an anchor in YAML; put the value in quotes"),
    ("while scanning a directive", "'%' may not begin a line; put the value in quotes"),
    ("while scanning a tag", "'!' begins a tag in YAML; put the value in quotes"),
    ("while parsing a tag", "'!' begins a tag in YAML; put the value in quotes"),
    (
        "while scanning a block scalar",
        "after '|' or '>' the text begins in a new line, indented",
    ),
)
_PROBLEMS = (
    ("mapping values are not allowed", "a ':' is not allowed here; put the value in quotes if it "
     "contains ': ', and check the indentation"),
    ("could not find expected ':'", "a ':' is missing after the key"),
    ("found unknown escape character", "a '\\' in double quotes begins an escape; write '\\\\' or "
     "use single quotes"),
    ("found duplicate anchor", "the anchor is defined twice"),
    ("expected '<document start>'", _CONTINUED),
    ("expected <block end>", _CONTINUED),
    ("expected the node content", "a value is missing here"),
    ("expected a single document", "a second document begins here ('---'); only one is allowed"),
    ("block sequence entries are not allowed", "a list item '- ' is not allowed here; begin the "
     "list in a line of its own, indented"),
    ("sequence entries are not allowed", "a list item '- ' is not allowed here; begin the list in "
     "a line of its own, indented"),
    ("mapping keys are not allowed", "a '?' is not allowed here; put the value in quotes"),
)  # fmt: skip


def explain(error: yaml.YAMLError, text: str, name: str) -> str:
    """Return one problem line for an error of PyYAML."""
    if isinstance(error, yaml.reader.ReaderError):
        return _unprintable(error, text, name)
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{name}: is not YAML"
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"{name}: is not YAML: {error.problem}"
    tab = _tab_line(text, mark.line)
    if tab is not None:
        return f"{name}:{tab}:1: line {tab} is indented with a tab; YAML wants spaces"
    return f"{name}:{mark.line + 1}:{mark.column + 1}: {_words(error)}"


def _unprintable(error: yaml.reader.ReaderError, text: str, name: str) -> str:
    before = text[: error.position]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return f"{name}:{line}:{column}: the character U+{code:04X} is not allowed in YAML"


def _tab_line(text: str, failed: int) -> int | None:
    """Return the number of a tab-indented line at or just before the failure, counted from 1."""
    lines = text.splitlines()
    for index in (failed, failed - 1):
        if 0 <= index < len(lines) and re.match(r" *\t\s*\S", lines[index]):
            return index + 1
    return None


def _words(error: yaml.MarkedYAMLError) -> str:
    context, problem = error.context or "", error.problem or ""
    for begins, words in _IN_CONTEXT:
        if context.startswith(begins):
            return words
    for part, words in _PROBLEMS:
        if part in f"{context} {problem}":
            return words
    return _open_ended(error) or _single_character(problem) or f"is not YAML: {problem}"


def _open_ended(error: yaml.MarkedYAMLError) -> str:
    began = f"(it begins in line {error.context_mark.line + 1})" if error.context_mark else ""
    context = error.context or ""
    if "quoted scalar" in context:
        return f"a quoted text is not closed {began}"
    if "flow" in context:
        bracket = "]" if "sequence" in context else "}"
        return f"a '{bracket}' or ',' is missing {began}; put the value in quotes if it is text"
    return ""


def _single_character(problem: str) -> str:
    alias = re.match(r"found undefined alias '?([^']*)'?", problem)
    if alias:
        return f"the alias *{alias[1]} is not defined above; put the value in quotes if it is text"
    start = re.match(r"found character (.+) that cannot start any token", problem)
    return f"a value may not begin with {_readable(start[1])}; put it in quotes" if start else ""


def _readable(shown: Any) -> str:
    return "a tab" if "\\t" in shown else str(shown)
