"""``gateway completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gateway.cli.main import cli
from gateway.errors import UsageError


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
def completion_command(shell: str) -> None:
    """Print a script that teaches your shell the commands and workflow names.

    Example: gateway completion bash >> ~/.bashrc
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "gateway", "_GATEWAY_COMPLETE").source())
