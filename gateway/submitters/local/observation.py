"""What follows for one task from its files and its process; pure.

The local cluster's word is that of the process table, and of the marks left by those who ended a
process: the walltime timer of the job script, and our own ``cancel``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.submitters.local.process_table import Host, ProcessId
from gateway.vocabulary.evidence import Claim, ExitRecord, Observation, SchedulerState, Source

_NOT_AN_END = frozenset({"", "USR2"})
"""What an exit record notes that did not ask the command to end."""


class Life(StrEnum):
    """What the process table says of a task."""

    GONE = "no process"
    STARTING = "process alive, nothing claimed yet"
    ALIVE = "process alive"
    ORPHANED = "job script gone, its command alive"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read about one task.

    Parameters
    ----------
    started_on
        Where it was sent to, and under which boot, if that is known.
    life
        Of the process that claimed the task, or that is about to.
    killed_by_us
        Whether we wrote down that we kill it.
    """

    claim: Claim | None
    record: ExitRecord | None
    started_on: Host | None
    life: Life
    killed_by_us: bool = False


_LIVING = {
    Life.STARTING: SchedulerState.PENDING,
    Life.ALIVE: SchedulerState.RUNNING,
    Life.ORPHANED: SchedulerState.RUNNING,
}


def observe_task(seen: Seen, here: Host, now: float) -> Observation | None:
    """Return what is known, or ``None`` if the task is nowhere to be seen."""
    home = _home(seen)
    if seen.record:
        return _ended(seen.record, home, here, now)
    if home and home.is_apart_from(here):
        reason = f"runs on {home.node}, whose processes cannot be seen from {here.node}"
        raw = "on another host" if home.node != here.node else "in another container"
        return _word(SchedulerState.UNKNOWN, raw, now, seen, reason)
    if home and home.was_restarted(here):
        reason = f"the host {here.node} was restarted"
        return _word(SchedulerState.NODE_FAILED, "other boot id", now, seen, reason)
    if seen.life is not Life.GONE:
        return _word(_LIVING[seen.life], seen.life.value, now, seen)
    if seen.killed_by_us:
        return _word(SchedulerState.CANCELLED, "killed", now, seen, "killed by the gateway")
    return None


def _home(seen: Seen) -> Host | None:
    process = ProcessId.parse(seen.claim.native_id) if seen.claim else None
    return process.host if process else seen.started_on


def _word(state: SchedulerState, raw: str, now: float, seen: Seen, reason: str = "") -> Observation:
    claim = seen.claim
    return Observation(
        state=state,
        raw=raw,
        source=Source.PROCESS_TABLE,
        observed_at=now,
        reason=reason,
        native_id=claim.native_id if claim else "",
        node=claim.node if claim else "",
        started_at=claim.claimed_at if claim else None,
        restart_count=claim.restart if claim else None,
    )


def _ended(record: ExitRecord, home: Host | None, here: Host, now: float) -> Observation:
    state, reason = _how_it_ended(record, home, here)
    return Observation(
        state=state,
        raw=f"exit record, {record.warned}" if record.warned else "exit record",
        source=Source.PROCESS_TABLE,
        observed_at=now,
        native_id=record.native_id,
        reason=reason,
        exit_code=record.exit_code,
        signal=record.signal,
        restart_count=record.restart,
        node=record.node,
        started_at=record.started_at,
        finished_at=record.finished_at,
        max_rss_mib=record.peak_memory_mib,
    )


def _how_it_ended(record: ExitRecord, home: Host | None, here: Host) -> tuple[SchedulerState, str]:
    if record.warned == "WALLTIME":
        seconds = record.finished_at - record.started_at
        return SchedulerState.TIMEOUT, f"ended at its walltime limit, after {seconds:.0f} s"
    if record.warned == "stop":
        return SchedulerState.CANCELLED, "stopped before its command began"
    if record.warned not in _NOT_AN_END:
        if home and home.was_restarted(here):
            return SchedulerState.NODE_FAILED, f"ended when the host {here.node} was restarted"
        return SchedulerState.CANCELLED, f"ended after signal {record.warned}"
    if record.exit_code == 0:
        return SchedulerState.COMPLETED, ""
    return SchedulerState.FAILED, f"exit code {record.exit_code}"
