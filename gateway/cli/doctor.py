"""``gateway doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, talk
from gateway.errors import ExitCode
from gateway.service.doctor.check import Check, Level

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Leave the probe jobs out.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for the probe jobs; then they are removed.",
)
@click.option(
    "--write-site",
    "site_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Examine nothing; write a commented site file to begin with, never over another file.",
)
@json_option
@click.pass_context
def doctor_command(
    context: click.Context, quick: bool, timeout: float, site_file: Path | None, as_json: bool
) -> int:
    """Prove this site: files, database, containers, schedulers, and a real job on every cluster.

    Each line is ok, warn or fail, with a fix. The exit code is 3 if any line says fail. Probe
    jobs take one core for a second, and leave nothing behind.

    \b
    Example: gateway doctor
             gateway doctor --quick --json
             gateway doctor --write-site ~/.config/gateway/site.yaml
    """
    app = app_of(context)
    if site_file is not None:
        app.write_starting_site(site_file)
        talk(f"wrote {site_file}; read it, then: gateway --site {site_file} doctor")
        return int(ExitCode.OK)
    found = app.doctor.examine(quick=quick, timeout_s=timeout)
    checks = list(found) if as_json else list(_shown(found))
    if as_json:
        print_json(
            [
                {"name": c.name, "level": c.level.value, "found": c.found, "fix": c.fix}
                for c in checks
            ]
        )
    failed = any(check.level is Level.FAIL for check in checks)
    return int(ExitCode.SITE if failed else ExitCode.OK)


def _shown(found: Iterator[Check]) -> Iterator[Check]:
    """Print findings as they are made."""
    for check in found:
        level = click.style(f"{check.level.value:4}", fg=_COLOURS[check.level])
        click.echo(f"{level}  {check.name}: {check.found}")
        if check.fix:
            click.echo(f"      fix: {check.fix}")
        yield check
