"""Whether a loaded specification can be run with given parameters and options, all at once.

Whether the site has the backends, and whether input files exist, others check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway.documents.nearest import did_you_mean
from gateway.documents.printable import printable
from gateway.errors import SpecError
from gateway.spec import advice
from gateway.spec.languages import not_yet
from gateway.spec.load import LoadedSpec
from gateway.spec.options import option_problems, step_problems
from gateway.spec.places import command_path, step_label
from gateway.spec.specification import Step
from gateway.spec.substitution import effective, flaws, substitute

MAX_COMMAND_BYTES = 100 * 1024
"""Linux takes one argument of at most 128 KiB (``MAX_ARG_STRLEN``); the rest is for our words."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; lines are ready for people."""

    name: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def raise_for_errors(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        SpecError
            If there are errors.
        """
        if self.errors:
            raise SpecError(f"{self.name} cannot be run", problems=self.errors)


def validate(
    loaded: LoadedSpec,
    parameters: Mapping[str, Any] = _NOTHING,
    options: Mapping[str, Any] = _NOTHING,
    *,
    workspace_roots: Collection[str] = (),
) -> Report:
    """Check a specification as it would be started.

    Parameters
    ----------
    loaded
        The specification.
    parameters, options
        Given at start; they go before those of the document.
    workspace_roots
        Values of ``workspace.root_path`` that the site allows.
    """
    language = loaded.specification.type
    waiting = not_yet(language)
    if waiting:
        line = f"{loaded.document.prefix(('workflow', 'type'))}workflow.type: {waiting}"
        return Report(loaded.name, (line,), loaded.warnings)
    errors = (
        *_unknown_parameters(loaded, parameters),
        *_wrong_options(loaded, options),
        *_root_path(loaded, workspace_roots),
        *_commands(loaded, parameters),
    )
    warnings = (*loaded.warnings, *advice.remarks(loaded, effective_options(loaded, options)))
    return Report(loaded.name, _lines(errors), _lines(warnings))


def _lines(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(printable(line) for line in found))


def effective_options(loaded: LoadedSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document's options with those given at start laid over them."""
    return effective(loaded.specification.inputs.options, options)


def _unknown_parameters(loaded: LoadedSpec, parameters: Mapping[str, Any]) -> Iterator[str]:
    known = loaded.specification.inputs.parameters
    for name in parameters:
        if name not in known:
            listed = f"; inputs.parameters has {', '.join(known) or 'none'}"
            near = did_you_mean(str(name), known)
            yield f"parameter {name}: is not in inputs.parameters of {loaded.name}{near or listed}"


def _wrong_options(loaded: LoadedSpec, options: Mapping[str, Any]) -> Iterator[str]:
    specification = loaded.specification
    asked = effective_options(loaded, options)
    for name, wrong in option_problems(specification.type, asked):
        path = ("inputs", "options", name)
        prefix = "" if name in options else loaded.document.prefix(path, key=True)
        yield f"{prefix}option {name}: {wrong}"
    yield from step_problems(specification.steps, asked)


def _root_path(loaded: LoadedSpec, allowed: Collection[str]) -> Iterator[str]:
    root = loaded.specification.root_path
    if root is not None and root not in allowed:
        prefix = loaded.document.prefix(("workspace", "root_path"))
        yield (
            f"{prefix}workspace.root_path: '{root}' is not a place for workspaces here; "
            "remove it, the site decides where workspaces lie"
        )


def _commands(loaded: LoadedSpec, parameters: Mapping[str, Any]) -> Iterator[str]:
    values = effective(loaded.specification.inputs.parameters, parameters)
    for step in loaded.specification.steps:
        for index, command in enumerate(step.commands):
            place = _place(loaded, step, index)
            for problem in flaws(command, values) or _unfit(substitute(command, values)):
                yield f"{place}: {problem}"


def _place(loaded: LoadedSpec, step: Step, command: int) -> str:
    prefix = loaded.document.prefix(command_path(step.index, command))
    return f"{prefix}{step_label(loaded.document.data, step.index)}, command {command + 1}"


def _unfit(command: str) -> Iterator[str]:
    """Yield why a filled-in command cannot be passed to a shell."""
    if "\0" in command:
        yield "contains a NUL character"
    length = len(command.encode("utf-8", "surrogatepass"))
    if length > MAX_COMMAND_BYTES:
        yield (
            f"is {length // 1024} KiB long, at most {MAX_COMMAND_BYTES // 1024} KiB are possible; "
            "put it into a script"
        )
    if any("\ud800" <= character <= "\udfff" for character in command):
        yield "contains half a character (a lone surrogate)"
