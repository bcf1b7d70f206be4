"""The verdict as tables, made by asking it: for the documentation, and for tests of it.

Every scheduler's words are brought to one vocabulary; from there on one function judges them
all. So there is a table of words for each scheduler, and one table of what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from gateway.core.policy import GiveUp, Past, Retry, decide
from gateway.core.verdict import (
    ALIVE_ELSEWHERE,
    DISK_SUBCODE,
    EX_DUPLICATE,
    EX_NO_CLAIM,
    EX_NO_RECORD,
    HOLD_RULES,
    MEMORY_SUBCODE,
    RESOURCE_CODES,
    Patience,
    verdict,
)
from gateway.submitters.htcondor.states import held_state, removed_state, status_state
from gateway.submitters.local.observation import Life, Seen, observe_task
from gateway.submitters.local.process_table import Host
from gateway.submitters.slurm import states as slurm
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
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.units import show_seconds

PATIENCE = Patience()
SINCE = 1_000_000.0
"""When the scheduler began to say what it says, and when the exit record was written."""
AGES = (
    1.0,
    PATIENCE.settle_s,
    PATIENCE.lost_after_s,
    PATIENCE.lost_after_s * ALIVE_ELSEWHERE,
    PATIENCE.held_for_s,
)
"""From each of these on, in seconds, a verdict may be another one."""

_CLAIM = Claim("k.1", 0, "7_0", "node1", SINCE - 100)
_EXIT = ExitRecord("k.1", 0, "7_0", "node1", 0, SINCE - 100, SINCE)
_KILLED = replace(_EXIT, exit_code=137, signal=9)
RECORDS: Mapping[str, tuple[Claim | None, ExitRecord | None]] = {
    "none, not claimed": (None, None),
    "none, claimed": (_CLAIM, None),
    "exit code 0": (_CLAIM, _EXIT),
    "exit code 3": (_CLAIM, replace(_EXIT, exit_code=3)),
    "ended by signal 11": (_CLAIM, replace(_EXIT, exit_code=139, signal=11)),
    "ended by signal 9": (_CLAIM, _KILLED),
    "told to end (TERM)": (_CLAIM, replace(_EXIT, exit_code=143, signal=15, warned="TERM")),
    "kept from starting": (_CLAIM, replace(_EXIT, exit_code=143, warned="stop")),
    "our walltime timer": (_CLAIM, replace(_EXIT, exit_code=143, signal=15, warned="WALLTIME")),
    "processes killed for memory": (_CLAIM, replace(_KILLED, oom_kills=2)),
    "runtime failed": (_CLAIM, replace(_EXIT, exit_code=255, runtime_error="FATAL: ...")),
}
"""What the job script has left: its claim, and its exit record."""

NOT_SEEN, MISSING = "not asked yet", "missing everywhere"
DOUBTED = "missing in the queue, alive in accounting"
SILENT, MISSED = "does not answer", "was missing, does not answer"
NO_CLAIM, NO_RECORD = f"failed with status {EX_NO_CLAIM}", f"failed with status {EX_NO_RECORD}"
"""Words of the job script itself: it cannot use the shared filesystem, or not write its record."""
DUPLICATE = f"failed with status {EX_DUPLICATE}"
"""The same: another copy has claimed the attempt."""
DUPLICATE_OF_ITSELF = f"{DUPLICATE}, though it holds the claim"
WELL = "completed with status 0"
"""The job script ends so only after it has written its record."""


@dataclass(frozen=True, slots=True)
class Case:
    """One combination: what the scheduler says, what the job script has left."""

    says: str
    record: str
    evidence: Evidence

    def judged(self, age_s: float) -> Verdict:
        """Return the verdict when all of it has been so for some seconds."""
        seen = self.evidence.observation
        now = SINCE + age_s
        fresh = replace(seen, observed_at=now) if seen else None
        return verdict(replace(self.evidence, observation=fresh), now, PATIENCE)


@dataclass(frozen=True, slots=True)
class Row:
    """Combinations that come to the same, from one age to another.

    ``until_s`` is ``None`` if no later age changes anything.
    """

    cases: tuple[Case, ...]
    from_s: float
    until_s: float | None
    given: Verdict

    @property
    def age(self) -> str:
        """The ages, in words."""
        begins = "" if self.from_s == AGES[0] else f"from {show_seconds(self.from_s)}"
        ends = "" if self.until_s is None else f"up to {show_seconds(self.until_s)}"
        return ", ".join(filter(None, (begins, ends))) or "any"

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        given = self.given
        says = dict.fromkeys(case.says for case in self.cases)
        records = dict.fromkeys(case.record for case in self.cases)
        return (
            ", ".join(says),
            "; ".join(records),
            self.age,
            given.state.value,
            given.outcome.value if given.outcome else "",
            given.reason,
            follows(given, stopping=self.cases[0].evidence.stop_requested),
        )


HEADINGS = ("scheduler says", "exit record", "for", "state", "outcome", "reason", "what follows")


def follows(given: Verdict, *, stopping: bool) -> str:
    """Say what happens after a verdict, by asking the retry policy."""
    if given.outcome is None:
        return f"it waits for {given.waits_for}"
    if given.outcome is Outcome.SUCCESS:
        return "the job is finished"
    return "the job is stopped" if stopping else policy(given.outcome)


def policy(outcome: Outcome) -> str:
    """Say what the retry policy makes of an outcome that repeats itself."""
    maximum = Resources(memory_mib=2**30, walltime_s=2**30)
    past = [Past(outcome, Resources(memory_mib=1024, walltime_s=3600), "node1")]
    first = decide(past, 0, maximum)
    if isinstance(first, GiveUp):
        asked = decide(past, 1, maximum)
        more = "; again, if the step has `retries`" if isinstance(asked, Retry) else ""
        return f"the job fails{more}"
    tries = 0
    following: Retry | GiveUp = first
    while isinstance(following, Retry):
        tries += 1
        past.append(Past(outcome, following.resources, "node1"))
        following = decide(past, 0, maximum)
    return _retried(first, past[0].resources, tries)


def _retried(first: Retry, had: Resources, tries: int) -> str:
    words = ["again"]
    for field, word in (("memory_mib", "memory"), ("walltime_s", "walltime")):
        before, after = getattr(had, field), getattr(first.resources, field)
        if after != before:
            words.append(f"with {after // before} times the {word}, below the site's maximum")
    if first.exclude_nodes:
        words.append("away from the node")
    if first.delay_s:
        words.append(f"after {show_seconds(first.delay_s)} or longer")
    words.append("once" if tries == 1 else f"at most {tries} times")
    return ", ".join(words)


def general() -> list[Row]:
    """Return what follows from each state, whichever scheduler said it."""
    cases = [
        Case(says, record, replace(base, claim=claim, exit_record=written))
        for record, (claim, written) in RECORDS.items()
        for says, base in _said().items()
    ]
    return _merged(cases)


def stopping() -> list[Row]:
    """Return the same for jobs that the user wants stopped."""
    cases = [
        Case(says, record, replace(base, claim=claim, exit_record=written, stop_requested=True))
        for record, (claim, written) in RECORDS.items()
        for says, base in _said().items()
    ]
    return _merged(cases)


def holds() -> list[Row]:
    """Return what follows from a hold, by HTCondor's codes; other schedulers have none."""
    codes = {str(code): HoldCode(code) for code in sorted(HOLD_RULES)}
    for code in RESOURCE_CODES:
        codes[f"{code}, subcode {MEMORY_SUBCODE}"] = HoldCode(code, MEMORY_SUBCODE)
        codes[f"{code}, subcode {DISK_SUBCODE}"] = HoldCode(code, DISK_SUBCODE)
    codes = dict(sorted(codes.items(), key=lambda pair: (pair[1].code, pair[1].subcode)))
    codes |= {"any other": HoldCode(9999)}
    cases = []
    for says, hold in codes.items():
        state = held_state(hold)
        for record in ("none, not claimed", "none, claimed", "told to end (TERM)"):
            claim, written = RECORDS[record]
            base = _evidence(_observation(state, hold=hold))
            cases.append(Case(says, record, replace(base, claim=claim, exit_record=written)))
    return _merged(cases)


