"""Options that several commands share, spelled as in ``reana-client``."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, nan
from typing import Any, TypeVar

import click

from gateway.errors import UsageError
from gateway.vocabulary.units import parse_seconds

Command = TypeVar("Command", bound=Callable[..., Any])


def workflow_argument(command: Command) -> Command:
    """Take the workflow as an argument, as ``-w``, or from ``REANA_WORKON``."""
    command = click.argument(
        "asked", required=False, metavar="[WORKFLOW]", shell_complete=complete_workflow
    )(command)
    return workflow_option(command)


def workflow_option(command: Command) -> Command:
    """Take the workflow as ``-w`` or from ``REANA_WORKON``."""
    return click.option(
        "-w",
        "--workflow",
        envvar="REANA_WORKON",
        default="",
        shell_complete=complete_workflow,
        help="Name, name.run or id of the workflow; default: $REANA_WORKON.",
    )(command)


def the_workflow(asked: str | None, option: str) -> str:
    """Return the workflow that was named, in whichever way.

    Raises
    ------
    UsageError
        If none was.
    """
    name = asked or option
    if not name:
        raise UsageError(
            "no workflow was named",
            hint="use -w NAME, or set REANA_WORKON; `gateway list` shows what there is",
        )
    return name


def complete_workflow(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Offer the names of workflows to the shell."""
    from gateway.composition.app import App
    from gateway.errors import GatewayError
    from gateway.vocabulary.states import WorkflowStatus

    if context.find_root().params.get("host"):
        return []
    app = context.find_root().obj or App()
    try:
        listed = app.views.listed([s for s in WorkflowStatus if s is not WorkflowStatus.DELETED])
    except GatewayError:
        return []
    names = [workflow.full_name for workflow, _ in listed]
    return [name for name in names if name.startswith(incomplete)]


def seconds(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """Read a number of seconds; what never ends is said by leaving the option out."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = nan
    if not isfinite(number) or number < 0:
        raise click.BadParameter(f"{value!r} is not a number of seconds, 0 or more")
    return number


def duration(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """Read a duration such as ``90d``, ``12h`` or ``1d12h``, as seconds."""
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def json_option(command: Command) -> Command:
    """Print JSON instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def parameter_options(command: Command) -> Command:
    """Take ``-p key=value`` and ``-o key=value``."""
    command = click.option(
        "-o",
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Operational option, such as FROM=step or TARGET=step.",
    )(command)
    return click.option(
        "-p",
        "--parameter",
        "parameters",
        multiple=True,
        metavar="KEY=VALUE",
        help="Input parameter, over the one of the specification.",
    )(command)


def pairs(words: tuple[str, ...], option: str) -> dict[str, str]:
    """Read ``key=value`` words.

    Raises
    ------
    UsageError
        If a word has no ``=``.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {word}: write KEY=VALUE")
        found[key] = value
    return found
