"""``gateway validate``."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, talk
from gateway.cli.run import say_warnings, specification_options
from gateway.errors import SpecError
from gateway.service.order import Order
from gateway.spec.inputs import missing_lines


@click.command("validate")
@specification_options
@json_option
@click.pass_context
def validate_command(
    context: click.Context,
    path: Path,
    order: Order,
    as_json: bool,
) -> None:
    """Check a specification against this site; show all problems at once.

    Example: gateway validate reana.yaml -p events=1000
    """
    app = app_of(context)
    absent = missing_lines(order.loaded, path.resolve().parent)
    try:
        warnings = app.workflows.check(order)
    except SpecError as error:
        raise SpecError(error.message, problems=(*error.problems, *absent)) from error
    if absent:
        raise SpecError(f"{path} cannot be run here", problems=absent)
    if as_json:
        print_json({"valid": True, "warnings": list(warnings)})
        return
    say_warnings(warnings)
    talk(f"{path} is valid")
