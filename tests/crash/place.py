"""The real state machine on a real SQLite file, over a simulated scheduler and clock.

Triggers of the database write down every change of a state, so that no change escapes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.core.parts import Parts
from gateway.service.order import Order
from gateway.service.workflows import Workflows
from gateway.spec.load import load_data
from gateway.store.store import Store
from gateway.testing.clock import FakeClock
from gateway.testing.fake_cluster import FakeCluster
from gateway.vocabulary.records import Job, Workflow
from gateway.vocabulary.states import WorkflowStatus
from tests.unit.core.conftest import FakeImages, build_machine

WATCHED = {"workflows": "status", "jobs": "state", "attempts": "state", "submissions": "state"}


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a state."""

    kind: str
    name: str
    before: str
    after: str


def memory_folder() -> Path | None:
    """Return a directory in memory if there is one: no simulated host ever loses its power."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK | os.X_OK) else None


def watch_moves(database: Path) -> None:
    """Have a database write down its own changes of state."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE moves (kind TEXT, name TEXT, before TEXT, after TEXT)")
        for table, column in WATCHED.items():
            name = "key" if table in ("attempts", "submissions") else "id"
            connection.execute(
                f"CREATE TRIGGER moved_{table} AFTER UPDATE OF {column} ON {table} "
                f"WHEN OLD.{column} IS NOT NEW.{column} BEGIN "
                f"INSERT INTO moves VALUES ('{table}', NEW.{name}, OLD.{column}, NEW.{column}); END"
            )
        connection.commit()


def read_moves(database: Path) -> list[Move]:
    """Return all changes of state, first one first."""
    with closing(sqlite3.connect(database)) as connection:
        return [Move(*row) for row in connection.execute("SELECT * FROM moves ORDER BY rowid")]


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state" / "gateway.db"
        for machine in build_machine(Path(folder)):
            machine.store.close()
        watch_moves(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM leases")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Place:
    """Everything below the world: what a real site has, and what stands in for it."""

    folder: Path
    store: Store
    clock: FakeClock
    scheduler: FakeCluster
    images: FakeImages
    parts: Parts
    workflows: Workflows
    began: float

    @classmethod
    @contextmanager
    def built(cls, folder: Path) -> Iterator[Place]:
        """Build a place in an empty folder, and remove what it wrote."""
        database = folder / "state" / "gateway.db"
        database.parent.mkdir(mode=0o700)
        database.write_bytes(_template())
        most = {"maximum": {"memory": "2 GiB"}}
        for machine in build_machine(folder, cluster=most):
            yield cls(
                folder,
                machine.store,
                machine.clock,
                machine.cluster,
                machine.images,
                machine.parts,
                machine.workflows,
                machine.clock(),
            )
        shutil.rmtree(folder)

    def submit(self, commands: Sequence[str], image: str, name: str) -> Workflow:
        """Create and start a workflow; each kind of command is a step of its own."""
        steps = [
            {
                "name": f"s{number}",
                "environment": image,
                "commands": [kind],
                "memory": "100 MiB",
                "retries": int(kind == "flaky"),
            }
            for number, kind in enumerate(commands)
        ]
        data = {"workflow": {"type": "serial", "specification": {"steps": steps}}}
        workflow = self.workflows.create(Order(load_data(data), name=name))
        return self.workflows.start(workflow.id)

    def job(self, compact: str) -> Job:
        """Return a job by its id without dashes."""
        parts = (compact[:8], compact[8:12], compact[12:16], compact[16:20], compact[20:])
        with self.store.read() as transaction:
            found = transaction.jobs.get("-".join(parts))
        assert found is not None
        return found

    def jobs(self, workflow: Workflow) -> list[Job]:
        """Return the jobs of a workflow."""
        with self.store.read() as transaction:
            return transaction.jobs.of_workflow(workflow.id)

    def status(self, workflow: Workflow) -> WorkflowStatus:
        """Return the status of a workflow."""
        with self.store.read() as transaction:
            found = transaction.workflows.get(workflow.id)
        assert found is not None
        return found.status

    def moves(self) -> list[Move]:
        """Return every change of a state so far."""
        return read_moves(self.folder / "state" / "gateway.db")
