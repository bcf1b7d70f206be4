"""From evidence to verdict: a pure function of what was seen and of the time.

Rules (docs/architecture.md, "Proof"): an end needs positive evidence; a bad word of the scheduler
outweighs exit code 0; what the scheduler may still start again is not over; unknown words mean
alive; a job is lost only after it was missing everywhere for the grace time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.vocabulary.evidence import (
    Evidence,
    ExitRecord,
    HoldCode,
    Observation,
    Outcome,
    SchedulerState,
    Verdict,
)
from gateway.vocabulary.states import AttemptState


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for evidence, in seconds.

    Parameters
    ----------
    settle_s
        For the second of two witnesses: an exit record that is not visible yet on a shared
        filesystem, or the scheduler's word on a job that was told to end.
    lost_after_s
        For a job that is missing everywhere.
    held_for_s
        For a person to look after a held job.
    """

    settle_s: float = 90.0
    lost_after_s: float = 900.0
    held_for_s: float = 4 * 3600.0


ALIVE_ELSEWHERE = 4
"""So many times longer a missing job is waited for while another record takes it for alive."""

_NODE_TROUBLE = re.compile(
    r"^no scratch directory below|^cannot write .* on |user namespace|loop ?device|No space left|"
    r"Input/output error|Transport endpoint|(?:apptainer|singularity): (?:command )?not found|"
    r"/dev/fuse|squashfuse|fuse2fs",
    re.IGNORECASE,
)
"""What job script and container runtime say where the node is at fault, not the image."""

EX_NO_RECORD = 73
EX_NO_CLAIM = 75
EX_DUPLICATE = 79
"""Exit codes of ``job.sh`` itself, meaningful only where there is no exit record."""

SCHEDULER_OUTCOME = {
    SchedulerState.TIMEOUT: (Outcome.TIMEOUT, "it reached its walltime"),
    SchedulerState.OUT_OF_MEMORY: (Outcome.OUT_OF_MEMORY, "it used more memory than it asked for"),
    SchedulerState.PREEMPTED: (Outcome.PREEMPTED, "the scheduler took its node for another job"),
    SchedulerState.NODE_FAILED: (Outcome.NODE_LOST, "its node failed"),
    SchedulerState.LAUNCH_FAILED: (Outcome.NODE_BAD, "the scheduler could not start it"),
    SchedulerState.CANCELLED: (Outcome.CANCELLED, "it was cancelled outside the gateway"),
}
_ALIVE_WORDS = {
    SchedulerState.PENDING: (AttemptState.PENDING, "waits in the queue"),
    SchedulerState.RUNNING: (AttemptState.RUNNING, "runs"),
    SchedulerState.SUSPENDED: (AttemptState.RUNNING, "is suspended by the scheduler"),
}


@dataclass(frozen=True, slots=True)
class HoldRule:
    """What a hold means: an end with an outcome, or waiting for a person."""

    outcome: Outcome | None
    text: str


# HTCondor manual, "Hold reason codes". Codes that are not here wait for a person.
HOLD_RULES: dict[int, HoldRule] = {
    1: HoldRule(None, "held by a person"),
    3: HoldRule(Outcome.HELD, "held by a policy of the job"),
    4: HoldRule(Outcome.CREDENTIALS, "its credential is not usable"),
    6: HoldRule(Outcome.NODE_BAD, "the job script could not be executed"),
    7: HoldRule(Outcome.STAGING, "a file of the job could not be opened"),
    8: HoldRule(Outcome.STAGING, "a file of the job could not be opened"),
    9: HoldRule(Outcome.STAGING, "a file of the job could not be opened"),
    10: HoldRule(Outcome.STAGING, "a file of the job could not be opened"),
    12: HoldRule(Outcome.STAGING, "its files could not be transferred"),
    13: HoldRule(Outcome.STAGING, "its files could not be transferred"),
    14: HoldRule(Outcome.STAGING, "its directory is not accessible"),
    15: HoldRule(None, "submitted on hold"),
    16: HoldRule(None, "its input is being spooled"),
    21: HoldRule(Outcome.HELD, "held by a policy of the site"),
    22: HoldRule(Outcome.STAGING, "its event log cannot be written"),
    23: HoldRule(Outcome.CREDENTIALS, "the account cannot be used on the node"),
    26: HoldRule(Outcome.HELD, "held by a policy of the site"),
    32: HoldRule(Outcome.HELD, "its files are larger than the site allows"),
    33: HoldRule(Outcome.HELD, "its files are larger than the site allows"),
    34: HoldRule(Outcome.OUT_OF_MEMORY, "it used more memory than it asked for"),
    35: HoldRule(Outcome.IMAGE, "its image cannot be used"),
    46: HoldRule(Outcome.TIMEOUT, "it reached its walltime"),
    47: HoldRule(Outcome.TIMEOUT, "it reached its walltime"),
}
RESOURCE_CODES = (21, 34)
MEMORY_SUBCODE, DISK_SUBCODE = 102, 104
"""What was exceeded: 34 by the starter, 21 by the stock policies ``HOLD_IF_*_EXCEEDED``."""


