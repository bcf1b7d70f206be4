"""``gateway diff``."""

from __future__ import annotations

from collections.abc import Iterable

import click

from gateway.cli.main import app_of
from gateway.cli.options import complete_workflow, json_option
from gateway.cli.output import print_json, talk

_COLOURS = {"@": "cyan", "-": "red", "+": "green"}


@click.command("diff")
@click.argument("left", metavar="WORKFLOW_A", shell_complete=complete_workflow)
@click.argument("right", metavar="WORKFLOW_B", shell_complete=complete_workflow)
@click.option("-q", "--brief", is_flag=True, help="Say of files only that they differ.")
@click.option(
    "-u",
    "-U",
    "--unified",
    "context_lines",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Lines of context around differences in files.",
)
@json_option
@click.pass_context
def diff_command(
    context: click.Context, left: str, right: str, brief: bool, context_lines: int, as_json: bool
) -> None:
    """Compare two workflows: specifications, parameters, files of the workspaces.

    Example: gateway diff fit.1 fit.2 -q
    """
    found = app_of(context).mine.comparisons.of(left, right, brief=brief, context=context_lines)
    if as_json:
        print_json({"specification": found.specification, "workspaces": found.workspaces})
        return
    for section, lines in found.specification.items():
        if lines:
            _show(f"differences in {section}", lines)
    if found.workspaces:
        _show("differences in the workspaces", found.workspaces.split("\n"))
    if not found.workspaces and not any(found.specification.values()):
        talk("no differences")


def _show(title: str, lines: Iterable[str]) -> None:
    click.secho(f"==> {title}", bold=True)
    for line in lines:
        colour = _COLOURS.get(line[:1])
        click.echo(click.style(line, fg=colour) if colour else line)
