"""``gateway retention-rules-list``."""

from __future__ import annotations

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_argument
from gateway.cli.output import chosen_columns, print_json, print_table
from gateway.service.views import timestamp

_COLUMNS = ("workspace_files", "retention_days", "apply_on", "status")


@click.command("retention-rules-list")
@workflow_argument
@click.option("--format", "columns", help="Columns to print, such as WORKSPACE_FILES,STATUS.")
@json_option
@click.pass_context
def retention_rules_list_command(
    context: click.Context, asked: str | None, workflow: str, columns: str | None, as_json: bool
) -> None:
    """List how long files of a workspace are kept after the run, and when they go.

    Example: gateway retention-rules-list -w fit
    """
    _, rules = app_of(context).mine.retention.of(the_workflow(asked, workflow))
    rows = [
        {
            "workspace_files": rule.pattern,
            "retention_days": rule.days,
            "apply_on": timestamp(rule.apply_on),
            "status": rule.status,
        }
        for rule in rules
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, chosen_columns(_COLUMNS, columns))
