"""What ``.gitignore`` and ``.reanaignore`` leave out of directories that are uploaded. Pure.

The rules are those of reana-client: both files are read from the directory of the
specification, the last line that matches a file decides, and a ``!`` line can bring back a
file of a directory that is left out (git would not).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

IGNORE_FILES = (".gitignore", ".reanaignore")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: what it matches, and whether it brings files back."""

    expression: re.Pattern[str]
    includes: bool


def read_rules(lines: Iterable[str]) -> tuple[Rule, ...]:
    """Read the lines of ignore files; comments, blanks and nonsense match nothing."""
    rules = (_rule(line.rstrip("\r\n")) for line in lines)
    return tuple(rule for rule in rules if rule is not None)


def is_ignored(name: str, rules: Iterable[Rule]) -> bool:
    """Say whether a file, relative to the directory of the ignore files, is left out."""
    ignored = False
    for rule in rules:
        if rule.expression.match(name):
            ignored = not rule.includes
    return ignored


def _rule(line: str) -> Rule | None:
    text = _strip_end(line)
    if not text or text.startswith("#"):
        return None
    includes = text.startswith("!")
    pattern = text.removeprefix("!") if includes else text
    if not pattern.strip("/"):
        return None
    return Rule(re.compile(_expression(pattern), re.DOTALL), includes)


def _strip_end(line: str) -> str:
    """Drop blanks at the end, unless the last one is quoted with a backslash."""
    text = line.rstrip(" \t")
    slashes = len(text) - len(text.rstrip("\\"))
    return line[: len(text) + 1] if slashes % 2 and len(text) < len(line) else text


def _expression(pattern: str) -> str:
    """Translate one pattern as gitignore(5) describes it."""
    only_directories = pattern.endswith("/")
    anchored = "/" in pattern.rstrip("/")
    parts = [part for part in pattern.strip("/").split("/") if part]
    expression = "" if anchored else "(?:.+/)?"
    for position, part in enumerate(parts):
        is_last = position == len(parts) - 1
        if part == "**":
            expression += ".+" if is_last else "(?:.+/)?"
        else:
            expression += _component(part) + ("" if is_last else "/")
    return f"^{expression}{'/.*' if only_directories else '(?:/.*)?'}$"


def _component(part: str) -> str:
    """Translate one component: ``*``, ``?``, ``[...]`` and backslash; the rest is literal."""
    expression, at = "", 0
    while at < len(part):
        letter = part[at]
        at += 1
        if letter == "*":
            expression += "[^/]*" if not expression.endswith("[^/]*") else ""
        elif letter == "?":
            expression += "[^/]"
        elif letter == "\\" and at < len(part):
            expression += re.escape(part[at])
            at += 1
        elif letter == "[" and (end := _class_end(part, at)) is not None:
            expression += _class(part[at:end])
            at = end + 1
        else:
            expression += re.escape(letter)
    return expression


def _class_end(part: str, at: int) -> int | None:
    """Return the position of the bracket that ends a class, if one does."""
    start = at + 1 if part[at : at + 1] in ("!", "^") else at
    end = part.find("]", start + 1)
    return None if end < 0 else end


def _class(inside: str) -> str:
    negated = inside[:1] in ("!", "^")
    body = (inside[1:] if negated else inside).replace("\\", "\\\\")
    body = body.replace("[", "\\[").replace("]", "\\]").replace("^", "\\^")
    candidate = f"[{'^/' if negated else ''}{body}]"
    try:
        re.compile(candidate)
    except re.error:
        return "(?!)"
    return candidate