def verdict(evidence: Evidence, now: float, patience: Patience) -> Verdict:
    """Say what follows from the evidence at time ``now``.

    The function is total: every combination of evidence has a verdict.
    """
    record, seen = evidence.exit_record, evidence.observation
    if record is not None and not _may_start_again(record, evidence):
        return _from_record(evidence, record, now, patience)
    if seen is None or evidence.missing_since is not None:
        return _from_silence(evidence, now, patience)
    if seen.state is SchedulerState.HELD:
        return _from_hold(seen, evidence, now, patience)
    if seen.state.is_terminal:
        return _from_end(seen, evidence, now, patience)
    return _alive(seen, evidence)


def _may_start_again(record: ExitRecord, evidence: Evidence) -> bool:
    """Whether a later start of the same attempt exists, or the scheduler announces one.

    A clean end is final. A command that was told to end may be started again by the scheduler,
    which then lists the job as waiting or held.
    """
    if evidence.claim is not None and evidence.claim.restart > record.restart:
        return True
    seen = evidence.observation
    if seen is None or not record.was_told_to_end:
        return False
    if (later_end := _ended_otherwise(seen, record)) or evidence.missing_since is not None:
        return later_end
    if seen.state is SchedulerState.HELD:
        return True
    later = seen.restart_count is not None and seen.restart_count > record.restart
    return later or (
        seen.state is SchedulerState.PENDING and seen.observed_at > _record_at(evidence, record)
    )


def _ended_otherwise(seen: Observation, record: ExitRecord) -> bool:
    """Whether a later start has ended whose files are not visible: a script ends as it records."""
    if record.warned in ("stop", "WALLTIME") or seen.signal:
        return False
    own_end = seen.state in (SchedulerState.COMPLETED, SchedulerState.FAILED)
    return own_end and seen.exit_code not in (None, record.exit_code, EX_DUPLICATE)


def _record_at(evidence: Evidence, record: ExitRecord) -> float:
    """Return when a record was there, by our clock if we have seen it come."""
    return record.finished_at if evidence.record_since is None else evidence.record_since


def _ended(outcome: Outcome, reason: str) -> Verdict:
    return Verdict(AttemptState.ENDED, reason, outcome)


def _words(seen: Observation) -> str:
    """Return the scheduler's own words, for the end of a sentence."""
    said = f"{seen.raw}: {seen.reason}" if seen.reason else seen.raw
    return f" ({seen.source.value} says {said})"


def _from_record(evidence: Evidence, record: ExitRecord, now: float, patience: Patience) -> Verdict:
    seen = evidence.observation
    if seen is not None and seen.state in SCHEDULER_OUTCOME:
        return _from_both(evidence, record, seen)
    if record.oom_kills:
        return _ended(Outcome.OUT_OF_MEMORY, f"{_kills(record)}, exit code {record.exit_code}")
    if record.was_told_to_end or record.signal == 9:
        return _told_to_end(evidence, record, now, patience)
    return _own_end(record)


def _from_both(evidence: Evidence, record: ExitRecord, seen: Observation) -> Verdict:
    """Judge an end of which the scheduler says more than the exit code.

    A command that lost a process to the kernel often hangs until its walltime: more time would not
    help it. A removal or a lost node has a reason of its own; kills are only named beside it.
    """
    outcome, text = SCHEDULER_OUTCOME[seen.state]
    if outcome is Outcome.CANCELLED and evidence.stop_requested:
        return _ended(outcome, "stopped on request")
    if record.oom_kills:
        text = f"{text}; before, {_kills(record)}"
        outcome = Outcome.OUT_OF_MEMORY if outcome is Outcome.TIMEOUT else outcome
    return _ended(outcome, f"{text}, exit code {record.exit_code}{_words(seen)}")


def _kills(record: ExitRecord) -> str:
    return f"the kernel killed {record.oom_kills} of its processes for memory"


