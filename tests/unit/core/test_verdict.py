"""The verdict table: one row, one test; and properties of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.verdict import EX_DUPLICATE, Patience, verdict
from gateway.vocabulary.evidence import (
    Claim,
    Evidence,
    ExitRecord,
    HoldCode,
    Observation,
    Outcome,
    SchedulerState,
    Source,
)
from gateway.vocabulary.states import AttemptState

NOW = 10_000.0
PATIENCE = Patience(settle_s=60, lost_after_s=600, held_for_s=3600)
CLAIM = Claim("k.1", 0, "42_0", "node1", NOW - 500)
RECORD = ExitRecord("k.1", 0, "42_0", "node1", 0, NOW - 400, NOW - 300)


def seen(state: SchedulerState, **values: Any) -> Observation:
    defaults = {"raw": state.name, "source": Source.QUEUE, "observed_at": NOW - 1}
    return Observation(state, **{**defaults, **values})


def evidence(**values: Any) -> Evidence:
    return Evidence(submitted_at=NOW - 1000, **values)


LIVE = [
    (evidence(), AttemptState.PENDING),
    (evidence(claim=CLAIM), AttemptState.RUNNING),
    (evidence(observation=seen(SchedulerState.PENDING)), AttemptState.PENDING),
    (evidence(observation=seen(SchedulerState.RUNNING)), AttemptState.RUNNING),
    (evidence(observation=seen(SchedulerState.SUSPENDED)), AttemptState.RUNNING),
    (evidence(observation=seen(SchedulerState.UNKNOWN, raw="NOVEL")), AttemptState.PENDING),
    (
        evidence(observation=seen(SchedulerState.UNKNOWN, raw="NOVEL"), claim=CLAIM),
        AttemptState.RUNNING,
    ),
    (evidence(missing_since=NOW - 599), AttemptState.PENDING),
    (evidence(missing_since=NOW - 599, claim=CLAIM), AttemptState.RUNNING),
    (evidence(observation=seen(SchedulerState.COMPLETED), claim=CLAIM), AttemptState.RUNNING),
    (evidence(observation=seen(SchedulerState.FAILED)), AttemptState.PENDING),
    (evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(1))), AttemptState.HELD),
    (evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(9999))), AttemptState.HELD),
    (evidence(observation=seen(SchedulerState.HELD)), AttemptState.HELD),
    (
        evidence(
            exit_record=replace(RECORD, exit_code=143, warned="TERM", finished_at=NOW - 5),
            claim=CLAIM,
        ),
        AttemptState.RUNNING,
    ),
]


@pytest.mark.parametrize(("given_evidence", "state"), LIVE)
def test_alive(given_evidence: Evidence, state: AttemptState) -> None:
    found = verdict(given_evidence, NOW, PATIENCE)
    assert found.state is state
    assert found.outcome is None
    assert found.waits_for


OVER = [
    # Exit records.
    (evidence(exit_record=RECORD), Outcome.SUCCESS, "exit code 0"),
    (evidence(exit_record=replace(RECORD, warned="USR2")), Outcome.SUCCESS, "exit code 0"),
    (evidence(exit_record=replace(RECORD, exit_code=3)), Outcome.APP_ERROR, "exit code 3"),
    (evidence(exit_record=replace(RECORD, exit_code=127)), Outcome.APP_ERROR, "not found"),
    (
        evidence(exit_record=replace(RECORD, exit_code=139, signal=11)),
        Outcome.APP_ERROR,
        "signal 11",
    ),
    (
        evidence(exit_record=replace(RECORD, exit_code=137, signal=9)),
        Outcome.APP_ERROR,
        "lack of memory",
    ),
    (evidence(exit_record=replace(RECORD, oom_kills=2)), Outcome.OUT_OF_MEMORY, "2 of its"),
    (
        evidence(exit_record=replace(RECORD, exit_code=255, runtime_error="FATAL: no image")),
        Outcome.IMAGE,
        "FATAL: no image",
    ),
    (
        evidence(exit_record=replace(RECORD, exit_code=143, warned="WALLTIME")),
        Outcome.TIMEOUT,
        "walltime",
    ),
    (
        evidence(exit_record=replace(RECORD, exit_code=143, warned="TERM")),
        Outcome.CANCELLED,
        "signal TERM",
    ),
    (
        evidence(exit_record=replace(RECORD, exit_code=143, warned="TERM"), stop_requested=True),
        Outcome.CANCELLED,
        "on request",
    ),
    # A bad word of the scheduler outweighs exit code 0.
    (
        evidence(exit_record=RECORD, observation=seen(SchedulerState.OUT_OF_MEMORY)),
        Outcome.OUT_OF_MEMORY,
        "memory",
    ),
    (
        evidence(exit_record=RECORD, observation=seen(SchedulerState.TIMEOUT)),
        Outcome.TIMEOUT,
        "walltime",
    ),
    (
        evidence(exit_record=RECORD, observation=seen(SchedulerState.NODE_FAILED)),
        Outcome.NODE_LOST,
        "node failed",
    ),
    (
        evidence(
            exit_record=replace(RECORD, exit_code=143, warned="TERM"),
            observation=seen(SchedulerState.PREEMPTED),
        ),
        Outcome.PREEMPTED,
        "another job",
    ),
    (
        evidence(exit_record=RECORD, observation=seen(SchedulerState.FAILED)),
        Outcome.SUCCESS,
        "exit code 0",
    ),
    # The scheduler calls it over, and no record came in the time it had.
    (
        evidence(observation=seen(SchedulerState.COMPLETED), said_since=NOW - 61),
        Outcome.LOST,
        "no exit record",
    ),
    (
        evidence(observation=seen(SchedulerState.FAILED, node="n3"), said_since=NOW - 61),
        Outcome.NODE_BAD,
        "n3",
    ),
    (
        evidence(observation=seen(SchedulerState.FAILED, exit_code=75, node="n3")),
        Outcome.NODE_BAD,
        "shared filesystem on n3",
    ),
    (
        evidence(observation=seen(SchedulerState.FAILED, exit_code=73), claim=CLAIM),
        Outcome.LOST,
        "could not write",
    ),
    (evidence(observation=seen(SchedulerState.NODE_FAILED)), Outcome.NODE_LOST, "node failed"),
    (evidence(observation=seen(SchedulerState.LAUNCH_FAILED)), Outcome.NODE_BAD, "start it"),
    (
        evidence(observation=seen(SchedulerState.CANCELLED, raw="CANCELLED by 7")),
        Outcome.CANCELLED,
        "CANCELLED by 7",
    ),
    (
        evidence(observation=seen(SchedulerState.TIMEOUT), claim=CLAIM, said_since=NOW - 61),
        Outcome.TIMEOUT,
        "walltime",
    ),
    (
        evidence(observation=seen(SchedulerState.CANCELLED), stop_requested=True),
        Outcome.CANCELLED,
        "on request",
    ),
    # Silence.
    (evidence(missing_since=NOW - 600), Outcome.LOST, "missing from every record"),
    (evidence(missing_since=NOW - 600, stop_requested=True), Outcome.CANCELLED, "on request"),
    # Holds.
    (
        evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(34, 102))),
        Outcome.OUT_OF_MEMORY,
        "memory",
    ),
    (
        evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(34, 104))),
        Outcome.HELD,
        "disk",
    ),
    (evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(35))), Outcome.IMAGE, "image"),
    (
        evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(4))),
        Outcome.CREDENTIALS,
        "credential",
    ),
    (
        evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(46))),
        Outcome.TIMEOUT,
        "walltime",
    ),
    (
        evidence(observation=seen(SchedulerState.HELD, hold=HoldCode(1)), held_since=NOW - 3600),
        Outcome.HELD,
        "too long",
    ),
]


@pytest.mark.parametrize(("given_evidence", "outcome", "words"), OVER)
def test_over(given_evidence: Evidence, outcome: Outcome, words: str) -> None:
    found = verdict(given_evidence, NOW, PATIENCE)
    assert (found.state, found.outcome) == (AttemptState.ENDED, outcome)
    assert words in found.reason


def test_requeue_after_a_signal_is_not_an_end() -> None:
    record = replace(RECORD, exit_code=143, warned="TERM")
    again = seen(SchedulerState.RUNNING, restart_count=1)
    found = verdict(evidence(exit_record=record, observation=again), NOW, PATIENCE)
    assert found.state is AttemptState.RUNNING


@pytest.mark.parametrize(
    ("hold", "state", "outcome"),
    [
        (HoldCode(1), AttemptState.HELD, None),
        (HoldCode(21, 102), AttemptState.ENDED, Outcome.OUT_OF_MEMORY),
        (HoldCode(34, 102), AttemptState.ENDED, Outcome.OUT_OF_MEMORY),
        (HoldCode(46), AttemptState.ENDED, Outcome.TIMEOUT),
    ],
)
def test_hold_that_ended_a_running_job_is_judged_as_a_hold(
    hold: HoldCode, state: AttemptState, outcome: Outcome | None
) -> None:
    record = replace(RECORD, exit_code=143, warned="TERM")
    held = seen(SchedulerState.HELD, hold=hold)
    found = verdict(evidence(exit_record=record, observation=held), NOW, PATIENCE)
    assert (found.state, found.outcome) == (state, outcome)


@pytest.mark.parametrize("missing_since", [None, NOW - 100], ids=["listed", "purged"])
@pytest.mark.parametrize(
    ("state", "exit_code"), [(SchedulerState.COMPLETED, 0), (SchedulerState.FAILED, 3)]
)
def test_end_of_a_later_start_is_not_explained_by_the_record_of_an_earlier_one(
    state: SchedulerState, exit_code: int, missing_since: float | None
) -> None:
    """It was preempted and started again; claim and record of the second start come late."""
    earlier = replace(RECORD, exit_code=143, warned="TERM")
    over = seen(state, exit_code=exit_code)
    known = evidence(
        claim=CLAIM,
        exit_record=earlier,
        observation=over,
        said_since=NOW - 1,
        missing_since=missing_since,
        record_since=NOW - 300,
    )
    assert verdict(known, NOW, PATIENCE).outcome is None
    same_start = replace(known, observation=replace(over, exit_code=143))
    assert verdict(same_start, NOW, PATIENCE).outcome is Outcome.CANCELLED


def test_clean_end_is_final_even_if_the_scheduler_starts_the_job_again() -> None:
    again = seen(SchedulerState.RUNNING, restart_count=1)
    found = verdict(evidence(exit_record=RECORD, observation=again), NOW, PATIENCE)
    assert found.outcome is Outcome.SUCCESS


observations = st.builds(
    Observation,
    state=st.sampled_from(SchedulerState),
    raw=st.text(max_size=5),
    source=st.sampled_from(Source),
    observed_at=st.floats(NOW - 5000, NOW),
    reason=st.text(max_size=5),
    hold=st.none() | st.builds(HoldCode, st.integers(0, 60), st.integers(0, 200)),
    exit_code=st.none() | st.integers(0, 255),
    restart_count=st.none() | st.integers(0, 3),
)
records = st.builds(
    ExitRecord,
    key=st.just("k.1"),
    restart=st.integers(0, 3),
    native_id=st.just("42"),
    node=st.just("n"),
    exit_code=st.integers(0, 255),
    started_at=st.just(NOW - 600),
    finished_at=st.floats(NOW - 500, NOW),
    signal=st.none() | st.integers(1, 64),
    oom_kills=st.none() | st.integers(0, 3),
    warned=st.sampled_from(["", "USR2", "TERM", "WALLTIME", "stop"]),
    runtime_error=st.sampled_from(["", "FATAL: x"]),
)
everything = st.builds(
    Evidence,
    submitted_at=st.just(NOW - 6000),
    claim=st.none() | st.just(CLAIM) | st.just(replace(CLAIM, restart=2)),
    exit_record=st.none() | records,
    observation=st.none() | observations,
    said_since=st.none() | st.floats(NOW - 5000, NOW),
    missing_since=st.none() | st.floats(NOW - 5000, NOW),
    stop_requested=st.booleans(),
)


@given(everything)
def test_every_combination_has_a_verdict(given_evidence: Evidence) -> None:
    found = verdict(given_evidence, NOW, PATIENCE)
    assert (found.outcome is not None) == (found.state is AttemptState.ENDED)
    assert found.reason


@given(everything)
def test_success_always_rests_on_an_exit_record_with_code_0(given_evidence: Evidence) -> None:
    found = verdict(given_evidence, NOW, PATIENCE)
    if found.outcome is Outcome.SUCCESS:
        assert given_evidence.exit_record is not None
        assert given_evidence.exit_record.exit_code == 0


@given(everything)
def test_nothing_waits_for_ever(given_evidence: Evidence) -> None:
    late = verdict(given_evidence, NOW + 10**6, PATIENCE)
    seen_last = given_evidence.observation
    alive = seen_last is not None and not seen_last.state.is_terminal
    unasked = seen_last is None and given_evidence.missing_since is None
    # The copy that we know was late and has ended: the first one may run for days.
    second_copy = seen_last is not None and seen_last.exit_code == EX_DUPLICATE
    if not alive and not unasked and not (second_copy and given_evidence.claim):
        record, claim = given_evidence.exit_record, given_evidence.claim
        started_again = record and claim and claim.restart > record.restart
        assert late.outcome is not None or started_again


@pytest.mark.parametrize(
    "words",
    [
        "no scratch directory below /tmp on node7",
        "cannot write /x/logs on node7",
        "FATAL: could not create user namespace",
        "FATAL: container creation failed: could not open /dev/fuse",
        "/c/tasks/0.sh: line 3: apptainer: command not found",
    ],
)
def test_a_node_that_cannot_run_containers_is_not_the_fault_of_the_image(words: str) -> None:
    found = verdict(
        evidence(exit_record=replace(RECORD, exit_code=126, runtime_error=words)), NOW, PATIENCE
    )
    assert found.outcome is Outcome.NODE_BAD
    assert words in found.reason
