"""``gateway prune``."""

from __future__ import annotations

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option, the_workflow, workflow_option
from gateway.cli.output import print_json, talk
from gateway.errors import ExitCode
from gateway.vocabulary.units import show_bytes


@click.command("prune")
@workflow_option
@click.option("--include-inputs", is_flag=True, help="Remove the declared inputs too.")
@click.option("--include-outputs", is_flag=True, help="Remove the declared outputs too.")
@json_option
@click.pass_context
def prune_command(
    context: click.Context,
    workflow: str,
    include_inputs: bool,
    include_outputs: bool,
    as_json: bool,
) -> int:
    """Remove all files that the specification declares neither as input nor as output.

    Refused while a run that uses the workspace has not ended.

    Example: gateway prune -w fit.1
    """
    pruned, removal = app_of(context).files.prune(
        the_workflow(None, workflow), include_inputs=include_inputs, include_outputs=include_outputs
    )
    if as_json:
        print_json({"deleted": removal.deleted, "failed": removal.failed})
    else:
        freed = show_bytes(sum(removal.deleted.values()))
        talk(f"removed {len(removal.deleted)} files and directories of {pruned.full_name}, {freed}")
        for path, reason in removal.failed.items():
            talk(f"not removed {path}: {reason}")
    return int(ExitCode.FAILED if removal.failed else ExitCode.OK)
