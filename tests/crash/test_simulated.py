"""Random histories over a simulated scheduler: nothing runs twice, nothing is lost or made up.

``scripts/chaos --simulated`` plays as many as asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.crash_points import CrashPoint
from tests.crash.troubles import Trouble
from tests.crash.world import play

ROUNDS = 40
BLOCK = 10
OF_EACH_TROUBLE = 4
SEEDS_PER_POINT = 60
BY_USERS = {
    point
    for point in CrashPoint
    if point.place in ("create", "staging", "files", "download", "start", "restart", "delete")
    or point.place in ("removal", "migration", "conversion")
} | {CrashPoint.STOP_WRITTEN}
"""Passed by commands of users and fetches of images, not by drivers: see test_killed_*.py."""
BY_DRIVERS = sorted(set(CrashPoint) - BY_USERS, key=lambda point: point.name)


@pytest.mark.parametrize("first", range(0, ROUNDS, BLOCK))
def test_random_histories(first: int, folders: Iterator[Path]) -> None:
    for seed, folder in zip(range(first, first + BLOCK), folders, strict=False):
        world, wrong = play(seed, folder)
        assert wrong == [], "\n".join([f"seed {seed}", *world.history])


@pytest.mark.parametrize("trouble", Trouble)
def test_trouble(trouble: Trouble, folders: Iterator[Path]) -> None:
    for seed, folder in zip(range(OF_EACH_TROUBLE), folders, strict=False):
        world, wrong = play(seed, folder, chosen=[trouble])
        assert wrong == [], "\n".join([f"seed {seed}", *world.history])


@pytest.mark.parametrize("point", BY_DRIVERS, ids=lambda point: point.name)
def test_killed_at(point: CrashPoint, folders: Iterator[Path]) -> None:
    for seed, folder in zip(range(SEEDS_PER_POINT), folders, strict=False):
        world, wrong = play(seed, folder, only=point)
        assert wrong == [], "\n".join([f"seed {seed}", *world.history])
        if world.kills[point]:
            return
    pytest.fail(f"{point.name} was not passed in {SEEDS_PER_POINT} histories")
