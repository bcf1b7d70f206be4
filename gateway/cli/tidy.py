"""``gateway tidy``."""

from __future__ import annotations

import click

from gateway.cli.main import app_of
from gateway.cli.options import duration, json_option
from gateway.cli.output import print_json, talk
from gateway.errors import ExitCode
from gateway.vocabulary.units import show_bytes


@click.command("tidy")
@click.option(
    "--older-than",
    "age",
    metavar="DURATION",
    callback=duration,
    required=True,
    help="How long ago the workflows must have ended, such as 90d; a day or more.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@click.pass_context
def tidy_command(context: click.Context, age: float, dry_run: bool, as_json: bool) -> int:
    """Remove scripts, records and logs of jobs whose workflows ended long ago.

    `gateway logs` shows nothing for them then. Workspaces and what `status` and `explain` say
    stay. Harmless at any time, also while something drives.

    \b
    Example (crontab): 0 4 * * 0 gateway tidy --older-than 90d
    """
    tidied = app_of(context).job_files.tidy(age, dry_run=dry_run)
    if as_json:
        word = "removable" if dry_run else "removed"
        print_json(
            {"removed": [], "removable": []}
            | {word: tidied.submissions, "bytes": tidied.freed}
            | {"kept": tidied.kept, "failed": tidied.failed}
        )
    else:
        verb = "would remove" if dry_run else "removed"
        count, freed = len(tidied.submissions), show_bytes(tidied.freed)
        talk(f"{verb} the files of {count} submissions, {freed}; {tidied.kept} kept")
        for path, reason in tidied.failed.items():
            talk(f"not removed {path}: {reason}")
    return int(ExitCode.FAILED if tidied.failed else ExitCode.OK)
