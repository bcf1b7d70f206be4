"""``gateway config show`` and ``gateway config check``."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, talk


@click.group("config")
def config_command() -> None:
    """Show or check the site file."""


@config_command.command("show")
@json_option
@click.pass_context
def show_command(context: click.Context, as_json: bool) -> None:
    """Print every setting in force, those of the site file and the defaults.

    Example: gateway config show
    """
    loaded = app_of(context).loaded_site
    data = loaded.site.model_dump(mode="json")
    if as_json:
        print_json({"origin": str(loaded.origin) if loaded.origin else None, "site": data})
        return
    import yaml

    talk(f"# from {loaded.origin or 'the built-in site: there is no site file'}")
    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


@config_command.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_context
def check_command(context: click.Context, file: Path | None, as_json: bool) -> None:
    """Check a site file; show all problems at once.

    Example: gateway config check configs/slurm.yaml
    """
    from gateway.site.load import read_site

    loaded = read_site(file) if file else app_of(context).loaded_site
    if as_json:
        print_json({"valid": True, "clusters": list(loaded.site.clusters)})
        return
    talk(f"{loaded.origin or 'the built-in site'} is valid: {', '.join(loaded.site.clusters)}")