def _told_to_end(evidence: Evidence, record: ExitRecord, now: float, patience: Patience) -> Verdict:
    """Judge a command that a signal from outside ended: the scheduler knows why."""
    if record.warned == "WALLTIME":
        return _ended(Outcome.TIMEOUT, f"it reached its walltime, exit code {record.exit_code}")
    if evidence.stop_requested:
        return _ended(Outcome.CANCELLED, "stopped on request")
    if record.warned == "stop":
        return _ended(Outcome.LOST, "it was taken back before it was sent again, and did not run")
    # A slow epilog, or a requeue that has begun: the scheduler still has it.
    wait = patience.lost_after_s if _is_listed(evidence) else patience.settle_s
    waited = evidence.answered and now >= _record_at(evidence, record) + wait
    if not waited and not _scheduler_is_done(evidence):
        return Verdict(
            AttemptState.RUNNING,
            "a signal ended its command",
            waits_for="the scheduler's word on why the signal was sent",
        )
    if record.warned:
        return _ended(Outcome.CANCELLED, f"signal {record.warned} from outside ended it")
    return _ended(
        Outcome.APP_ERROR, "its command was killed (signal 9), which is often a lack of memory"
    )


def _is_listed(evidence: Evidence) -> bool:
    return evidence.observation is not None and evidence.missing_since is None


def _scheduler_is_done(evidence: Evidence) -> bool:
    seen = evidence.observation
    return seen is not None and seen.state.is_terminal


def _own_end(record: ExitRecord) -> Verdict:
    if record.exit_code == 0:
        return _ended(Outcome.SUCCESS, "exit code 0")
    if record.runtime_error:
        if _NODE_TROUBLE.search(record.runtime_error):
            return _ended(Outcome.NODE_BAD, f"{record.node} cannot run it: {record.runtime_error}")
        return _ended(
            Outcome.IMAGE, f"the container could not run the command: {record.runtime_error}"
        )
    if record.signal:
        return _ended(Outcome.APP_ERROR, f"its command ended by signal {record.signal}")
    meaning = {126: " (not executable)", 127: " (command not found)"}.get(record.exit_code, "")
    return _ended(Outcome.APP_ERROR, f"exit code {record.exit_code}{meaning}")


def _from_end(seen: Observation, evidence: Evidence, now: float, patience: Patience) -> Verdict:
    """Judge a job that the scheduler calls over and that has left no exit record."""
    if evidence.stop_requested and evidence.claim is None:
        return _ended(Outcome.CANCELLED, "stopped on request")
    said_since = evidence.said_since if evidence.said_since is not None else seen.observed_at
    # The job script ends with 0 only after its record was written.
    proved = seen.state is SchedulerState.COMPLETED and seen.exit_code == 0
    wait = patience.lost_after_s if proved else patience.settle_s
    if now < said_since + wait and _record_may_come(seen, evidence):
        return Verdict(
            AttemptState.RUNNING if evidence.claim else AttemptState.PENDING,
            f"over for the scheduler{_words(seen)}",
            waits_for="its exit record to become visible",
        )
    if evidence.stop_requested:
        return _ended(Outcome.CANCELLED, "stopped on request")
    if evidence.claim is not None and seen.exit_code == EX_DUPLICATE:
        same = evidence.claim.native_id in ("", seen.native_id)
        if not same or now < said_since + patience.lost_after_s:
            return _elsewhere(seen)
    if seen.state in SCHEDULER_OUTCOME:
        outcome, text = SCHEDULER_OUTCOME[seen.state]
        return _ended(outcome, text + _words(seen))
    return _without_record(seen, evidence)


def _elsewhere(seen: Observation) -> Verdict:
    """Wait for the copy that was first; the one that was asked about ended at once, as it should.

    The claim names the first copy, and the scheduler is asked about that one next (``copies``).
    """
    return Verdict(
        AttemptState.RUNNING,
        f"the scheduler got it twice; the copy that was late has ended{_words(seen)}",
        waits_for="the exit record of the copy that was first",
    )


def _record_may_come(seen: Observation, evidence: Evidence) -> bool:
    """Whether the job script was able to write a record that we do not see yet.

    Nothing in a record changes what follows from a lost node or from too much memory.
    """
    if seen.exit_code in (EX_NO_RECORD, EX_NO_CLAIM):
        return False
    if seen.state in (SchedulerState.COMPLETED, SchedulerState.FAILED):
        return True
    known = (SchedulerState.NODE_FAILED, SchedulerState.OUT_OF_MEMORY)
    return evidence.claim is not None and seen.state not in known


