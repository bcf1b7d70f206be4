"""What can be observed about an attempt, and what follows from it.

Evidence is positive: an exit record that our job script wrote, a scheduler's word, a line of
accounting or of an event log. That a scheduler does not list a job is recorded too, but it is
never evidence of an end (docs/architecture.md, "Proof").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.vocabulary.states import AttemptState


class SchedulerState(StrEnum):
    """Scheduler states brought to one vocabulary; the scheduler's own word stays beside it."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    HELD = "held"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out of memory"
    PREEMPTED = "preempted"
    NODE_FAILED = "node failed"
    LAUNCH_FAILED = "launch failed"
    """The scheduler could not start the job on the node: boot, prolog, executable, mount."""
    UNKNOWN = "unknown"
    """A word we do not know: the job is taken to be alive."""

    @property
    def is_terminal(self) -> bool:
        """Whether the scheduler says that the job is over."""
        return self in _SCHEDULER_ENDS


_SCHEDULER_ENDS = frozenset(
    {
        SchedulerState.COMPLETED,
        SchedulerState.FAILED,
        SchedulerState.CANCELLED,
        SchedulerState.TIMEOUT,
        SchedulerState.OUT_OF_MEMORY,
        SchedulerState.PREEMPTED,
        SchedulerState.NODE_FAILED,
        SchedulerState.LAUNCH_FAILED,
    }
)


class Source(StrEnum):
    """Where an observation comes from."""

    QUEUE = "queue"
    ACCOUNTING = "accounting"
    EVENT_LOG = "event log"
    PROCESS_TABLE = "process table"


@dataclass(frozen=True, slots=True)
class HoldCode:
    """Why HTCondor holds a job: ``HoldReasonCode`` and ``HoldReasonSubCode``."""

    code: int
    subcode: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What a scheduler says of one task at one moment.

    Parameters
    ----------
    state
        The state in our vocabulary.
    raw
        The scheduler's own word for it (``PREEMPTED``, ``JobStatus 5``).
    source
        Which of the scheduler's records said it.
    observed_at
        When, in seconds since the epoch, by our clock.
    native_id
        The task's id in the scheduler.
    reason
        The scheduler's own text: pending reason, hold reason, removal reason.
    hold
        Hold codes, HTCondor only.
    exit_code, signal
        As the scheduler saw the job script end.
    restart_count
        How many times the scheduler has started it again.
    started_at, finished_at
        By the scheduler's clock, seconds since the epoch.
    max_rss_mib, cpu_s
        Peak memory in MiB and used CPU seconds from accounting.
    """

    state: SchedulerState
    raw: str
    source: Source
    observed_at: float
    native_id: str = ""
    reason: str = ""
    hold: HoldCode | None = None
    exit_code: int | None = None
    signal: int | None = None
    restart_count: int | None = None
    node: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    max_rss_mib: int | None = None
    cpu_s: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The file by which one run of a job script took an attempt for itself."""

    key: str
    restart: int
    native_id: str
    node: str
    claimed_at: float
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """What the job script wrote when the command had ended.

    Parameters
    ----------
    key, restart, native_id, node
        Which attempt, which start of it by the scheduler, under which id and where.
    exit_code
        Of the command; 128 + signal when a signal ended it.
    signal
        The signal that ended the command, if one did.
    started_at, finished_at
        By the node's clock, seconds since the epoch.
    peak_memory_mib
        Of the job's control group, where the node has one.
    oom_kills
        Processes of the job that the kernel killed for memory, where the node can tell.
    cpu_s
        Processor seconds of the command and of its children that it waited for.
    warned
        The signal by which the scheduler announced the end (walltime, removal), or ``""``.
    runtime_error
        Last words of the container runtime when it failed to start the command.
    """

    key: str
    restart: int
    native_id: str
    node: str
    exit_code: int
    started_at: float
    finished_at: float
    signal: int | None = None
    peak_memory_mib: int | None = None
    oom_kills: int | None = None
    cpu_s: float | None = None
    warned: str = ""
    runtime_error: str = ""

    @property
    def was_told_to_end(self) -> bool:
        """Whether a signal from outside ended it; ``USR2`` is only our own early warning."""
        return self.warned not in ("", "USR2")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known about one attempt when a verdict is asked for.

    Parameters
    ----------
    claim, exit_record
        Of the highest restart count seen.
    observation
        The latest of the scheduler.
    said_since
        Since when the scheduler has said the same as in ``observation``.
    missing_since
        Since when every record of the scheduler that could name the job was asked, answered,
        and did not; ``None`` while it is listed or the scheduler cannot be asked.
    submitted_at
        When the scheduler took it.
    held_since
        Since when it has been held without a break.
    stop_requested
        Whether we asked the scheduler to remove it.
    answered
        Whether the scheduler was asked just now, and answered. Its silence runs out no patience.
    record_since
        When the exit record was seen first, by our clock: that of the node may be wrong.
    alive_elsewhere
        Whether it is missing while another record of the scheduler takes it for alive.
    """

    submitted_at: float
    claim: Claim | None = None
    exit_record: ExitRecord | None = None
    observation: Observation | None = None
    said_since: float | None = None
    missing_since: float | None = None
    held_since: float | None = None
    stop_requested: bool = False
    answered: bool = True
    record_since: float | None = None
    alive_elsewhere: bool = False


class Outcome(StrEnum):
    """What an ended attempt came to; decides what happens next."""

    SUCCESS = "success"
    APP_ERROR = "application error"
    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "walltime"
    PREEMPTED = "preempted"
    NODE_LOST = "node lost"
    NODE_BAD = "node bad"
    IMAGE = "image"
    STAGING = "staging"
    CREDENTIALS = "needs credentials"
    HELD = "held"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from the evidence.

    ``outcome`` is set exactly when ``state`` is ``ended``. ``reason`` is one sentence for the
    user. ``waits_for`` says, for a live attempt, which piece of evidence is still to come.
    """

    state: AttemptState
    reason: str
    outcome: Outcome | None = None
    waits_for: str = ""
