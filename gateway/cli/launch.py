"""``gateway launch``."""

from __future__ import annotations

import click

from gateway.cli.follow import follow_to_exit_code, say_end
from gateway.cli.main import app_of
from gateway.cli.options import json_option, pairs
from gateway.cli.output import print_json, talk
from gateway.errors import ExitCode
from gateway.service.views import Progress, workflow_data


@click.command("launch")
@click.argument("url")
@click.option("-w", "-n", "--name", default="", help="Name; default: that of the repository.")
@click.option("-f", "--file", "specification", default="", help="Specification file in it.")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Input parameter, over the one of the specification.",
)
@click.option("--follow", is_flag=True, help="Follow it to its end.")
@json_option
@click.pass_context
def launch_command(
    context: click.Context,
    url: str,
    name: str,
    specification: str,
    parameters: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> int:
    """Create and start a workflow from a git repository, an archive or a specification.

    The URL is http or https: a repository (`.../tree/BRANCH` for a branch or tag), a zip or tar
    file, or a reana.yaml. Prints the name of the workflow.

    Example: gateway launch https://github.com/reanahub/reana-demo-helloworld
    """
    from gateway.service.launch import LaunchOrder

    app = app_of(context)
    order = LaunchOrder(url, name, pairs(parameters, "-p"), specification)
    launched = app.mine.launcher.launch(order)
    for warning in launched.warnings:
        talk(f"Warning: {warning}")
    if as_json:
        print_json(workflow_data(launched.workflow, Progress(0)))
    else:
        click.echo(launched.workflow.full_name)
    if not follow:
        return int(ExitCode.OK)
    view, code = follow_to_exit_code(app, launched.workflow, "launch", timeout_s=None, quiet=False)
    if view is not None:
        say_end(app, view)
    return code
