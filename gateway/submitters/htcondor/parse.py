"""Answers of condor_q, condor_history and condor_submit as data; pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from gateway.submitters.htcondor import states
from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState, Source

Ad = dict[str, Any]

ATTRIBUTES = (
    "ClusterId",
    "ProcId",
    "GatewaySubmission",
    "GatewayKey",
    "JobStatus",
    "ExitBySignal",
    "ExitCode",
    "ExitSignal",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "LastHoldReasonCode",
    "RemoveReason",
    "NumJobStarts",
    "RemoteHost",
    "LastRemoteHost",
    "ResidentSetSize_RAW",
    "RemoteUserCpu",
    "RemoteSysCpu",
    "JobCurrentStartDate",
    "CompletionDate",
    "EnteredCurrentStatus",
)
_TERSE = re.compile(r"^(\d+)\.(\d+) - (\d+)\.(\d+)$", re.MULTILINE)


def parse_ads(stdout: str) -> list[Ad] | None:
    """Read ``-json`` output; ``None`` if it is not whole. No jobs may be an empty text."""
    if not stdout.strip():
        return []
    try:
        ads = json.loads(stdout, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(ads, list):
        return None
    return [ad for ad in ads if isinstance(ad, dict)]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What ``condor_submit -terse`` says: the cluster, and how many jobs it has."""

    cluster: int
    jobs: int


def parse_terse(stdout: str) -> Accepted | None:
    """Read ``12.0 - 12.4``; ``None`` for anything else, and for more than one cluster."""
    ranges = _TERSE.findall(stdout)
    if len(ranges) != 1:
        return None
    cluster, first, last_cluster, last = map(int, ranges[0])
    if cluster != last_cluster or first != 0:
        return None
    return Accepted(cluster, last + 1)


def cluster_of(ad: Ad) -> int | None:
    """Return the number of an ad's cluster."""
    return _integer(ad, "ClusterId")


def observation(ad: Ad, source: Source, now: float) -> Observation:
    """Return what an ad says of its job."""
    status = _integer(ad, "JobStatus")
    hold = _hold(ad) if status == states.HELD else None
    signal = _integer(ad, "ExitSignal") if ad.get("ExitBySignal") is True else None
    exit_code = _integer(ad, "ExitCode") if signal is None else None
    over = status in (states.COMPLETED, states.REMOVED)
    starts = _integer(ad, "NumJobStarts")
    finished = _time(ad, "CompletionDate") or _time(ad, "EnteredCurrentStatus")
    return Observation(
        state=_state(ad, status, hold, exit_code, signal),
        raw=f"JobStatus {status}",
        source=source,
        observed_at=now,
        native_id=f"{ad.get('ClusterId')}.{ad.get('ProcId')}",
        reason=_reason(ad, status),
        hold=hold,
        exit_code=exit_code if over else None,
        signal=signal if over else None,
        # A lower bound: NumShadowStarts, which the job script goes by, counts reconnections too.
        restart_count=starts - 1 if starts else None,
        node=states.node_of_slot(_text(ad, "RemoteHost") or _text(ad, "LastRemoteHost")),
        started_at=_time(ad, "JobCurrentStartDate"),
        finished_at=finished if over else None,
        max_rss_mib=_mib(_integer(ad, "ResidentSetSize_RAW")),
        cpu_s=_cpu(ad),
    )


def _state(
    ad: Ad, status: int | None, hold: HoldCode | None, exit_code: int | None, signal: int | None
) -> SchedulerState:
    if status == states.HELD:
        return states.held_state(hold)
    if status == states.COMPLETED:
        return states.ended_state(exit_code, signal)
    if status == states.REMOVED:
        # Until the node has let it go, a removed job may still write.
        if ad.get("RemoteHost"):
            return SchedulerState.RUNNING
        if _time(ad, "CompletionDate"):
            return states.ended_state(exit_code, signal)
        return states.removed_state(_text(ad, "RemoveReason"), _integer(ad, "LastHoldReasonCode"))
    return states.status_state(status)


def _reason(ad: Ad, status: int | None) -> str:
    if status == states.HELD:
        return _text(ad, "HoldReason")
    return _text(ad, "RemoveReason") if status == states.REMOVED else ""


def _hold(ad: Ad) -> HoldCode | None:
    code = _integer(ad, "HoldReasonCode")
    return None if code is None else HoldCode(code, _integer(ad, "HoldReasonSubCode") or 0)


def _integer(ad: Ad, name: str) -> int | None:
    value = ad.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(ad: Ad, name: str) -> str:
    value = ad.get(name)
    return value if isinstance(value, str) else ""


def _time(ad: Ad, name: str) -> float | None:
    value = _integer(ad, name)
    return float(value) if value and value > 0 else None


def _mib(kib: int | None) -> int | None:
    return None if kib is None else max(0, kib) // 1024


def _cpu(ad: Ad) -> float | None:
    parts = [ad.get("RemoteUserCpu"), ad.get("RemoteSysCpu")]
    numbers = [part for part in parts if isinstance(part, int | float)]
    return float(sum(numbers)) if numbers else None
