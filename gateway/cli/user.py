"""``gateway user add`` and ``list``."""

from __future__ import annotations

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, print_table, talk
from gateway.service.views import timestamp


@click.group("user")
def user_command() -> None:
    """Users of the API."""


@user_command.command("add")
@click.argument("email")
@click.option("--name", default="", help="Full name.")
@json_option
@click.pass_context
def add_command(context: click.Context, email: str, name: str, as_json: bool) -> None:
    """Add a user with workflows and secrets of its own.

    Jobs of all users run under your account, so add only whom you would let use it.

    Example: gateway user add bob@example.org --name 'Bob Jones'
    """
    user = app_of(context).accounts.add_user(email, name)
    if as_json:
        print_json({"id": user.id, "email": user.email, "name": user.full_name})
    else:
        talk(f"added {user.email}; a token: gateway token new --user {user.email}")


@user_command.command("list")
@json_option
@click.pass_context
def list_command(context: click.Context, as_json: bool) -> None:
    """List users and how many valid tokens they have.

    Example: gateway user list
    """
    accounts = app_of(context).accounts
    valid = [token.user_id for token in accounts.tokens() if token.revoked_at is None]
    rows = [
        {
            "email": user.email,
            "name": user.full_name,
            "id": user.id,
            "created": timestamp(user.created_at),
            "tokens": valid.count(user.id),
        }
        for user in accounts.users()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ["email", "name", "id", "created", "tokens"])
