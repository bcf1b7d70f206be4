"""The simulation has teeth: it finds mistakes that were put into the gateway on purpose.

`scripts/chaos --simulated --mutant NAME` looks for one from any seed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.mutants import MUTANTS
from tests.crash.world import play

ROUNDS = 60
"""More than one, because what a seed means changes with the simulation."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mistake_is_found(name: str, folders: Iterator[Path]) -> None:
    mutant = MUTANTS[name]
    with mutant.made():
        for seed, folder in zip(range(mutant.seed, mutant.seed + ROUNDS), folders, strict=False):
            _, wrong = play(seed, folder, chosen=mutant.troubles)
            if wrong:
                break
    assert wrong, f"{mutant.what}: not found in {ROUNDS} rounds"


@pytest.mark.parametrize("name", MUTANTS)
def test_without_the_mistake_the_same_round_is_right(name: str, folders: Iterator[Path]) -> None:
    mutant = MUTANTS[name]
    world, wrong = play(mutant.seed, next(folders), chosen=mutant.troubles)
    assert wrong == [], "\n".join(world.history)
