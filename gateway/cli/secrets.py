"""``gateway secrets-add``, ``secrets-list``, ``secrets-delete``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, print_table, talk
from gateway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from gateway.service.secrets import NewSecret


@click.command("secrets-add")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Variable for all jobs. Without a value: that of your own variable of this name.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File for all jobs, in /etc/reana/secrets; on the host, in $REANA_SECRETS_DIR.",
)
@click.option("--overwrite", is_flag=True, help="Replace those that exist.")
@json_option
@click.pass_context
def secrets_add_command(
    context: click.Context,
    variables: tuple[str, ...],
    files: tuple[Path, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Add secrets, all or none; every job gets them that is sent from now on.

    Others can see the command line of a running program: give no value there on a shared machine.

    \b
    Example: read -rs CERN_PASSWORD && export CERN_PASSWORD
             gateway secrets-add --env CERN_PASSWORD --file ~/.globus/usercert.pem
    """
    new = named_secrets(variables, files)
    app = app_of(context)
    app.accounts.default_user()
    app.mine.secrets.add(new, overwrite=overwrite)
    say_added([each.name for each in new], as_json=as_json)


def named_secrets(variables: tuple[str, ...], files: tuple[Path, ...]) -> list[NewSecret]:
    """Read the secrets that options name.

    Raises
    ------
    UsageError
        If they name none.
    """
    new = [_variable(word) for word in variables] + [_file(path) for path in files]
    if not new:
        raise UsageError("no secret was named", hint="use --env NAME or --file PATH")
    return new


def say_added(names: list[str], *, as_json: bool) -> None:
    """Print the names of new secrets."""
    if as_json:
        print_json(names)
    else:
        talk(f"added: {', '.join(names)}")


def _variable(word: str) -> NewSecret:
    from gateway.service.secrets import NewSecret

    name, equals, value = word.partition("=")
    if not equals:
        found = os.environ.get(name)
        if found is None:
            raise UsageError(
                f"--env {name}: there is no variable of this name",
                hint=f"export {name} first, or write {name}=VALUE",
            )
        value = found
    return NewSecret(name, "env", value.encode("utf-8", "surrogateescape"))


def _file(path: Path) -> NewSecret:
    from gateway.service.secrets import LARGEST_FILE, NewSecret

    try:
        with path.open("rb") as file:
            return NewSecret(path.name, "file", file.read(LARGEST_FILE + 1))
    except FileNotFoundError as error:
        raise NotFoundError(f"--file {path}: there is no such file") from error
    except OSError as error:
        raise UsageError(f"--file {path}: {error.strerror}") from error


@click.command("secrets-list")
@json_option
@click.pass_context
def secrets_list_command(context: click.Context, as_json: bool) -> None:
    """List secrets by name; nobody can show their values.

    Example: gateway secrets-list
    """
    found = app_of(context).mine.secrets.listed()
    rows = [{"name": each.name, "type": each.kind} for each in found]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["name", "type"])


@click.command("secrets-delete")
@click.argument("names", nargs=-1, required=True)
@json_option
@click.pass_context
def secrets_delete_command(context: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Delete secrets, all or none; jobs that were sent already keep them.

    Example: gateway secrets-delete CERN_PASSWORD usercert.pem
    """
    deleted = app_of(context).mine.secrets.delete(names)
    if as_json:
        print_json(deleted)
    else:
        talk(f"deleted: {', '.join(deleted)}")
