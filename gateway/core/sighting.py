"""What is remembered of an attempt that was looked at: columns and time line entries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from gateway.vocabulary.evidence import (
    Claim,
    Evidence,
    ExitRecord,
    HoldCode,
    Observation,
    Outcome,
    SchedulerState,
    Source,
    Verdict,
)
from gateway.vocabulary.records import Attempt, Event, EventKind, Job
from gateway.vocabulary.states import AttemptState

_OURS = ("since", "record_since", "claimed_at")
"""What is remembered beside the observation itself."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One open attempt with what is known and what was just seen of it."""

    attempt: Attempt
    evidence: Evidence
    verdict: Verdict


def observation_from(data: Mapping[str, Any]) -> Observation | None:
    """Read the observation that an attempt remembers."""
    if "state" not in data:
        return None
    hold = data.get("hold")
    return Observation(
        **{
            **{name: data[name] for name in data if name not in _OURS},
            "state": SchedulerState(data["state"]),
            "source": Source(data["source"]),
            "hold": HoldCode(**hold) if hold else None,
        }
    )


def latest(before: Mapping[str, Any], fresh: Observation | None) -> Observation | None:
    """Return what was said last: what was just seen, or what an attempt remembers.

    An event log is written a little after the queue knows, so what it says last of a living job may
    be older than what the queue has said since.
    """
    if fresh is None:
        return observation_from(before)
    if fresh.source is not Source.EVENT_LOG or fresh.state.is_terminal or "state" not in before:
        return fresh
    older = before["source"] != Source.EVENT_LOG and fresh.observed_at < before["observed_at"]
    return observation_from(before) if older else fresh


def if_changed(news: Watched) -> Watched | None:
    """Return the sighting if it says anything that is not remembered yet."""
    attempt, given, evidence = news.attempt, news.verdict, news.evidence
    claim = evidence.claim
    same = (
        attempt.state is given.state
        and attempt.reason == given.reason
        and attempt.missing_since == evidence.missing_since
        and attempt.held_since == evidence.held_since
        and (claim is None or (attempt.node, attempt.restart) == (claim.node, claim.restart))
        and (claim is None or is_known(attempt.observed, claim))
        and _same_words(attempt.observed, evidence.observation)
    )
    return None if same else news


def is_known(before: Mapping[str, Any], claim: Claim) -> bool:
    """Whether an attempt remembers this claim, not only one of an earlier start."""
    return bool(before.get("claimed_at") == claim.claimed_at)


def with_memory(attempt: Attempt, evidence: Evidence, given: Verdict) -> Verdict:
    """Return the verdict in the light of what is remembered of the attempt.

    What we removed ourselves ended for the reason for which we did it. What ran has run, also while
    its claim cannot be seen for a moment; only the scheduler's word puts it back into the queue. A
    removal begins with an eviction, which is no such word of what we had removed.
    """
    record = evidence.exit_record
    forbidden = record is not None and record.warned == "stop"
    removed = given.outcome is Outcome.CANCELLED or (given.outcome is Outcome.LOST and forbidden)
    if attempt.outcome is not None and removed and not evidence.stop_requested:
        return Verdict(AttemptState.ENDED, attempt.reason, attempt.outcome)
    seen = evidence.observation
    queued = seen is not None and seen.state is SchedulerState.PENDING
    if (attempt.state, given.state) != (AttemptState.RUNNING, AttemptState.PENDING):
        return given
    if evidence.stop_requested:
        return Verdict(AttemptState.RUNNING, "is being stopped", waits_for="its end")
    return given if queued else replace(given, state=AttemptState.RUNNING)


def said_since(before: Mapping[str, Any], seen: Observation | None, now: float) -> float | None:
    """Return since when the scheduler has said what it says now, no later than the look began."""
    if seen is None:
        return None
    remembered = before.get("since") if _same_words(before, seen) else None
    return min(seen.observed_at, now) if remembered is None else float(remembered)


def _same_words(before: Mapping[str, Any], seen: Observation | None) -> bool:
    if seen is None or "state" not in before:
        return seen is None and "state" not in before
    now = (seen.state.value, seen.raw, seen.reason, seen.restart_count)
    return now == tuple(before.get(name) for name in ("state", "raw", "reason", "restart_count"))


