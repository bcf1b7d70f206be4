"""What the gateway remembers, as frozen records; the store reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import AttemptState, JobState, SubmissionState, WorkflowStatus

DEFAULT_USER = "00000000-0000-4000-8000-000000000000"
"""Id of the person who runs the gateway: whoever may read the database is that user."""


@dataclass(frozen=True, slots=True)
class User:
    """Someone who owns workflows and secrets; jobs of all users run under the gateway's account."""

    id: str
    email: str
    full_name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Token:
    """One access token of a user, without the token itself.

    Parameters
    ----------
    id
        Short name by which it is listed and revoked; no secret.
    digest
        SHA-256 of the token, hexadecimal. A token has 256 random bits, so no salt is needed.
    """

    id: str
    user_id: str
    label: str
    digest: str
    created_at: float
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a user: an environment variable or a file of every job.

    Parameters
    ----------
    kind
        ``env`` or ``file``.
    sealed
        The value, encrypted with the key of ``state_dir``.
    """

    user_id: str
    name: str
    kind: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Files of a workspace that are removed some days after the workflow's end.

    Parameters
    ----------
    pattern
        Glob below the workspace.
    status
        REANA's: ``created``, ``active``, ``inactive``, ``pending``, ``applied``.
    """

    id: int
    workflow_id: str
    pattern: str
    days: int
    status: str
    apply_on: float | None = None


@dataclass(frozen=True, slots=True)
class RunNumber:
    """REANA's run number: a new run counts ``major`` up, a restart ``minor``."""

    major: int
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" if self.minor else str(self.major)


@dataclass(frozen=True, slots=True)
class Workflow:
    """One run of a specification.

    Parameters
    ----------
    key
        Idempotency key of the one who created it, if given.
    specification
        As REANA's client would post it.
    parameters, options
        What was given at start, over those of the specification.
    cluster
        Cluster for all steps that name no backend, if the user chose one.
    total
        Jobs that the engine knows to be needed in all, once it has said so.
    stop_requested_at
        Since when the user wants it stopped: durable intent.
    owner
        Id of the user; names and run numbers count per owner.
    launcher_url
        Where the specification was fetched from, if it was.
    """

    id: str
    name: str
    run: RunNumber
    status: WorkflowStatus
    specification: dict[str, Any]
    parameters: dict[str, Any]
    options: dict[str, Any]
    workspace: str
    created_at: float
    key: str | None = None
    cluster: str | None = None
    message: str = ""
    total: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    stop_requested_at: float | None = None
    owner: str = DEFAULT_USER
    launcher_url: str | None = None

    @property
    def full_name(self) -> str:
        """``name.run``, as REANA's client shows it."""
        return f"{self.name}.{self.run}"


class Purpose(StrEnum):
    """Why a job exists."""

    STEP = "step"
    IMAGE = "image"
    """Converts a container image that workflows wait for; belongs to no workflow."""


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run, of a workflow's step or of the gateway's own."""

    id: str
    workflow_id: str | None
    key: str
    position: int
    purpose: Purpose
    step: str
    command: str
    image: str
    cluster: str
    resources: Resources
    retries: int
    cvmfs: bool
    state: JobState
    created_at: float
    reason: str = ""
    outcome: Outcome | None = None
    exit_code: int | None = None
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a job.

    Parameters
    ----------
    key
        Idempotency key: travels into the scheduler and stands in claim and exit record.
    ready_at
        Not to be sent before this time.
    resources
        What this try asks for: the job's, raised by the retry policy.
    observed
        Last observation as JSON types, for ``explain``.
    """

    key: str
    job_id: str
    number: int
    state: AttemptState
    cluster: str
    resources: Resources
    ready_at: float
    exclude_nodes: tuple[str, ...] = ()
    submission_key: str | None = None
    task_index: int | None = None
    native_id: str = ""
    node: str = ""
    restart: int = 0
    reason: str = ""
    waits_for: str = ""
    outcome: Outcome | None = None
    exit_code: int | None = None
    submitted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    missing_since: float | None = None
    held_since: float | None = None
    max_rss_mib: int | None = None
    cpu_s: float | None = None
    observed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubmissionRecord:
    """One scheduler call that sends attempts, and what is known of it.

    Parameters
    ----------
    prepared_at
        When it was written down.
    called_at
        When the scheduler was last called with it.
    absent_since
        Since when the scheduler provably does not have it, while its fate is unclear.
    """

    key: str
    cluster: str
    label: str
    state: SubmissionState
    resources: Resources
    exclude_nodes: tuple[str, ...]
    control_dir: str
    prepared_at: float
    called_at: float | None = None
    absent_since: float | None = None
    native_id: str = ""
    where: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowImage:
    """An image of a workflow: resolved once, then fixed for the life of the workflow."""

    workflow_id: str
    reference: str
    resolved: ResolvedImage | None = None
    fetch_job_id: str | None = None


class EventKind(StrEnum):
    """What an entry of the time line is about."""

    STATUS = "status"
    DECISION = "decision"
    OBSERVATION = "observation"
    CALL = "call"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the time line that ``explain`` shows."""

    at: float
    kind: EventKind
    text: str
    workflow_id: str | None = None
    job_id: str | None = None
    attempt_key: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who drives. ``generation`` counts owners up and fences the writes of a former one."""

    holder: str
    host: str
    pid: int
    boot_id: str
    purpose: str
    generation: int
    heartbeat_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What must outlive a process about a cluster.

    Parameters
    ----------
    status_at
        Time of the last bulk status call.
    blocked_until, blocked_reason
        No submission before this time, and the scheduler's words.
    limit
        Tasks that the scheduler takes in one submission, as learned from a refusal.
    gate
        State of the command gate, as JSON types.
    """

    name: str
    status_at: float | None = None
    blocked_until: float | None = None
    blocked_reason: str = ""
    blocked_times: int = 0
    limit: int | None = None
    gate: dict[str, Any] = field(default_factory=dict)
