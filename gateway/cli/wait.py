"""``gateway wait``."""

from __future__ import annotations

import click

from gateway.cli.follow import follow_to_exit_code, say_end
from gateway.cli.main import app_of
from gateway.cli.options import json_option, seconds, the_workflow, workflow_argument
from gateway.cli.output import print_json
from gateway.service.views import view_data


@click.command("wait")
@workflow_argument
@click.option(
    "--timeout",
    metavar="SECONDS",
    callback=seconds,
    help="Then exit code 7, the workflow goes on; default: no limit.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
@click.pass_context
def wait_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    timeout: float | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Wait for a workflow to end; drive it meanwhile if nothing else does.

    Exit codes: 0 finished, 1 failed, 6 stopped or deleted, 7 timed out, 75 unreachable.

    \b
    Example: gateway wait -w "$ID" --timeout 3600
    """
    app = app_of(context)
    found = app.views.find(the_workflow(asked, workflow))
    view, code = follow_to_exit_code(app, found, "wait", timeout_s=timeout, quiet=quiet)
    if view is None:
        return code
    if as_json:
        print_json(view_data(view))
    elif not quiet:
        say_end(app, view)
    return code