def _said() -> dict[str, Evidence]:
    said = {NOT_SEEN: _evidence(None)}
    said |= {state.value: _evidence(_observation(state)) for state in SchedulerState}
    codes = {NO_CLAIM: EX_NO_CLAIM, NO_RECORD: EX_NO_RECORD, DUPLICATE: EX_DUPLICATE}
    for says, code in codes.items():
        said[says] = _evidence(_observation(SchedulerState.FAILED, exit_code=code))
    itself = _observation(SchedulerState.FAILED, exit_code=EX_DUPLICATE)
    said[DUPLICATE_OF_ITSELF] = _evidence(replace(itself, native_id=_CLAIM.native_id))
    said[WELL] = _evidence(_observation(SchedulerState.COMPLETED, exit_code=0))
    missing = replace(_evidence(None), missing_since=SINCE)
    silent = {
        SILENT: replace(_evidence(None), answered=False),
        MISSED: replace(missing, answered=False),
    }
    doubted = {DOUBTED: replace(missing, alive_elsewhere=True)}
    return said | {MISSING: missing} | doubted | silent


def _evidence(seen: Observation | None) -> Evidence:
    held = seen is not None and seen.state is SchedulerState.HELD
    return Evidence(
        submitted_at=SINCE - 200,
        observation=seen,
        said_since=SINCE if seen else None,
        held_since=SINCE if held else None,
    )


def _observation(
    state: SchedulerState, hold: HoldCode | None = None, exit_code: int | None = None
) -> Observation:
    return Observation(
        state=state,
        raw="WORD",
        source=Source.QUEUE,
        observed_at=SINCE,
        reason="REASON",
        hold=hold,
        exit_code=exit_code,
    )


def _merged(cases: Sequence[Case]) -> list[Row]:
    """Put together what comes to the same: first by what is said, then by the record."""
    by_record = [
        _together(list(same), lambda case: (case.record, _course(case)))
        for _, same in groupby(cases, key=lambda case: case.record)
    ]
    groups: dict[object, list[Case]] = {}
    for group in (group for groups_ in by_record for group in groups_):
        says = tuple(case.says for case in group)
        groups.setdefault((says, _course(group[0])), []).extend(group)
    return [row for group in groups.values() for row in _rows(group)]


