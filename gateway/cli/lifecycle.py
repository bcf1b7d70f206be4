"""``gateway create``, ``start``, ``restart``, ``stop``, ``delete``."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.driven import say_if_nobody_drives
from gateway.cli.follow import follow_to_exit_code, say_end
from gateway.cli.main import app_of
from gateway.cli.options import (
    json_option,
    pairs,
    parameter_options,
    the_workflow,
    workflow_argument,
)
from gateway.cli.output import print_json, talk
from gateway.cli.run import creation_options, say_warnings
from gateway.composition.app import App
from gateway.errors import ExitCode
from gateway.service.order import Order
from gateway.service.views import Progress, workflow_data
from gateway.spec.inputs import missing_inputs
from gateway.spec.load import load_file, restore
from gateway.vocabulary.records import Workflow


def _print(workflow: Workflow, *, as_json: bool) -> None:
    if as_json:
        print_json(workflow_data(workflow, Progress(0)))
    else:
        click.echo(workflow.full_name)


def _follow_if(app: App, workflow: Workflow, *, follow: bool) -> int:
    if not follow:
        say_if_nobody_drives(app)
        return int(ExitCode.OK)
    view, code = follow_to_exit_code(app, workflow, "start", timeout_s=None, quiet=False)
    if view is not None:
        say_end(app, view)
    return code


follow_option = click.option("--follow", is_flag=True, help="Follow it to its end.")


@click.command("create")
@creation_options
@json_option
@click.pass_context
def create_command(
    context: click.Context,
    path: Path,
    order: Order,
    as_json: bool,
) -> None:
    """Create a workflow with an empty workspace; print its name.

    \b
    Example: gateway create -w fit -f reana.yaml && gateway upload -w fit
    """
    app = app_of(context)
    say_warnings(app.workflows.check(order))
    workflow = app.workflows.create(order)
    app.mine.staging.keep_specification(workflow, path)
    _print(workflow, as_json=as_json)


@click.command("start")
@workflow_argument
@parameter_options
@follow_option
@json_option
@click.pass_context
def start_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    parameters: tuple[str, ...],
    options: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> int:
    """Start a workflow that was created.

    Example: gateway start -w fit -p events=1000 --follow
    """
    app = app_of(context)
    name = the_workflow(asked, workflow)
    started = app.workflows.start(name, pairs(parameters, "-p"), pairs(options, "-o"))
    absent = missing_inputs(restore(started.specification), Path(started.workspace))
    if absent:
        names = ", ".join(each.path for each in absent[:10])
        talk(f"Warning: declared inputs are not in the workspace: {names}")
    _print(started, as_json=as_json)
    return _follow_if(app, started, follow=follow)


@click.command("restart")
@workflow_argument
@parameter_options
@click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A changed specification.",
)
@follow_option
@json_option
@click.pass_context
def restart_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    parameters: tuple[str, ...],
    options: tuple[str, ...],
    file: Path | None,
    follow: bool,
    as_json: bool,
) -> int:
    """Run an ended workflow again in its workspace: 3 becomes 3.1.

    Example: gateway restart -w fit.3 -o FROM=fitdata
    """
    app = app_of(context)
    loaded = load_file(file) if file else None
    name = the_workflow(asked, workflow)

    def keep(former: Workflow) -> None:
        if file:
            app.mine.staging.keep_specification(former, file)

    again = app.workflows.restart(
        name, pairs(parameters, "-p"), pairs(options, "-o"), loaded, before=keep
    )
    _print(again, as_json=as_json)
    return _follow_if(app, again, follow=follow)


@click.command("stop")
@workflow_argument
@click.option("--force", is_flag=True, help="Accepted for the habit's sake; stop always stops.")
@click.option("--wait", "wait", is_flag=True, help="Return when everything has ended.")
@json_option
@click.pass_context
def stop_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    force: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Stop a workflow: its jobs are removed from the scheduler.

    The wish is written down and carried out until the scheduler confirms.

    Example: gateway stop -w fit.3 --wait
    """
    del force
    app = app_of(context)
    stopped = app.workflows.stop(the_workflow(asked, workflow))
    if as_json:
        print_json(workflow_data(stopped, Progress(0)))
    else:
        talk(f"{stopped.full_name} is being stopped")
    if wait:
        follow_to_exit_code(app, stopped, "stop", timeout_s=None, quiet=False)
    else:
        say_if_nobody_drives(app)
    return int(ExitCode.OK)


@click.command("delete")
@workflow_argument
@click.option("--include-all-runs", is_flag=True, help="All runs of this name.")
@click.option(
    "--include-workspace", is_flag=True, help="Accepted for the habit's sake; always done."
)
@json_option
@click.pass_context
def delete_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    include_all_runs: bool,
    include_workspace: bool,
    as_json: bool,
) -> None:
    """Delete a workflow and its workspace, unless another run still uses that.

    Example: gateway delete -w fit --include-all-runs
    """
    del include_workspace
    name = the_workflow(asked, workflow)
    deleted = app_of(context).workflows.delete(name, all_runs=include_all_runs)
    if as_json:
        print_json([workflow_data(each, Progress(0)) for each in deleted])
    else:
        talk(f"deleted: {', '.join(each.full_name for each in deleted) or 'nothing'}")
