"""``gateway explain``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_argument
from gateway.cli.output import print_json
from gateway.service.explain import Explanation


@click.command("explain")
@workflow_argument
@json_option
@click.pass_context
def explain_command(
    context: click.Context, asked: str | None, workflow: str, as_json: bool
) -> None:
    """Say why a job or workflow is where it is, with everything seen and decided.

    Takes a workflow, or a job id (its first characters do) from `gateway status -v`.

    Example: gateway explain 3f2a91bc
    """
    explanation = app_of(context).explanations.of(the_workflow(asked, workflow))
    if as_json:
        print_json(asdict(explanation))
    else:
        _print(explanation)


def _print(explanation: Explanation) -> None:
    click.echo(click.style(explanation.title, bold=True))
    click.echo(explanation.sentence)
    click.echo()
    width = max(len(name) for name, _ in explanation.facts)
    for name, value in explanation.facts:
        click.echo(f"  {name.ljust(width)}  {value}")
    click.echo()
    for event in explanation.events:
        moment = datetime.fromtimestamp(event.at).astimezone()
        clock = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
        job = f"{event.job_id[:8]} " if event.job_id else ""
        click.echo(f"  {clock}  {event.kind.value:11} {job}{event.text}")
