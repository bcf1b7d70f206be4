"""``gateway status`` and ``gateway list``."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.driven import say_if_nobody_drives
from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_argument
from gateway.cli.output import chosen_columns, print_json, print_table, shortened, talk
from gateway.composition.app import App
from gateway.errors import UsageError
from gateway.service.views import (
    JobView,
    Progress,
    WorkflowView,
    current_job,
    view_data,
    workflow_data,
)
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import AttemptState, WorkflowStatus

_COLUMNS = ("name", "run_number", "created", "started", "ended", "status", "progress")
_MORE = ("id", "workspace", "message")


def _row(workflow: Workflow, progress: Progress) -> dict[str, Any]:
    done = f"{progress.finished}/{progress.total}" if progress.total else "-"
    return workflow_data(workflow, progress) | {"progress": done}


@click.command("status")
@workflow_argument
@click.option("--format", "columns", help="Columns to print, such as NAME,RUN_NUMBER,STATUS.")
@click.option("-v", "--verbose", is_flag=True, help="Show jobs and images too.")
@json_option
@click.pass_context
def status_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    columns: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Show where a workflow is.

    Example: gateway status -w fit.3 --format STATUS
    """
    app = app_of(context)
    view = app.views.show(the_workflow(asked, workflow))
    if as_json:
        # Nothing holds up what has ended; what looks for it is not even loaded.
        holdups = app.holdups.of(view) if view.workflow.status.is_active else ()
        print_json(view_data(view, [each.to_json() for each in holdups]))
        return
    known = (*_COLUMNS, *_MORE)
    wanted = chosen_columns(known, columns) if columns else list(_COLUMNS)
    print_table([_row(view.workflow, view.progress)], wanted)
    if columns:
        return
    if verbose:
        _print_details(view)
    _say_why(app, view)


def _say_why(app: App, view: WorkflowView) -> None:
    """Add the one sentence that a table cannot hold."""
    workflow = view.workflow
    if workflow.stop_requested_at and workflow.status.is_active:
        talk("being stopped")
    if workflow.status in (WorkflowStatus.FAILED, WorkflowStatus.STOPPED):
        talk(workflow.message)
    current = current_job(view.jobs)
    if not workflow.status.is_active:
        return
    if current is not None:
        talk(job_sentence(current))
    for each in app.holdups.of(view):
        talk(click.style("Held up: ", fg="yellow") + str(each))
    say_if_nobody_drives(app)


def job_sentence(view: JobView) -> str:
    """Say where a job is, in one line."""
    job, last = view.job, view.last
    step = shortened(job.step)
    if job.state.is_terminal or last is None:
        return f"{step}: {job.state.value}" + (f", {job.reason}" if job.reason else "")
    again = f" (attempt {last.number})" if last.number > 1 else ""
    if last.state in (AttemptState.READY, AttemptState.SUBMITTING):
        return f"{step}: waits for {last.waits_for}{again}"
    where = f", {job.cluster} {last.native_id}" if last.native_id else ""
    return f"{step}: {last.state.value}{where}, {last.reason}{again}"


def _print_details(view: WorkflowView) -> None:
    click.echo()
    print_table([_job_row(each) for each in view.jobs], _JOB_COLUMNS, _SPARE)
    click.echo()
    print_table(list(view.images), ("reference", "source", "digest", "path", "resolved_at"))
    click.echo()
    click.echo(f"workspace: {view.workflow.workspace}")


_JOB_COLUMNS = (
    "job", "step", "state", "cluster", "scheduler_id", "node", "exit_code", "attempts", "reason",
)  # fmt: skip

_SPARE = ("scheduler_id", "exit_code", "node", "cluster")


def _job_row(view: JobView) -> dict[str, Any]:
    last = view.last
    state = view.job.state.value
    if last is not None and last.state is AttemptState.HELD:
        state = "held"
    return {
        "job": view.job.id[:8],
        "step": view.job.step,
        "state": state,
        "cluster": view.job.cluster,
        "scheduler_id": last.native_id if last else "",
        "node": last.node if last else "",
        "exit_code": view.job.exit_code,
        "attempts": len(view.attempts),
        "reason": view.job.reason or (last.reason if last else ""),
    }


@click.command("list")
@click.option("-w", "--workflow", help="Only runs of this name.")
@click.option("--all", "show_all", is_flag=True, help="Deleted runs too.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="status=... or name=..."
)
@click.option("--format", "columns", help="Columns to print, such as NAME,RUN_NUMBER,STATUS.")
@json_option
@click.pass_context
def list_command(
    context: click.Context,
    workflow: str | None,
    show_all: bool,
    filters: tuple[str, ...],
    columns: str | None,
    as_json: bool,
) -> None:
    """List workflows, newest first.

    Example: gateway list --filter status=running
    """
    statuses, name = _read_filters(filters, show_all=show_all)
    listed = app_of(context).views.listed(statuses, workflow or name)
    if as_json:
        print_json([workflow_data(each, progress) for each, progress in listed])
        return
    wanted = chosen_columns((*_COLUMNS, *_MORE), columns) if columns else list(_COLUMNS)
    spare = () if columns else ("created", "ended", "started")
    print_table([_row(each, progress) for each, progress in listed], wanted, spare)
    if not listed and (filters or workflow):
        talk("no workflow matches")
    elif not listed:
        talk("no workflows; start one with: gateway run reana.yaml")


def _read_filters(
    filters: tuple[str, ...], *, show_all: bool
) -> tuple[list[WorkflowStatus], str | None]:
    statuses = [s for s in WorkflowStatus if show_all or s is not WorkflowStatus.DELETED]
    wanted: list[WorkflowStatus] = []
    name = None
    for word in filters:
        key, _, value = word.partition("=")
        if key == "status" and value in [s.value for s in WorkflowStatus]:
            wanted.append(WorkflowStatus(value))
        elif key == "name" and value:
            name = value
        else:
            known = ", ".join(status.value for status in WorkflowStatus)
            raise UsageError(
                f"--filter {word}: write name=NAME or status=STATUS", hint=f"statuses: {known}"
            )
    return wanted or statuses, name
