"""HTCondor's words in our vocabulary; pure."""

from __future__ import annotations

import re

from gateway.submitters.htcondor.submit_file import WALLTIME_HOLDS
from gateway.vocabulary.evidence import HoldCode, SchedulerState

IDLE, RUNNING, REMOVED, COMPLETED, HELD, TRANSFERRING, SUSPENDED = range(1, 8)

_BY_STATUS = {
    IDLE: SchedulerState.PENDING,
    RUNNING: SchedulerState.RUNNING,
    REMOVED: SchedulerState.CANCELLED,
    COMPLETED: SchedulerState.COMPLETED,
    HELD: SchedulerState.HELD,
    TRANSFERRING: SchedulerState.RUNNING,
    SUSPENDED: SchedulerState.SUSPENDED,
}
_BY_A_POLICY = re.compile(r"SYSTEM_PERIODIC_|PeriodicRemove|system policy", re.IGNORECASE)
_OF_TIME = re.compile(r"wall.?time|wall.?clock|run.?time|duration|time exceeded", re.IGNORECASE)
_OF_MEMORY = re.compile(r"\bmem(ory)?\b", re.IGNORECASE)


def status_state(status: object) -> SchedulerState:
    """Return the state for a ``JobStatus``."""
    return _BY_STATUS.get(status, SchedulerState.UNKNOWN) if isinstance(status, int) else _UNKNOWN


def held_state(hold: HoldCode | None) -> SchedulerState:
    """Tell a job that used up its time from one that waits for somebody."""
    if hold and hold.code in WALLTIME_HOLDS:
        return SchedulerState.TIMEOUT
    return SchedulerState.HELD


def removed_state(reason: str, last_hold: int | None = None) -> SchedulerState:
    """Tell the walltime and memory policies of a pool from a person's removal.

    Such policies have no code, only the text that the site gave them; at CERN "Job removed by
    SYSTEM_PERIODIC_REMOVE due to wall time exceeded allowed max."
    """
    if not _BY_A_POLICY.search(reason):
        return SchedulerState.CANCELLED
    if last_hold in WALLTIME_HOLDS or _OF_TIME.search(reason):
        return SchedulerState.TIMEOUT
    return SchedulerState.OUT_OF_MEMORY if _OF_MEMORY.search(reason) else SchedulerState.CANCELLED


def ended_state(exit_code: int | None, signal: int | None) -> SchedulerState:
    """Return the state of a job that ended by itself."""
    failed = signal is not None or exit_code not in (0, None)
    return SchedulerState.FAILED if failed else SchedulerState.COMPLETED


def node_of_slot(slot: str) -> str:
    """Return the node of ``slot1_2@node``."""
    return slot.rpartition("@")[2]


_UNKNOWN = SchedulerState.UNKNOWN
