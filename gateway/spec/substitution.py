"""Filling parameters into commands, by the rules of REANA's serial engine.

Those are the rules of Python's ``string.Template``: ``$name`` and ``${name}`` become
``str(value)``, unquoted; ``$$`` becomes ``$``; anything else after a ``$`` is an error. Only
commands are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any

from gateway.documents.nearest import did_you_mean
from gateway.errors import SpecError

_SHELL_VARIABLE = re.compile(r"\$(\{[^}\n]*\}?|[0-9?@*#!$-])")


def effective(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters or options of the document with those given at start laid over them."""
    return {**base, **over}


def substitute(command: str, parameters: Mapping[str, Any]) -> str:
    """Return the command with parameters filled in, raw, as Python writes their values.

    Raises
    ------
    SpecError
        If a ``$`` in the command cannot be resolved; ``problems`` lists all of them.
    """
    problems = flaws(command, parameters)
    if problems:
        raise SpecError("the parameters of a command cannot be filled in", problems=problems)
    return Template(command).substitute(parameters)


def names(command: str) -> frozenset[str]:
    """Return the names of the parameters that a command uses."""
    found = (match["named"] or match["braced"] for match in _matches(command))
    return frozenset(name for name in found if name)


def flaws(command: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what stands in the way of filling in the parameters, one sentence each."""
    sentences = []
    for match in _matches(command):
        name = match["named"] or match["braced"]
        if match["invalid"] is not None:
            sentences.append(_line(command, match) + _malformed(command, match.start()))
        elif name and name not in parameters:
            sentences.append(_line(command, match) + _unknown(match[0], name, parameters))
    return tuple(dict.fromkeys(sentences))


def _matches(command: str) -> Iterator[re.Match[str]]:
    return Template.pattern.finditer(command)


def _line(command: str, match: re.Match[str]) -> str:
    """Say which line, where a command has several."""
    if "\n" not in command.rstrip("\n"):
        return ""
    return f"its line {command.count(chr(10), 0, match.start()) + 1}: "


def _unknown(written: str, name: str, parameters: Mapping[str, Any]) -> str:
    near = did_you_mean(name, parameters)
    shell = f"; for a variable of the shell write ${written}"
    return f"{written} is not an input parameter{near}{'' if near else shell}"


def _malformed(command: str, start: int) -> str:
    if command.startswith("$(", start):
        return "$( is not a parameter; for a command substitution of the shell write $$("
    shell = _SHELL_VARIABLE.match(command, start)
    if shell:
        return f"{shell[0]} is not a parameter; for a variable of the shell write ${shell[0]}"
    return "a single $ begins a parameter; for the character itself write $$"
