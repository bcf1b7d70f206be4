"""One test for each row of docs/reference/verdicts.md, and the rules that every row keeps.

The rules are written here once more and independently: what is in the table is what the code
says, so the page alone could not be wrong without the code being so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from gateway.composition.verdict_table import (
    AGES,
    DOUBTED,
    DUPLICATE,
    DUPLICATE_OF_ITSELF,
    HEADINGS,
    MISSED,
    MISSING,
    NO_CLAIM,
    NO_RECORD,
    NOT_SEEN,
    RECORDS,
    SILENT,
    WELL,
    Row,
    general,
    holds,
    htcondor_words,
    local_words,
    policy,
    slurm_words,
    stopping,
)
from gateway.vocabulary.evidence import Outcome, SchedulerState
from gateway.vocabulary.states import AttemptState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "verdicts.md"
SETTLE_S, LOST_S, DOUBTED_S, HELD_S = 90.0, 900.0, 3600.0, 14400.0
BAD_WORDS = {
    "timeout": Outcome.TIMEOUT,
    "out of memory": Outcome.OUT_OF_MEMORY,
    "preempted": Outcome.PREEMPTED,
    "node failed": Outcome.NODE_LOST,
    "launch failed": Outcome.NODE_BAD,
    "cancelled": Outcome.CANCELLED,
}
ALIVE = {NOT_SEEN, SILENT, MISSED, "pending", "running", "suspended", "unknown"}
OVER = {"completed", WELL, "failed", NO_CLAIM, NO_RECORD, DUPLICATE, DUPLICATE_OF_ITSELF}
NO_EXIT_RECORD = {"none, not claimed", "none, claimed"}
TOLD_TO_END = {"told to end (TERM)", "our walltime timer", "kept from starting"}
HOLDS = {
    "1": None, "3": Outcome.HELD, "4": Outcome.CREDENTIALS, "6": Outcome.NODE_BAD,
    "7": Outcome.STAGING, "8": Outcome.STAGING, "9": Outcome.STAGING, "10": Outcome.STAGING,
    "12": Outcome.STAGING, "13": Outcome.STAGING, "14": Outcome.STAGING, "15": None, "16": None,
    "21": Outcome.HELD, "21, subcode 102": Outcome.OUT_OF_MEMORY,
    "21, subcode 104": Outcome.HELD, "22": Outcome.STAGING, "23": Outcome.CREDENTIALS,
    "26": Outcome.HELD, "32": Outcome.HELD, "33": Outcome.HELD,
    "34": Outcome.OUT_OF_MEMORY, "34, subcode 102": Outcome.OUT_OF_MEMORY,
    "34, subcode 104": Outcome.HELD, "35": Outcome.IMAGE, "46": Outcome.TIMEOUT,
    "47": Outcome.TIMEOUT, "any other": None,
}  # fmt: skip
"""HTCondor Manual, "HoldReasonCode", and what each means for a job; ``None`` waits for a person."""

OF_ANOTHER_START = ("completed with status 0", "failed with status 73", "failed with status 75")
"""Ends of a job script that has not written, as its last word, that it was told to end."""

GENERAL, HELD, STOPPING = general(), holds(), stopping()


def named(rows: Iterable[Row]) -> list[object]:
    """Return test parameters with readable names."""
    return [
        pytest.param(row, id=f"{number}-{row.cells()[0][:30]}-{row.cells()[1][:20]}-{row.age}")
        for number, row in enumerate(rows)
    ]


def lines_of_the_page() -> set[str]:
    return set(PAGE.read_text().splitlines())


def inside(row: Row) -> list[float]:
    """Return ages at the edges of a row, and within it."""
    last = row.until_s - 0.01 if row.until_s is not None else 10 * AGES[-1]
    return [row.from_s, (row.from_s + last) / 2, last]


@pytest.mark.parametrize("row", named([*GENERAL, *HELD, *STOPPING]))
def test_row(row: Row) -> None:
    assert f"| {' | '.join(row.cells())} |" in lines_of_the_page()
    for case, age in product(row.cases, inside(row)):
        given = case.judged(age)
        assert (given.state, given.outcome) == (row.given.state, row.given.outcome)
        assert given.waits_for == row.given.waits_for
        assert case.evidence.stop_requested == row.cases[0].evidence.stop_requested


@pytest.mark.parametrize("row", named(GENERAL))
def test_row_keeps_the_rules(row: Row) -> None:
    for case in row.cases:
        expected = expected_end(case.says, case.record, row.from_s)
        assert row.given.outcome is expected, (case.says, case.record, row.from_s)
        assert (row.given.state is AttemptState.ENDED) == (expected is not None)


def expected_end(says: str, record: str, age_s: float) -> Outcome | None:
    """Return how a job has ended, by the rules of docs/architecture.md; ``None``: not yet."""
    if record in NO_EXIT_RECORD:
        return end_without_record(says, record, age_s)
    if record == "told to end (TERM)" and says in OF_ANOTHER_START:
        return end_without_record(says, "none, claimed", age_s)
    if record in TOLD_TO_END and says in ("pending", "held"):
        return Outcome.HELD if says == "held" and age_s >= HELD_S else None
    if (says, record) == ("timeout", "processes killed for memory"):
        return Outcome.OUT_OF_MEMORY
    if says in BAD_WORDS:
        return BAD_WORDS[says]
    if record in ("told to end (TERM)", "ended by signal 9"):
        over = says in OVER
        wait = SETTLE_S if says in (NOT_SEEN, MISSING, DOUBTED) else LOST_S
        if not over and (age_s < wait or says in (SILENT, MISSED)):
            return None
    return {
        "exit code 0": Outcome.SUCCESS,
        "exit code 3": Outcome.APP_ERROR,
        "ended by signal 11": Outcome.APP_ERROR,
        "ended by signal 9": Outcome.APP_ERROR,
        "told to end (TERM)": Outcome.CANCELLED,
        "our walltime timer": Outcome.TIMEOUT,
        "kept from starting": Outcome.LOST,
        "processes killed for memory": Outcome.OUT_OF_MEMORY,
        "runtime failed": Outcome.IMAGE,
    }[record]


def end_without_record(says: str, record: str, age_s: float) -> Outcome | None:
    claimed = record == "none, claimed"
    if says in ALIVE:
        return None
    late = {MISSING: LOST_S, DOUBTED: DOUBTED_S, WELL: LOST_S}
    if claimed:
        late[DUPLICATE_OF_ITSELF] = LOST_S
    if says in late:
        return Outcome.LOST if age_s >= late[says] else None
    if says == "held":
        return Outcome.HELD if age_s >= HELD_S else None
    at_once = {
        NO_CLAIM: Outcome.NODE_BAD,
        NO_RECORD: Outcome.LOST,
        "node failed": Outcome.NODE_LOST,
        "out of memory": Outcome.OUT_OF_MEMORY,
    }
    if says in at_once:
        return at_once[says]
    if says in BAD_WORDS:
        return BAD_WORDS[says] if age_s >= SETTLE_S or not claimed else None
    if age_s < SETTLE_S or (says == DUPLICATE and claimed):
        return None
    unclaimed = says in ("failed", DUPLICATE, DUPLICATE_OF_ITSELF) and not claimed
    return Outcome.NODE_BAD if unclaimed else Outcome.LOST


@pytest.mark.parametrize("row", named(HELD))
def test_hold_code(row: Row) -> None:
    for case in row.cases:
        expected = HOLDS[case.says]
        timer = case.says in ("46", "47") and case.record == "none, claimed"
        if expected is None:
            expected = Outcome.HELD if row.from_s >= HELD_S else None
        elif timer and row.from_s < SETTLE_S:
            expected = None
        assert row.given.outcome is expected, (case.says, case.record)


@pytest.mark.parametrize("row", named(STOPPING))
def test_a_stop_never_makes_a_job_run_again(row: Row) -> None:
    outcome, follows = row.given.outcome, row.cells()[HEADINGS.index("what follows")]
    assert "again" not in follows
    if outcome is Outcome.SUCCESS:
        assert all(case.record == "exit code 0" for case in row.cases)
    if row.given.state is AttemptState.ENDED and outcome is not Outcome.SUCCESS:
        assert follows == "the job is stopped"


def test_every_combination_is_in_the_table_at_every_age() -> None:
    states = {state.value for state in SchedulerState}
    states |= {NOT_SEEN, MISSING, DOUBTED, SILENT, MISSED, NO_CLAIM, NO_RECORD}
    states |= {DUPLICATE, DUPLICATE_OF_ITSELF, WELL}
    for table in (GENERAL, STOPPING):
        covered: dict[tuple[str, str], list[tuple[float, float | None]]] = {}
        for row in table:
            for case in row.cases:
                covered.setdefault((case.says, case.record), []).append((row.from_s, row.until_s))
        assert set(covered) == set(product(states, RECORDS))
        for spans in covered.values():
            begins, ends = zip(*sorted(spans), strict=True)
            assert (begins[0], ends[-1]) == (AGES[0], None)
            assert list(begins[1:]) == list(ends[:-1])


def test_the_tables_have_no_row_twice() -> None:
    for table in (GENERAL, HELD, STOPPING):
        cells = [row.cells() for row in table]
        assert len(cells) == len(set(cells))


def test_every_hold_code_with_a_meaning_is_in_the_table() -> None:
    assert {case.says for row in HELD for case in row.cases} == set(HOLDS)


def test_words_of_each_scheduler() -> None:
    assert set(slurm_words()) == set(SchedulerState)
    assert "any other word" in slurm_words()[SchedulerState.UNKNOWN]
    assert "any other JobStatus" in htcondor_words()[SchedulerState.UNKNOWN]
    assert set(local_words()) >= {SchedulerState.PENDING, SchedulerState.RUNNING}
    assert SchedulerState.HELD not in local_words()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.OUT_OF_MEMORY, "2 times the memory"),
        (Outcome.TIMEOUT, "2 times the walltime"),
        (Outcome.NODE_LOST, "away from the node"),
        (Outcome.NODE_BAD, "away from the node"),
        (Outcome.PREEMPTED, "at most 20 times"),
        (Outcome.APP_ERROR, "`retries`"),
        (Outcome.LOST, "once"),
        (Outcome.IMAGE, "the job fails"),
        (Outcome.CANCELLED, "the job fails"),
    ],
)
def test_what_the_policy_makes_of_an_outcome(outcome: Outcome, words: str) -> None:
    assert words in policy(outcome)


def test_a_changed_verdict_is_found() -> None:
    """The tests above can fail: a row that says something else is neither true nor on the page."""
    row = next(row for row in GENERAL if row.given.outcome is Outcome.LOST)
    wrong = replace(row, given=replace(row.given, outcome=Outcome.SUCCESS))
    with pytest.raises(AssertionError):
        test_row(wrong)
    with pytest.raises(AssertionError):
        test_row_keeps_the_rules(wrong)
