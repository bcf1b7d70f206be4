"""What the client returns: frozen records, read from the API's JSON.

Times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.vocabulary.states import WorkflowStatus


def time_of(text: Any) -> datetime | None:
    """Read REANA's form of a time: naive UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


@dataclass(frozen=True, slots=True)
class Progress:
    """Jobs of a workflow by state. A REANA server does not count those that wait or stopped."""

    total: int = 0
    queued: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    stopped: int = 0

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Progress:
        """Read plain numbers, or REANA's objects with a ``total``."""
        counts = {}
        for name in cls.__slots__:
            value = data.get(name)
            counts[name] = int(value.get("total") or 0 if isinstance(value, dict) else value or 0)
        return cls(**counts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a job, with what it used."""

    number: int
    state: str
    outcome: str | None
    reason: str
    scheduler_id: str
    node: str
    exit_code: int | None
    max_rss_mib: int | None
    cpu_s: float | None
    submitted: datetime | None
    started: datetime | None
    ended: datetime | None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Attempt:
        """Read one entry of a job's ``attempts``."""
        return cls(
            number=data["number"],
            state=data["state"],
            outcome=data["outcome"],
            reason=data["reason"],
            scheduler_id=data["scheduler_id"] or "",
            node=data["node"] or "",
            exit_code=data["exit_code"],
            max_rss_mib=data["max_rss_mib"],
            cpu_s=data["cpu_s"],
            submitted=time_of(data["submitted"]),
            started=time_of(data["started"]),
            ended=time_of(data["ended"]),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One command of a workflow."""

    id: str
    step: str
    command: str
    image: str
    cluster: str
    state: str
    reason: str
    outcome: str | None
    exit_code: int | None
    scheduler_id: str
    node: str
    started: datetime | None
    ended: datetime | None
    attempts: tuple[Attempt, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Job:
        """Read one entry of a workflow's ``jobs``."""
        return cls(
            id=data["id"],
            step=data["step"],
            command=data["command"],
            image=data["image"],
            cluster=data["cluster"],
            state=data["state"],
            reason=data["reason"],
            outcome=data["outcome"],
            exit_code=data["exit_code"],
            scheduler_id=data["scheduler_id"] or "",
            node=data["node"] or "",
            started=time_of(data["started"]),
            ended=time_of(data["ended"]),
            attempts=tuple(Attempt.read(each) for each in data["attempts"]),
        )


@dataclass(frozen=True, slots=True)
class Workflow:
    """One run of a specification. Lists hold neither message nor workspace nor jobs."""

    id: str
    name: str
    run_number: str
    status: WorkflowStatus
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    progress: Progress
    message: str = ""
    workspace: str = ""
    stop_requested: datetime | None = None
    jobs: tuple[Job, ...] = ()

    @property
    def full_name(self) -> str:
        """``name.run``."""
        return f"{self.name}.{self.run_number}"

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Workflow:
        """Read the answer with everything about one workflow."""
        return cls(
            id=data["id"],
            name=data["name"],
            run_number=data["run_number"],
            status=WorkflowStatus(data["status"]),
            created=time_of(data["created"]),
            started=time_of(data["started"]),
            ended=time_of(data["ended"]),
            progress=Progress.read(data["progress"]),
            message=data["message"] or "",
            workspace=data["workspace"],
            stop_requested=time_of(data["stop_requested"]),
            jobs=tuple(Job.read(each) for each in data["jobs"]),
        )

    @classmethod
    def read_listed(cls, data: Mapping[str, Any]) -> Workflow:
        """Read one item of REANA's list, whose ``name`` includes the run number."""
        name, _, run = data["name"].partition(".")
        progress = data["progress"]
        ended = progress.get("run_finished_at") or progress.get("run_stopped_at")
        return cls(
            id=data["id"],
            name=name,
            run_number=run,
            status=WorkflowStatus(data["status"]),
            created=time_of(data["created"]),
            started=time_of(progress.get("run_started_at")),
            ended=time_of(ended),
            progress=Progress.read(progress),
        )


@dataclass(frozen=True, slots=True)
class JobLog:
    """What one job wrote: standard output, then errors, then why it did not go well."""

    job_id: str
    step: str
    status: str
    backend: str
    backend_job_id: str
    image: str
    command: str
    text: str
    started: datetime | None
    ended: datetime | None

    @classmethod
    def read(cls, job_id: str, data: Mapping[str, Any]) -> JobLog:
        """Read one entry of REANA's ``job_logs``."""
        return cls(
            job_id=job_id,
            step=data["job_name"],
            status=data["status"],
            backend=data.get("compute_backend") or "",
            backend_job_id=data.get("backend_job_id") or "",
            image=data.get("docker_img") or "",
            command=data.get("cmd") or "",
            text=data["logs"] or "",
            started=time_of(data.get("started_at")),
            ended=time_of(data.get("finished_at")),
        )


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a workspace; ``name`` is relative to it."""

    name: str
    size: int
    modified: datetime | None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> RemoteFile:
        """Read one item of REANA's listing."""
        return cls(data["name"], data["size"]["raw"], time_of(data.get("last-modified")))


@dataclass(frozen=True, slots=True)
class Usage:
    """Allocated bytes of a file or directory; the workspace itself has an empty name."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """Sizes of what was removed, and why the rest was not."""

    deleted: Mapping[str, int]
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Diff:
    """Lines of a unified diff by section of the specification, and the text for the workspaces."""

    specification: Mapping[str, tuple[str, ...]]
    workspace: str


@dataclass(frozen=True, slots=True)
class SecretName:
    """A secret without its value; ``kind`` is ``env`` or ``file``."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Files that are removed some days after the end of a workflow; ``apply_on`` is that day."""

    pattern: str
    days: int
    status: str
    apply_on: datetime | None


@dataclass(frozen=True, slots=True)
class SiteFact:
    """One thing that the site says of itself."""

    title: str
    value: str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server takes us for, and its version."""

    email: str
    full_name: str
    server_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a time line."""

    at: datetime | None
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job or a workflow is where it is."""

    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Explanation:
        """Read the answer."""
        return cls(
            title=data["title"],
            sentence=data["sentence"],
            facts=tuple((each["name"], each["value"]) for each in data["facts"]),
            events=tuple(
                Event(time_of(each["at"]), each["kind"], each["text"]) for each in data["events"]
            ),
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a transfer is; ``total`` is ``None`` while the size is not known."""

    name: str
    done: int
    total: int | None