def _together(cases: Sequence[Case], key: object) -> list[list[Case]]:
    assert callable(key)
    groups: dict[object, list[Case]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    return list(groups.values())


def _course(case: Case) -> tuple[Verdict, ...]:
    """Return the verdicts at all ages."""
    return tuple(_plain(case.judged(age)) for age in AGES)


def _plain(given: Verdict) -> Verdict:
    """Leave out numbers that make no difference."""
    reason = re.sub(r"for \d+ s", "for N s", given.reason)
    return replace(given, reason=re.sub(r", exit code \d+", ", exit code N", reason))


def _rows(group: Sequence[Case]) -> Iterator[Row]:
    verdicts = list(zip(AGES, _course(group[0]), strict=True))
    parts = [(given, [age for age, _ in same]) for given, same in _runs(verdicts)]
    for number, (given, ages) in enumerate(parts):
        until = parts[number + 1][1][0] if number + 1 < len(parts) else None
        yield Row(tuple(group), ages[0], until, given)


def _runs(
    verdicts: Sequence[tuple[float, Verdict]],
) -> Iterator[tuple[Verdict, list[tuple[float, Verdict]]]]:
    for given, same in groupby(verdicts, key=lambda pair: pair[1]):
        yield given, list(same)


def slurm_words() -> dict[SchedulerState, list[str]]:
    """Return Slurm's words by the state that they mean."""
    words: dict[SchedulerState, list[str]] = {}
    for word in slurm._STATES:
        words.setdefault(slurm.scheduler_state(word), []).append(word)
    for word, reasons in (("FAILED", slurm._FAILED_BECAUSE), ("PENDING", _PENDING_REASONS)):
        for state, given in _by_state(word, reasons).items():
            words.setdefault(state, []).append(f"`{word}` with reason {', '.join(given)}")
    words.setdefault(slurm.scheduler_state("NOVEL"), []).append("any other word")
    return words


def _by_state(word: str, reasons: Iterable[str]) -> dict[SchedulerState, list[str]]:
    found: dict[SchedulerState, list[str]] = {}
    for reason in reasons:
        found.setdefault(slurm.scheduler_state(word, reason), []).append(reason)
    return found


_PENDING_REASONS = (
    "Priority", "Resources", "JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue",
    "launch failed requeued held", "DependencyNeverSatisfied", "ReservationDeleted",
    "BadConstraints", "PartitionTimeLimit", "PartitionNodeLimit", "MaxMemPerLimit",
    "AccountNotAllowed", "QOSNotAllowed", "InvalidAccount", "InvalidQOS", "QOSMaxMemoryPerJob",
    "AssocMaxWallDurationPerJobLimit", "QOSMinCpuNotSatisfied", "QOSMaxJobsPerUserLimit",
    "AssocGrpCpuLimit",
)  # fmt: skip
"""Reasons that a user meets; what each comes to is asked of the adapter."""

_STATUSES = ("idle", "running", "removed", "completed", "held", "transferring output", "suspended")
_REMOVALS = (
    "via condor_rm (by user alice)",
    "SYSTEM_PERIODIC_REMOVE due to wall time exceeded",
    "SYSTEM_PERIODIC_REMOVE due to memory usage",
)


def htcondor_words() -> dict[SchedulerState, list[str]]:
    """Return HTCondor's words by the state that they mean."""
    words: dict[SchedulerState, list[str]] = {}
    for number, name in enumerate(_STATUSES, start=1):
        words.setdefault(status_state(number), []).append(f"JobStatus {number} ({name})")
    for reason in _REMOVALS:
        words.setdefault(removed_state(reason), []).append(f'removed: "{reason}"')
    for code in sorted(HOLD_RULES):
        state = held_state(HoldCode(code))
        if state is not SchedulerState.HELD:
            words.setdefault(state, []).append(f"held with code {code}")
    words.setdefault(status_state(99), []).append("any other JobStatus")
    return words


def local_words() -> dict[SchedulerState, list[str]]:
    """Return what a local cluster says, by state; where it says nothing the job is missing."""
    here, boot = Host("node1", "boot"), Host("node1", "an earlier boot")
    there = Host("node2", "boot")
    looks = [Seen(None, None, here, life) for life in Life]
    looks.append(Seen(None, None, here, Life.GONE, killed_by_us=True))
    looks += [Seen(None, None, boot, Life.GONE), Seen(None, None, there, Life.GONE)]
    looks += [Seen(None, record, here, Life.GONE) for _, record in RECORDS.values() if record]
    words: dict[SchedulerState, list[str]] = {}
    for look in looks:
        seen = observe_task(look, here, SINCE)
        if seen is not None:
            said = f"{seen.raw}: {seen.reason}" if seen.reason else seen.raw
            words.setdefault(seen.state, []).append(re.sub(r"\b\d+\b", "N", said))
    return {state: list(dict.fromkeys(said)) for state, said in words.items()}
