"""A whole state machine over a fake scheduler, a fake clock and a real SQLite file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.composition.app import engine_of
from gateway.core.cycle import Cycle
from gateway.core.lease import take
from gateway.core.parts import Call, Cluster, FetchResult, MissingImage, Parts
from gateway.errors import GatewayError
from gateway.service.order import Order
from gateway.service.workflows import Workflows
from gateway.site.model import Site
from gateway.spec.load import load_data
from gateway.store.store import Store
from gateway.testing.clock import FakeClock
from gateway.testing.fake_cluster import FakeCluster
from gateway.vocabulary.image import ImageSource, ResolvedImage
from gateway.vocabulary.launch import JobSecrets, Launch
from gateway.vocabulary.records import Attempt, Job, Lease, Workflow
from gateway.vocabulary.states import WorkflowStatus


class NoCalls:
    """A gate's memory with nothing in it."""

    def drain(self) -> tuple[Call, ...]:
        return ()

    def state(self, known: Mapping[str, Any]) -> dict[str, Any]:
        del known
        return {}


@dataclass(frozen=True)
class Wanted:
    """An image to be fetched."""

    name: str


@dataclass
class FakeImages:
    """Images that are there, or must be fetched first."""

    secrets_root: Path = Path("/nonexistent")
    to_fetch: set[str] = field(default_factory=set)
    results: dict[str, FetchResult] = field(default_factory=dict)
    broken: GatewayError | None = None

    def look_up(self, reference: str, workflow: Workflow) -> ResolvedImage | MissingImage:
        del workflow
        return Wanted(reference) if reference in self.to_fetch else self.resolved(reference)

    def resolved(self, reference: str) -> ResolvedImage:
        return ResolvedImage(reference, "/images/x.sif", ImageSource.STORE, "sha256:0", 0.0)

    def fetch_launch(self, name: str, job_id: str) -> Launch:
        return Launch(("env",), ("fetch", name, job_id), {}, "/")

    def fetch_result(self, job_id: str) -> FetchResult | None:
        return self.results.get(job_id)

    def step_launch(
        self,
        job: Job,
        attempt: Attempt,
        workflow: Workflow,
        image: ResolvedImage,
        secrets: JobSecrets,
    ) -> Launch:
        del image
        if self.broken is not None:
            raise self.broken
        directory = str(self.secrets_root / attempt.key)
        command = ("sh", "-c", job.command)
        return Launch(("env",), command, {}, workflow.workspace, secrets, directory)


@dataclass
class Machine:
    """Everything that a test of the state machine touches."""

    store: Store
    clock: FakeClock
    cluster: FakeCluster
    images: FakeImages
    parts: Parts
    workflows: Workflows
    lease: Lease
    cycle: Cycle

    def submit(self, *commands: str, name: str = "w", **step: Any) -> Workflow:
        """Create and start a workflow of one step."""
        return self.workflows.start(self.create(*commands, name=name, **step).id)

    def create(self, *commands: str, name: str = "w", **step: Any) -> Workflow:
        """Create a workflow of one step."""
        body = {"name": "step", "environment": "img:1", "commands": list(commands), **step}
        data = {"workflow": {"type": "serial", "specification": {"steps": [body]}}}
        return self.workflows.create(Order(load_data(data), name=name))

    def tick(self, seconds: float = 1.0) -> int:
        """Let time pass and make one pass; return the number of changes."""
        self.clock.pass_by(seconds)
        done = self.cycle.tick()
        assert done.troubles == ()
        return done.changes

    def new_driver(self) -> None:
        """Replace the driver, as after a kill: nothing in memory survives."""
        lease = self.take_lease()
        assert lease is not None
        self.lease = lease
        self.cycle = Cycle(self.parts, lease)

    def take_lease(self) -> Lease | None:
        self.clock.pass_by(120)
        return take(self.store, "test", self.clock(), host="other", boot="b", token="t")

    def status(self, workflow: Workflow) -> WorkflowStatus:
        with self.store.read() as transaction:
            found = transaction.workflows.get(workflow.id)
        assert found is not None
        return found.status

    def message(self, workflow: Workflow) -> str:
        with self.store.read() as transaction:
            found = transaction.workflows.get(workflow.id)
        assert found is not None
        return found.message

    def jobs(self, workflow: Workflow) -> list[Job]:
        with self.store.read() as transaction:
            return transaction.jobs.of_workflow(workflow.id)

    def attempts(self, workflow: Workflow) -> list[Attempt]:
        with self.store.read() as transaction:
            return transaction.jobs.attempts_of_workflow(workflow.id)

    def sent(self, workflow: Workflow) -> str:
        """Tick until the workflow's first attempt is with the scheduler; return its key."""
        for _ in range(3):
            self.tick()
        return self.attempts(workflow)[-1].key


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from build_machine(tmp_path)


def build_machine(
    tmp_path: Path,
    url: str | None = None,
    cluster: Mapping[str, Any] | None = None,
    **more: Any,
) -> Iterator[Machine]:
    """Build a machine whose one cluster is fake."""
    settings = {"type": "slurm", **(cluster or {})}
    site = Site.model_validate(
        {
            "shared_root": str(tmp_path / "shared"),
            "state_dir": str(tmp_path / "state"),
            "database": url,
            "clusters": {"main": settings},
            "containers": {"build_cluster": "main"},
            **more,
        }
    )
    clock = FakeClock()
    fake = FakeCluster(clock)
    store = Store(site.database_url)
    numbers = itertools.count(1)
    images = FakeImages()
    new_id: Callable[[], str] = lambda: f"{next(numbers):08x}-0000-4000-8000-000000000000"  # noqa: E731
    parts = Parts(
        store=store,
        site=site,
        clusters={"main": Cluster("main", site.clusters["main"], fake, NoCalls())},
        images=images,
        engine=engine_of,
        clock=clock,
        new_id=new_id,
    )
    workflows = Workflows(store, site, lambda _name, _resources: None, clock, new_id)
    lease = take(store, "test", clock(), host="h", boot="b", token="first")
    assert lease is not None
    yield Machine(store, clock, fake, images, parts, workflows, lease, Cycle(parts, lease))
    store.close()
