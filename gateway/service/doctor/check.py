"""One finding about a site."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, and what to do about it."""

    name: str
    level: Level
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """Return a finding that needs nothing done."""
    return Check(name, Level.OK, found)


def warn(name: str, found: str, fix: str) -> Check:
    """Return a finding to look at; the gateway works."""
    return Check(name, Level.WARN, found, fix)


def fail(name: str, found: str, fix: str) -> Check:
    """Return a finding that keeps jobs from running."""
    return Check(name, Level.FAIL, found, fix)
