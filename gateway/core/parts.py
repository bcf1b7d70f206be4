"""What the state machine works with: adapters behind contracts, given by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gateway.core.verdict import Patience
from gateway.engines.base import Engine
from gateway.site.model import ClusterBase, Site
from gateway.store.store import Store, Transaction
from gateway.submitters.base import Submitter
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.launch import JobSecrets, Launch
from gateway.vocabulary.records import Attempt, Job, Lease, Workflow
from gateway.vocabulary.resources import Resources


@dataclass(frozen=True, slots=True)
class Call:
    """One scheduler call that was made, for the count."""

    kind: str
    at: float
    seconds: float
    ok: bool


class CallBook(Protocol):
    """The memory of a cluster's command gate."""

    def drain(self) -> Iterable[Call]:
        """Return the calls made since the last time, and forget them."""

    def state(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the gates of all processes should go on with, as JSON types.

        ``known`` is what was stored last, by whichever process.
        """


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster as the state machine sees it."""

    name: str
    settings: ClusterBase
    submitter: Submitter
    calls: CallBook

    @property
    def patience(self) -> Patience:
        """How long to wait for evidence here."""
        return Patience(lost_after_s=self.settings.lost_after, held_for_s=self.settings.held_for)

    @property
    def maximum(self) -> Resources:
        """The most that a job may get here."""
        return self.settings.maximum.resources()


class MissingImage(Protocol):
    """An image that must be fetched before it can be used."""

    @property
    def name(self) -> str:
        """The normalised reference, the same for all spellings of one image."""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch job left behind: an image, or a message and whether trying again is vain."""

    image: ResolvedImage | None
    message: str = ""
    hint: str = ""


class Images(Protocol):
    """Container images, without a word about how."""

    def look_up(self, reference: str, workflow: Workflow) -> ResolvedImage | MissingImage:
        """Return an image that can be used now, or what to fetch. Never uses the network.

        Raises
        ------
        GatewayError
            If the reference can never be used.
        """

    def fetch_launch(self, name: str, job_id: str) -> Launch:
        """Return the command of a fetch job."""

    def fetch_result(self, job_id: str) -> FetchResult | None:
        """Return what a fetch job left behind, ``None`` if nothing can be read."""

    def step_launch(
        self,
        job: Job,
        attempt: Attempt,
        workflow: Workflow,
        image: ResolvedImage,
        secrets: JobSecrets,
    ) -> Launch:
        """Return the command of a step's job."""


def no_secrets(_transaction: Transaction, _owner: str) -> JobSecrets:
    """Return what jobs get where nobody has secrets."""
    return JobSecrets()


def no_chores(_lease: Lease) -> int:
    """Do nothing else."""
    return 0


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that one driver needs.

    Parameters
    ----------
    secrets_of
        What jobs of a user get of its secrets now.
    chores
        What else is due; returns how many changes it made.
    """

    store: Store
    site: Site
    clusters: Mapping[str, Cluster]
    images: Images
    engine: Callable[[Workflow], Engine]
    clock: Callable[[], float]
    new_id: Callable[[], str]
    secrets_of: Callable[[Transaction, str], JobSecrets] = no_secrets
    chores: Callable[[Lease], int] = no_chores

    def control_dir(self, submission_key: str) -> Path:
        """Return the control directory of a submission."""
        return self.site.control / submission_key
