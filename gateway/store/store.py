"""Transactions on the state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError

from gateway.errors import GatewayError
from gateway.store.clusters import Clusters
from gateway.store.database import explain, open_engine
from gateway.store.events import Events
from gateway.store.figures import FiguresReader
from gateway.store.jobs import Jobs
from gateway.store.leases import Leases
from gateway.store.nodes import Nodes
from gateway.store.retention import Retention
from gateway.store.secrets import Secrets
from gateway.store.submissions import Submissions
from gateway.store.usage import Usage
from gateway.store.users import Users
from gateway.store.workflows import Workflows
from gateway.vocabulary.records import Lease


class LeaseLostError(GatewayError):
    """Another driver has taken over; the present one must not write any more."""


class TakenError(Exception):
    """Another writer has just taken the name or key; nothing was written. Try again."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The parts of the state, as one transaction sees them."""

    workflows: Workflows
    jobs: Jobs
    submissions: Submissions
    events: Events
    clusters: Clusters
    leases: Leases
    nodes: Nodes
    users: Users
    figures: FiguresReader
    secrets: Secrets
    retention: Retention
    usage: Usage

    @classmethod
    def on(cls, connection: Connection) -> Transaction:
        """Open all parts on one connection."""
        return cls(
            Workflows(connection),
            Jobs(connection),
            Submissions(connection),
            Events(connection),
            Clusters(connection),
            Leases(connection),
            Nodes(connection),
            Users(connection),
            FiguresReader(connection),
            Secrets(connection),
            Retention(connection),
            Usage(connection),
        )


class Store:
    """The durable state behind one URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: Engine = open_engine(url)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """See one consistent state; never waits for writers on SQLite with WAL."""
        try:
            with self._engine.connect().execution_options(reading=True) as connection:
                yield Transaction.on(connection)
        except DatabaseError as error:
            raise explain(self._url, error) from error

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Change the state: all or nothing, durable when the block has ended."""
        try:
            with self._engine.begin() as connection:
                yield Transaction.on(connection)
        except IntegrityError as error:
            raise TakenError(str(error.orig)) from error
        except DatabaseError as error:
            raise explain(self._url, error) from error

    @contextmanager
    def drive(self, lease: Lease) -> Iterator[Transaction]:
        """Change the state as the driver, or not at all if another one has taken over.

        Raises
        ------
        LeaseLostError
            If the lease has another owner; nothing was written then.
        """
        with self.write() as transaction:
            current = transaction.leases.current()
            if current is None or _owner(current) != _owner(lease):
                raise LeaseLostError("another gateway process drives now")
            yield transaction

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()


def _owner(lease: Lease) -> tuple[str, int]:
    return lease.holder, lease.generation