def _without_record(seen: Observation, evidence: Evidence) -> Verdict:
    where = f" on {seen.node}" if seen.node else ""
    if seen.exit_code == EX_NO_CLAIM:
        return _ended(
            Outcome.NODE_BAD, f"the job script could not use the shared filesystem{where}"
        )
    if seen.exit_code == EX_NO_RECORD:
        return _ended(
            Outcome.LOST, f"the job script could not write its exit record{where}{_words(seen)}"
        )
    if evidence.claim is None and seen.state is SchedulerState.FAILED:
        return _ended(Outcome.NODE_BAD, f"the job script did not start{where}{_words(seen)}")
    return _ended(
        Outcome.LOST, f"the scheduler calls it over, but it left no exit record{_words(seen)}"
    )


def _from_hold(seen: Observation, evidence: Evidence, now: float, patience: Patience) -> Verdict:
    if evidence.stop_requested:
        return Verdict(AttemptState.HELD, "held; stop requested", waits_for="its removal")
    rule = hold_rule(seen.hold)
    if rule.outcome is not None:
        return _ended(rule.outcome, rule.text + _words(seen))
    since = evidence.held_since if evidence.held_since is not None else seen.observed_at
    if now >= since + patience.held_for_s:
        return _ended(Outcome.HELD, f"held for too long{_words(seen)}")
    return Verdict(
        AttemptState.HELD,
        f"{rule.text}{_words(seen)}",
        waits_for="somebody to release or remove it",
    )


def hold_rule(hold: HoldCode | None) -> HoldRule:
    """Return what a hold means; ``None`` for a hold without a code."""
    if hold is None:
        return HoldRule(None, "held by the scheduler")
    if hold.code in RESOURCE_CODES and hold.subcode == DISK_SUBCODE:
        return HoldRule(Outcome.HELD, "it used more scratch disk than it asked for")
    if hold.code in RESOURCE_CODES and hold.subcode == MEMORY_SUBCODE:
        return HoldRule(Outcome.OUT_OF_MEMORY, "it used more memory than it asked for")
    return HOLD_RULES.get(hold.code, HoldRule(None, "held by the scheduler"))


def _from_silence(evidence: Evidence, now: float, patience: Patience) -> Verdict:
    missing = evidence.missing_since
    if missing is not None:
        # What we asked to be removed, and what never started, leaves no record behind in Slurm
        # when it was part of a waiting array. It can no longer start: that is forbidden by file.
        removed = evidence.stop_requested and evidence.claim is None and evidence.answered
        if removed and now >= missing + patience.settle_s:
            return _ended(Outcome.CANCELLED, "stopped on request; no longer in the scheduler")
        doubt = ALIVE_ELSEWHERE if evidence.alive_elsewhere else 1
        if evidence.answered and now >= missing + patience.lost_after_s * doubt:
            return _lost(evidence, now - missing)
        return Verdict(
            AttemptState.RUNNING if evidence.claim else AttemptState.PENDING,
            "not listed by the scheduler at the moment",
            waits_for="an exit record, or the scheduler's word",
        )
    if evidence.claim is not None:
        return Verdict(
            AttemptState.RUNNING,
            f"runs on {evidence.claim.node}",
            waits_for="its exit record",
        )
    return Verdict(AttemptState.PENDING, "sent", waits_for="the scheduler to start it")


def _lost(evidence: Evidence, missing_for_s: float) -> Verdict:
    if evidence.stop_requested:
        return _ended(Outcome.CANCELLED, "stopped on request; no longer in the scheduler")
    last = evidence.observation
    return _ended(
        Outcome.LOST,
        f"missing from every record of the scheduler for {missing_for_s:.0f} s, and it left no "
        "exit record" + (f"; last seen{_words(last)}" if last else ""),
    )


def _alive(seen: Observation, evidence: Evidence) -> Verdict:
    state, text = _ALIVE_WORDS.get(
        seen.state,
        (
            AttemptState.RUNNING if evidence.claim else AttemptState.PENDING,
            "is in a state that this gateway does not know",
        ),
    )
    claim = evidence.claim
    if state is AttemptState.PENDING and claim and claim.claimed_at > seen.observed_at:
        state, text = AttemptState.RUNNING, "runs"
    node = (claim.node if claim else "") or seen.node
    where = f" on {node}" if node and state is AttemptState.RUNNING else ""
    waits = "its exit record" if state is AttemptState.RUNNING else "the scheduler to start it"
    plain = seen.state is SchedulerState.RUNNING or text == "runs"
    return Verdict(state, text + where + ("" if plain else _words(seen)), waits_for=waits)
