"""``gateway logs``."""

from __future__ import annotations

import sys
import time

import click

from gateway.cli.follow import EXIT_CODES, POLL_S, driving
from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_argument
from gateway.cli.output import print_json, talk
from gateway.composition.app import App
from gateway.errors import ExitCode, UsageError
from gateway.service.logs import Follower, JobLog, read_end


@click.command("logs")
@workflow_argument
@click.option("--step", "steps", multiple=True, help="Only jobs of this step.")
@click.option("--follow", is_flag=True, help="Go on printing until the workflow has ended.")
@json_option
@click.pass_context
def logs_command(
    context: click.Context,
    asked: str | None,
    workflow: str,
    steps: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> int:
    """Print what jobs wrote, also while they run.

    Example: gateway logs -w fit --step gendata
    """
    app = app_of(context)
    name = the_workflow(asked, workflow)
    if follow and as_json:
        raise UsageError("--follow and --json exclude each other", hint="leave one away")
    if follow:
        return _follow(app, name, steps)
    logs = app.logs.of_workflow(name, steps)
    if as_json:
        print_json([log.data() for log in logs])
        return int(ExitCode.OK)
    for log in logs:
        _print(log)
    if not logs:
        talk("no job has been sent yet")
    return int(ExitCode.OK)


def _print(log: JobLog) -> None:
    job = log.view.job
    click.echo(click.style(f"==> {job.step}: {job.command}", bold=True))
    click.echo(f"==> {job.state.value}" + (f": {job.reason}" if job.reason else ""))
    if log.removed:
        click.echo("==> its output is not kept any more")
    for path in (log.stdout, log.stderr):
        text = read_end(path)
        if text:
            click.echo(text, nl=not text.endswith("\n"))


def _follow(app: App, name: str, steps: tuple[str, ...]) -> int:
    """Print new lines as they come; drive meanwhile if nothing else does."""
    follower = Follower()
    workflow = app.views.find(name)
    try:
        with driving(app, "logs") as check:
            while True:
                check()
                view = app.views.show(workflow.id)
                _print_news(app, workflow.id, steps, follower)
                if view.workflow.status.is_terminal:
                    return int(EXIT_CODES[view.workflow.status])
                sys.stdout.flush()
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        talk(f"detached: {workflow.full_name} is not stopped")
        return int(ExitCode.DETACHED)


def _print_news(app: App, workflow_id: str, steps: tuple[str, ...], follower: Follower) -> None:
    for log in app.logs.of_workflow(workflow_id):
        if steps and log.view.job.step not in steps:
            continue
        read = follower.rest if log.view.job.state.is_terminal else follower.news
        for path in (log.stdout, log.stderr):
            for line in read(path):
                click.echo(f"{log.view.job.step} | {line}")
