"""Drivers of a simulated history, which die without a last word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.core.cycle import Cycle
from gateway.store.store import Store, Transaction
from gateway.vocabulary.records import Lease


class KilledError(BaseException):
    """The driver is dead: nothing of it may have any effect from now on."""


class MortalStore(Store):
    """The database as one driver sees it; a dead driver does not see it."""

    def __init__(self, store: Store, before_commit: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._before_commit = before_commit
        self.dead = False

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read while alive."""
        self._check()
        with self._store.read() as transaction:
            yield transaction

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Write while alive, up to the commit."""
        self._check()
        with self._store.write() as transaction:
            yield transaction
            self._check()
            self._before_commit()

    def _check(self) -> None:
        if self.dead:
            raise KilledError


@dataclass(slots=True)
class SimulatedDriver:
    """One process that drives."""

    number: int
    store: MortalStore
    lease: Lease
    cycle: Cycle
