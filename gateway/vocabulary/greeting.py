"""The first line of ``gateway connect``: both sides know by it where the API's bytes begin."""

from __future__ import annotations

GREETING = "gateway-connect"
"""Followed by the protocol's number and the version of the gateway."""
PROTOCOL = 1
