"""``gateway run`` and ``gateway submit``: from a specification to a started workflow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.driven import say_if_nobody_drives
from gateway.cli.follow import follow_to_exit_code, say_end
from gateway.cli.main import app_of
from gateway.cli.options import json_option, pairs, parameter_options, seconds
from gateway.cli.output import counted, print_json, talk
from gateway.cli.transfer_line import TransferLine
from gateway.composition.app import App
from gateway.errors import GatewayError, UsageError
from gateway.service.order import Order, require_same
from gateway.service.views import view_data
from gateway.spec.inputs import require_inputs
from gateway.spec.load import LoadedSpec, load_file
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import WorkflowStatus
from gateway.vocabulary.units import show_bytes

if TYPE_CHECKING:
    from gateway.workspace.staging import Staged

DEFAULT_NAMES = ("reana.yaml", "reana.yml")


def specification_path(argument: Path | None, option: Path | None) -> Path:
    """Return the specification file: the one given, or the usual name in this directory.

    Raises
    ------
    UsageError
        If there is none, or more than one.
    """
    given = argument or option
    if argument and option and argument != option:
        raise UsageError(
            f"two specification files are named: {argument} and -f {option}", hint="name one"
        )
    if given is not None:
        return given
    found = [Path(name) for name in DEFAULT_NAMES if Path(name).exists()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError("both reana.yaml and reana.yml are here", hint="name one with -f")
    raise UsageError("there is no reana.yaml in this directory", hint="name a file with -f")


def specification_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take what describes a workflow, and pass it on as ``path`` and ``order``."""

    @functools.wraps(command)
    def read(*args: Any, name: str = "", key: str | None = None, **given: Any) -> Any:
        own = {word: given.pop(word) for word in _SPECIFICATION_WORDS}
        path = specification_path(own["file"], own["option_file"])
        order = Order(
            loaded=load_file(path),
            name=name,
            key=key,
            parameters=pairs(own["parameters"], "-p"),
            options=pairs(own["options"], "-o"),
            cluster=own["cluster"],
        )
        return command(*args, path=path, order=order, **given)

    described: Callable[..., Any] = parameter_options(read)
    for option in (
        click.option("--cluster", help="Cluster for steps that name no compute_backend."),
        click.option(
            "-f",
            "--file",
            "option_file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Specification file; default reana.yaml.",
        ),
        click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path)),
    ):
        described = option(described)
    return described


_SPECIFICATION_WORDS = ("file", "option_file", "cluster", "parameters", "options")


def creation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take what describes a new workflow, its name and key among it."""
    described = specification_options(command)
    for option in (
        click.option("--key", help="Idempotency key: the same call again is the same workflow."),
        click.option("-n", "-w", "--name", default="", help="Name of the workflow."),
    ):
        described = option(described)
    return described


def say_warnings(warnings: tuple[str, ...]) -> None:
    """Show what is allowed and yet worth a look."""
    for warning in warnings:
        talk(click.style("Warning: ", fg="yellow") + warning)


def _started(app: App, path: Path, order: Order) -> Workflow:
    """Create a workflow, bring its inputs in and start it; safe to repeat with the same key."""
    base = path.resolve().parent
    require_inputs(order.loaded, base)
    say_warnings(app.workflows.check(order))
    created = app.workflows.create(order)
    with app.mine.staging.turn(created, _say_wait) as workflow:
        if workflow.status is not WorkflowStatus.CREATED:
            require_same(workflow, order, started=True)
            talk(f"{workflow.full_name} exists under key {order.key!r}: {workflow.status.value}")
            return workflow
        try:
            _stage(app, workflow, order.loaded, path)
        except (GatewayError, KeyboardInterrupt) as error:
            _say_left(workflow, order, path, error)
            raise
        return app.workflows.start_once(workflow.id)


def _say_left(
    workflow: Workflow, order: Order, path: Path, error: GatewayError | KeyboardInterrupt
) -> None:
    """Name the workflow that is left without its inputs, and the ways on."""
    name = workflow.full_name
    go_on = (
        "give the same command again"
        if order.key
        else f"gateway upload -w {name} -f {path} && gateway start -w {name}"
    )
    left = (
        f"{name} was created and is not started\n"
        f"  go on:      {go_on}\n"
        f"  delete it:  gateway delete -w {name}"
    )
    if isinstance(error, GatewayError):
        error.hint = f"{error.hint}\n{left}" if error.hint else left
    else:
        talk(left)


def _say_wait() -> None:
    talk("another call under this key brings the inputs in; waiting for it")


def _stage(app: App, workflow: Workflow, loaded: LoadedSpec, path: Path) -> None:
    staged = stage_inputs(app, workflow, loaded, path.resolve().parent)
    app.mine.staging.keep_specification(workflow, path)
    if staged.files:
        files = counted(staged.files, "file")
        talk(f"{workflow.full_name}: {files}, {show_bytes(staged.bytes)} staged in")


def stage_inputs(
    app: App, workflow: Workflow, loaded: LoadedSpec, base: Path, *, overwrite: bool = False
) -> Staged:
    """Bring declared inputs in, and show how far that is and what was left out."""
    line = TransferLine("staging in")
    try:
        staged = app.mine.staging.stage(workflow, loaded, base, line.count, overwrite=overwrite)
    finally:
        line.clear()
    for notice in staged.notices:
        talk(f"Note: {notice}")
    return staged


@click.command("run")
@creation_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    callback=seconds,
    help="How long to follow; the workflow goes on after that; default: to its end.",
)
@click.option("--follow", is_flag=True, help="Accepted for the habit's sake; it always follows.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
@click.pass_context
def run_command(
    context: click.Context,
    path: Path,
    order: Order,
    timeout: float | None,
    follow: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run a workflow and follow it to its end.

    Prints the paths of the declared outputs. Ctrl-C detaches; the workflow is not stopped.

    \b
    Example: gateway run reana.yaml --cluster slurm -p events=1000
    """
    del follow
    app = app_of(context)
    workflow = _started(app, path, order)
    if not quiet:
        _say_runtime(app)
    view, code = follow_to_exit_code(app, workflow, "run", timeout_s=timeout, quiet=quiet)
    if view is None:
        return code
    if not quiet or view.workflow.status is not WorkflowStatus.FINISHED:
        say_end(app, view, table_seen=not quiet)
    if as_json:
        print_json(view_data(view))
    elif view.workflow.status is WorkflowStatus.FINISHED:
        _print_outputs(view.workflow)
    return code


def _say_runtime(app: App) -> None:
    if app.site.containers.runtime == "host":
        talk("Note: this site runs commands on the host, without containers")


def _print_outputs(workflow: Workflow) -> None:
    outputs = workflow.specification.get("outputs") or {}
    for kind in ("files", "directories"):
        for name in outputs.get(kind) or []:
            path = Path(workflow.workspace) / name
            if path.exists():
                click.echo(str(path))
            else:
                talk(f"declared output {name} was not written")


@click.command("submit")
@creation_options
@json_option
@click.pass_context
def submit_command(
    context: click.Context,
    path: Path,
    order: Order,
    as_json: bool,
) -> None:
    """Start a workflow and return at once; print only its id.

    With --key, a repeated call prints the same id and starts nothing twice.

    \b
    Example: ID=$(gateway submit reana.yaml --key "$PANDAID")
    """
    app = app_of(context)
    workflow = _started(app, path, order)
    if as_json:
        print_json({"id": workflow.id, "name": workflow.full_name, "status": workflow.status.value})
    else:
        click.echo(workflow.id)
    if workflow.status.is_active:
        say_if_nobody_drives(app)
