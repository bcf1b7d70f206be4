"""``gateway token show``, ``new``, ``list``, ``revoke``."""

from __future__ import annotations

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, print_table, talk
from gateway.errors import NotFoundError
from gateway.service.views import timestamp


@click.group("token")
def token_command() -> None:
    """Access tokens for the API."""


@token_command.command("show")
@json_option
@click.pass_context
def show_command(context: click.Context, as_json: bool) -> None:
    """Print your own token; made when you ask first.

    \b
    Example: export REANA_ACCESS_TOKEN=$(gateway token show)
    """
    accounts = app_of(context).accounts
    secret = accounts.ensure_token() or accounts.kept_token()
    if secret is None:
        raise NotFoundError(
            f"{accounts.token_file} holds no valid token",
            hint="make another one: gateway token new",
        )
    _print(secret, as_json=as_json)


@token_command.command("new")
@click.option("--user", "email", metavar="EMAIL", help="For this user; default: for yourself.")
@click.option("--label", default="", help="What it is for; shown by `token list`.")
@json_option
@click.pass_context
def new_command(context: click.Context, email: str | None, label: str, as_json: bool) -> None:
    """Make a token and print it, once; only its digest is kept.

    Your own newest token is also kept for `token show`. Earlier tokens stay valid.

    \b
    Example: gateway token new --user bob@example.org --label laptop
    """
    record, secret = app_of(context).accounts.new_token(email, label)
    _print(secret, as_json=as_json, token_id=record.id)
    if not as_json:
        talk(f"its id, to revoke it: {record.id}")


def _print(secret: str, *, as_json: bool, **more: str) -> None:
    if as_json:
        print_json({"token": secret} | more)
    else:
        click.echo(secret)


@token_command.command("list")
@click.option("--user", "email", metavar="EMAIL", help="Of this user; default: of all.")
@json_option
@click.pass_context
def list_command(context: click.Context, email: str | None, as_json: bool) -> None:
    """List tokens by id, without the tokens themselves.

    Example: gateway token list
    """
    accounts = app_of(context).accounts
    emails = {user.id: user.email for user in accounts.users()}
    rows = [
        {
            "id": each.id,
            "user": emails[each.user_id],
            "label": each.label,
            "created": timestamp(each.created_at),
            "status": "revoked" if each.revoked_at else "active",
        }
        for each in accounts.tokens(email)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["id", "user", "label", "created", "status"])


@token_command.command("revoke")
@click.argument("token_id")
@json_option
@click.pass_context
def revoke_command(context: click.Context, token_id: str, as_json: bool) -> None:
    """Make a token useless, at once and for ever.

    Example: gateway token revoke 3f2a9c01
    """
    record = app_of(context).accounts.revoke(token_id)
    if as_json:
        print_json({"id": record.id, "status": "revoked"})
    else:
        talk(f"revoked: {record.id}")
