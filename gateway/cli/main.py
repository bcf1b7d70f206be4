"""The command ``gateway``: finds the subcommand, shows errors, sets the exit code."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gateway import __version__
from gateway.errors import ExitCode, GatewayError, NotFoundError, SpecError

if TYPE_CHECKING:
    from gateway.composition.app import App

COMMANDS: dict[str, dict[str, str]] = {
    "Run workflows": {
        "run": "run",
        "submit": "run",
        "launch": "launch",
        "create": "lifecycle",
        "start": "lifecycle",
        "restart": "lifecycle",
        "stop": "lifecycle",
        "delete": "lifecycle",
        "wait": "wait",
    },
    "See what happens": {
        "status": "show",
        "list": "show",
        "logs": "logs",
        "explain": "explain",
    },
    "Files of a workspace": {
        "ls": "files",
        "upload": "files",
        "download": "files",
        "rm": "files",
        "mv": "files",
        "du": "files",
        "diff": "diff",
        "prune": "prune",
        "retention-rules-list": "retention",
    },
    "Secrets and users": {
        "secrets-add": "secrets",
        "secrets-list": "secrets",
        "secrets-delete": "secrets",
        "token": "token",
        "user": "user",
    },
    "Drive": {"serve": "drive", "tick": "drive", "connect": "connect"},
    "Site": {
        "validate": "validate",
        "doctor": "doctor",
        "config": "config",
        "cluster": "cluster",
        "tidy": "tidy",
        "completion": "completion",
    },
}
"""Sections of the help, and the module of each command."""

_MODULES = {name: module for section in COMMANDS.values() for name, module in section.items()}


class LazyGroup(click.Group):
    """A group that loads the module of a command when the command is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_MODULES)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Load one command."""
        module = _MODULES.get(name)
        if module is None:
            return None
        attribute = f"{name.replace('-', '_')}_command"
        command = getattr(import_module(f"gateway.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that does not exist."""
        if args and args[0] not in _MODULES and not args[0].startswith("-"):
            from gateway.documents.nearest import did_you_mean

            context.fail(f"no such command {args[0]!r}{did_you_mean(args[0], _MODULES)}")
        name, command, rest = super().resolve_command(context, args)
        if name is not None and command is not None and context.params.get("host"):
            from gateway.cli.remote import command_there

            return name, command_there(name, command), rest
        return name, command, rest

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        for section, names in COMMANDS.items():
            with formatter.section(section):
                commands = [(name, self.get_command(context, name)) for name in names]
                formatter.write_dl(
                    [(name, c.get_short_help_str(60)) for name, c in commands if c is not None]
                )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="gateway %(version)s")
@click.option(
    "--site",
    "site_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Site file; default: $GATEWAY_SITE, ~/.config/gateway/site.yaml, /etc/gateway/site.yaml.",
)
@click.option(
    "--host",
    envvar="GATEWAY_HOST",
    metavar="[USER@]HOST",
    help="Do it on a login node, by ssh; files stay or come here. Default: $GATEWAY_HOST.",
)
@click.option(
    "--host-command",
    envvar="GATEWAY_REMOTE_COMMAND",
    default="gateway",
    show_default=True,
    help="The gateway's program there; default: $GATEWAY_REMOTE_COMMAND.",
)
@click.pass_context
def cli(
    context: click.Context, site_file: Path | None, host: str | None, host_command: str
) -> None:
    """Run REANA workflows as Apptainer jobs on Slurm, HTCondor or this machine.

    Start with: gateway run reana.yaml
    """
    if host:
        from gateway.cli.remote import There

        context.obj = There(host, host_command, site_file)
        context.call_on_close(context.obj.close)
        return
    from gateway.composition.app import App

    context.obj = App(site_file)


def app_of(context: click.Context) -> App:
    """Return the program behind a command."""
    found: App = context.find_root().obj
    return found


def main() -> NoReturn:
    """Run the command line and exit."""
    # Imports make tens of thousands of objects that all stay: looking for garbage among them every
    # 700 is a tenth of the time to start.
    gc.set_threshold(20_000)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character, or a file name that is no text, is no error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code. Nothing but an exit code leaves."""
    logging.getLogger("gateway").addHandler(logging.NullHandler())
    try:
        result = cli.main(arguments, prog_name="gateway", standalone_mode=False, color=_colours())
    except click.exceptions.Abort:
        click.echo("interrupted; workflows that were started go on", err=True)
        return int(ExitCode.DETACHED)
    except click.ClickException as error:
        error.show()
        _say_order(error)
        return int(ExitCode.USAGE)
    except GatewayError as error:
        show_error(error, as_json="--json" in arguments)
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.OK)
    except Exception as error:
        return _internal(error)
    return int(result) if isinstance(result, int) else int(ExitCode.OK)


def show_error(error: GatewayError, *, as_json: bool) -> None:
    """Write an error for a person, or as one JSON object, to stderr."""
    problems = error.problems if isinstance(error, SpecError) else ()
    if as_json:
        data: dict[str, Any] = {"error": error.message, "exit_code": int(error.exit_code)}
        data |= {"problems": list(problems)} if problems else {}
        data |= {"hint": _hint(error)} if _hint(error) else {}
        click.echo(json.dumps(data), err=True)
        return
    word = click.style("Error: ", fg="red", bold=True)
    click.echo(word + error.message, err=True, color=_colours())
    for problem in problems:
        click.echo(f"  {problem}", err=True)
    hint = _hint(error)
    if hint:
        click.echo(f"Hint: {hint}", err=True)


def _colours() -> bool | None:
    """Return ``False`` where the user wants none (no-color.org); else the terminal decides."""
    return False if os.environ.get("NO_COLOR") else None


def _say_order(error: click.ClickException) -> None:
    """Tell that options of a command stand behind its name, where one stands before it."""
    if isinstance(error, click.NoSuchOption) and error.ctx and error.ctx.parent is None:
        click.echo("Hint: options of a command come after its name", err=True)


def _hint(error: GatewayError) -> str:
    """Return what to do; of a workflow that the environment named, where its name comes from."""
    named = os.environ.get("REANA_WORKON")
    if isinstance(error, NotFoundError) and named and getattr(error, "asked", None) == named:
        return f"$REANA_WORKON names {named!r}: change or unset it; {error.hint}"
    return error.hint


def _internal(error: Exception) -> int:
    """Keep the traceback of a mistake of ours in a file, and say where."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="gateway-error-", suffix=".txt", delete=False
    ) as report:
        traceback.print_exception(error, file=report)
    click.echo(
        f"Error: this is a mistake of the gateway: {type(error).__name__}: {error}\n"
        f"Hint: nothing that was accepted is lost; details for a report are in {report.name}",
        err=True,
    )
    return int(ExitCode.INTERNAL)
