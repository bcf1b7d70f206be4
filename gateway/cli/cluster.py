"""``gateway cluster list``."""

from __future__ import annotations

import time
from typing import Any

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option
from gateway.cli.output import print_json, print_table
from gateway.composition.app import App
from gateway.core.ledger import avoided_nodes
from gateway.service.views import timestamp

WINDOW_MINUTES = 60


@click.group("cluster")
def cluster_command() -> None:
    """Show the clusters of this site."""


@cluster_command.command("list")
@json_option
@click.pass_context
def list_command(context: click.Context, as_json: bool) -> None:
    """List clusters: what they serve, what they hold, how often they are asked.

    Example: gateway cluster list
    """
    rows = _rows(app_of(context))
    if as_json:
        print_json(rows)
    else:
        print_table(rows, list(rows[0]))


def _rows(app: App) -> list[dict[str, Any]]:
    site = app.site
    now = time.time()
    minute = int(now // 60) - WINDOW_MINUTES
    rows = []
    with app.store.read() as transaction:
        calls = transaction.clusters.calls_since(minute)
        for name, settings in site.clusters.items():
            state = transaction.clusters.get(name)
            made = calls.get(name, {})
            backends = [backend for backend, cluster in site.backends.items() if cluster == name]
            rows.append(
                {
                    "name": name,
                    "type": settings.type,
                    "default": "yes" if site.cluster_for(None) == name else "",
                    "backends": ",".join(backends),
                    "tasks": transaction.jobs.in_scheduler(name),
                    "calls_last_hour": sum(number for number, _, _ in made.values()),
                    "failed_calls": sum(failed for _, failed, _ in made.values()),
                    "most_status_calls_a_minute": made.get("status", (0, 0, 0))[2],
                    "status_budget_a_minute": settings.status_calls_per_minute,
                    "asked": timestamp(state.status_at),
                    "blocked": state.blocked_reason,
                    "avoided_nodes": "; ".join(
                        f"{each.node}: {each.words}"
                        for each in avoided_nodes(transaction, name, now)
                    ),
                }
            )
    return rows
