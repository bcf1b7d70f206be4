"""Whether anything carries out what was just asked for."""

from __future__ import annotations

from gateway.cli.output import talk
from gateway.composition.app import App

QUIET_S = 300.0
"""A tick from cron drives for seconds in every minute or so: it is missed only after this."""


def say_if_nobody_drives(app: App) -> None:
    """Tell that jobs go on and nothing else does, if so."""
    health = app.watch.health()
    age = health.heartbeat_age_s
    if not health.driver and (age is None or age > QUIET_S):
        talk(
            "Note: nothing drives now, so nothing moves: gateway wait, gateway serve, or gateway "
            "tick from cron"
        )
