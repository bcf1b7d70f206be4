"""States of workflows, jobs, attempts and submissions, and which may follow which.

The names of workflow and job states are REANA's. States never move backwards: every change
goes through ``may_follow`` (enforced by the store in the same statement that writes).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class WorkflowStatus(StrEnum):
    """Where a workflow is; REANA's names."""

    CREATED = "created"
    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    DELETED = "deleted"

    @property
    def is_terminal(self) -> bool:
        """Whether no driver will touch the workflow again."""
        return self in _WORKFLOW_ENDS

    @property
    def is_active(self) -> bool:
        """Whether a driver has work to do for it."""
        return self in (WorkflowStatus.QUEUED, WorkflowStatus.PENDING, WorkflowStatus.RUNNING)


_WORKFLOW_ENDS = frozenset(
    {
        WorkflowStatus.FINISHED,
        WorkflowStatus.FAILED,
        WorkflowStatus.STOPPED,
        WorkflowStatus.DELETED,
    }
)


class JobState(StrEnum):
    """Where a job is; REANA's names. ``queued`` covers all the time before it runs."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has its result."""
        return self in (JobState.FINISHED, JobState.FAILED, JobState.STOPPED)


class AttemptState(StrEnum):
    """Where one try at a job is."""

    READY = "ready"
    """Waits to be sent; no scheduler has heard of it."""
    SUBMITTING = "submitting"
    """Part of a submission whose fate is not known yet."""
    PENDING = "pending"
    """The scheduler has it and it waits there."""
    HELD = "held"
    """The scheduler has it and will not run it until somebody acts."""
    RUNNING = "running"
    """Its job script has claimed it."""
    ENDED = "ended"
    """A verdict was given."""


class SubmissionState(StrEnum):
    """Where one scheduler call that sends attempts is."""

    PREPARED = "prepared"
    """Written down; the scheduler has certainly not been called."""
    CALLING = "calling"
    """The call is being made, or its maker was killed while making it."""
    UNCLEAR = "unclear"
    """The call ended without a usable answer."""
    SENT = "sent"
    """The scheduler has it, under a native id that we know."""
    REJECTED = "rejected"
    """The scheduler refused it for good."""
    WITHDRAWN = "withdrawn"
    """The scheduler had no room; its attempts wait for another submission."""


WORKFLOW_FOLLOWS: Mapping[WorkflowStatus, frozenset[WorkflowStatus]] = {
    WorkflowStatus.CREATED: frozenset({WorkflowStatus.QUEUED, WorkflowStatus.DELETED}),
    WorkflowStatus.QUEUED: frozenset(
        {WorkflowStatus.PENDING, WorkflowStatus.FAILED, WorkflowStatus.STOPPED}
    ),
    WorkflowStatus.PENDING: frozenset(
        {WorkflowStatus.RUNNING, WorkflowStatus.FAILED, WorkflowStatus.STOPPED}
    ),
    WorkflowStatus.RUNNING: frozenset(
        {WorkflowStatus.FINISHED, WorkflowStatus.FAILED, WorkflowStatus.STOPPED}
    ),
    WorkflowStatus.FINISHED: frozenset({WorkflowStatus.DELETED}),
    WorkflowStatus.FAILED: frozenset({WorkflowStatus.DELETED}),
    WorkflowStatus.STOPPED: frozenset({WorkflowStatus.DELETED}),
    WorkflowStatus.DELETED: frozenset(),
}
"""Legal moves of a workflow. REANA's table plus stop of ``queued`` and ``pending`` runs, which
REANA refuses (reana-client#557)."""


def may_follow(old: WorkflowStatus, new: WorkflowStatus) -> bool:
    """Say whether a workflow may go from ``old`` to ``new``."""
    return new in WORKFLOW_FOLLOWS[old]