def columns(news: Watched, now: float) -> dict[str, Any]:
    """Return what is to be remembered of the attempt."""
    attempt, evidence, given = news.attempt, news.evidence, news.verdict
    record, claim, seen = evidence.exit_record, evidence.claim, evidence.observation
    ended = given.outcome is not None
    outcome = given.outcome or attempt.outcome
    return {
        "state": given.state.value,
        "outcome": outcome.value if outcome else None,
        "reason": given.reason,
        "waits_for": given.waits_for,
        "node": (claim.node if claim else "") or (seen.node if seen else "") or attempt.node,
        "restart": claim.restart if claim else attempt.restart,
        "native_id": (seen.native_id if seen else "") or attempt.native_id,
        "exit_code": record.exit_code if record else (seen.exit_code if seen and ended else None),
        "started_at": _started(evidence) or attempt.started_at,
        "finished_at": (record.finished_at if record else now) if ended else None,
        "missing_since": evidence.missing_since,
        "held_since": evidence.held_since,
        "max_rss_mib": _memory(record, seen),
        "cpu_s": _cpu(record, seen),
        "observed": _remembered(evidence),
    }


def _started(evidence: Evidence) -> float | None:
    if evidence.exit_record:
        return evidence.exit_record.started_at
    if evidence.claim:
        return evidence.claim.claimed_at
    return evidence.observation.started_at if evidence.observation else None


def _memory(record: ExitRecord | None, seen: Observation | None) -> int | None:
    if record is not None and record.peak_memory_mib is not None:
        return record.peak_memory_mib
    return seen.max_rss_mib if seen else None


def _cpu(record: ExitRecord | None, seen: Observation | None) -> float | None:
    """Prefer the scheduler's account, which also knows processes that nobody waited for."""
    if seen is not None and seen.cpu_s:
        return seen.cpu_s
    return record.cpu_s if record else None


def _remembered(evidence: Evidence) -> dict[str, Any]:
    """Return what the next look must know of this one."""
    seen, claim, since = evidence.observation, evidence.claim, evidence.record_since
    known = _plain(seen) | {"since": evidence.said_since} if seen else {}
    known |= {} if since is None else {"record_since": since}
    return known | ({} if claim is None else {"claimed_at": claim.claimed_at})


def record_since(before: Mapping[str, Any], record: ExitRecord | None, now: float) -> float | None:
    """Return since when the exit record has been there, by our clock."""
    if record is None:
        return None
    known = before.get("record_since")
    return now if known is None else float(known)


def _plain(seen: Observation) -> dict[str, Any]:
    plain = {field.name: getattr(seen, field.name) for field in fields(seen)}
    hold = None if seen.hold is None else asdict(seen.hold)
    return plain | {"state": seen.state.value, "source": seen.source.value, "hold": hold}


def entries(news: Watched, job: Job, now: float) -> list[Event]:
    """Return what is new for the time line."""
    attempt, evidence, given = news.attempt, news.evidence, news.verdict
    found = []

    def note(kind: EventKind, text: str) -> None:
        found.append(Event(now, kind, text, job.workflow_id, job.id, attempt.key))

    seen = evidence.observation
    if seen is not None and not _same_words(attempt.observed, seen):
        said = f"{seen.raw}: {seen.reason}" if seen.reason else seen.raw
        note(EventKind.OBSERVATION, f"{seen.source.value} says {said}")
    claim = evidence.claim
    if claim and claim.node and (claim.node, claim.restart) != (attempt.node, attempt.restart):
        again = f", restart {claim.restart}" if claim.restart else ""
        note(EventKind.OBSERVATION, f"claimed on {claim.node} by {claim.native_id}{again}")
    if evidence.exit_record and given.outcome:
        note(EventKind.OBSERVATION, f"exit record: {_record_words(evidence.exit_record)}")
    if given.outcome:
        note(
            EventKind.DECISION,
            f"attempt {attempt.number} ended, {given.outcome.value}: {given.reason}",
        )
    elif given.state is not attempt.state:
        note(EventKind.STATUS, f"{attempt.state.value} -> {given.state.value}: {given.reason}")
    return found


def _record_words(record: ExitRecord) -> str:
    warned = f", told to end by {record.warned}" if record.warned else ""
    return f"exit code {record.exit_code} on {record.node}{warned}"
