"""Operational options: which exist for a language, and what FROM and TARGET select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.documents.nearest import did_you_mean
from gateway.errors import SpecError
from gateway.spec.specification import Step

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "serial": ("CACHE", "FROM", "TARGET"),
    "cwl": ("TARGET",),
    "yadage": ("toplevel", "initdir", "initfiles", "accept_metadir"),
    "snakemake": ("report",),
}
"""Names as in reana-commons ``validation/operational_options.py``."""


def selected_steps(steps: Sequence[Step], options: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps from ``FROM`` to ``TARGET``, both included; all without these options.

    Raises
    ------
    SpecError
        If one names no step or several, or ``FROM`` stands after ``TARGET``.
    """
    problems = step_problems(steps, options)
    if problems:
        raise SpecError("the options cannot be followed", problems=problems)
    first, last = _ends(steps, options)
    return tuple(steps[first : last + 1])


def option_problems(language: str, options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the options that the language does not have, each with what is wrong."""
    return tuple(
        (name, _foreign(language, name)) for name in options if name not in OPTIONS[language]
    )


def step_problems(steps: Sequence[Step], options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with ``FROM`` and ``TARGET``."""
    problems = [
        f"option {name}: {wrong}"
        for name in ("FROM", "TARGET")
        if name in options and (wrong := _wrong_step(steps, str(options[name])))
    ]
    if not problems:
        first, last = _ends(steps, options)
        if first > last:
            names = f"'{steps[first].name}' comes after TARGET, step '{steps[last].name}'"
            problems = [f"option FROM: step {names}"]
    return tuple(problems)


def _foreign(language: str, name: str) -> str:
    owners = [other for other, names in OPTIONS.items() if name in names]
    if owners:
        return f"is for {' and '.join(owners)} workflows, not for {language} ones"
    known = OPTIONS[language]
    listed = f"; {language} workflows know {', '.join(known)}"
    return f"is not an option{did_you_mean(name, known) or listed}"


def _places(steps: Sequence[Step], name: str) -> list[int]:
    return [place for place, step in enumerate(steps) if step.name.casefold() == name.casefold()]


def _wrong_step(steps: Sequence[Step], name: str) -> str:
    places = _places(steps, name)
    if len(places) == 1:
        return ""
    if places:
        return f"{len(places)} steps are called '{name}'; give them different names"
    names = [step.name for step in steps]
    return f"there is no step '{name}'{did_you_mean(name, names) or '; steps: ' + ', '.join(names)}"


def _ends(steps: Sequence[Step], options: Mapping[str, Any]) -> tuple[int, int]:
    first = _places(steps, str(options["FROM"]))[0] if "FROM" in options else 0
    last = _places(steps, str(options["TARGET"]))[0] if "TARGET" in options else len(steps) - 1
    return first, last
