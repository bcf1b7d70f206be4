"""What was said last of an attempt, where several records of a scheduler speak."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.sighting import latest, with_memory
from gateway.vocabulary.evidence import (
    Evidence,
    Observation,
    SchedulerState,
    Source,
    Verdict,
)
from gateway.vocabulary.records import Attempt
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import AttemptState

QUEUE, LOG = Source.QUEUE, Source.EVENT_LOG
PENDING, RUNNING = SchedulerState.PENDING, SchedulerState.RUNNING


def seen(state: SchedulerState, source: Source, at: float) -> Observation:
    return Observation(state, state.value, source, at)


def remembered(state: SchedulerState, source: Source, at: float) -> dict[str, Any]:
    said = {"state": state.value, "raw": state.value, "source": source.value, "observed_at": at}
    return said | {"since": at}


@pytest.mark.parametrize(
    ("before", "fresh", "state"),
    [
        ((RUNNING, QUEUE, 10.0), (PENDING, LOG, 9.0), RUNNING),
        ((RUNNING, QUEUE, 10.0), (PENDING, LOG, 11.0), PENDING),
        ((RUNNING, QUEUE, 10.0), (SchedulerState.COMPLETED, LOG, 9.0), SchedulerState.COMPLETED),
        # The clock was set back: who was asked just now is right.
        ((RUNNING, QUEUE, 1000.0), (PENDING, QUEUE, 9.0), PENDING),
        ((PENDING, LOG, 1000.0), (RUNNING, LOG, 9.0), RUNNING),
    ],
)
def test_an_older_word_of_the_event_log_does_not_undo_the_queue(
    before: tuple[SchedulerState, Source, float],
    fresh: tuple[SchedulerState, Source, float],
    state: SchedulerState,
) -> None:
    last = latest(remembered(*before), seen(*fresh))
    assert last is not None
    assert last.state is state


def test_what_is_remembered_holds_while_nothing_is_said() -> None:
    last = latest(remembered(RUNNING, QUEUE, 10.0), None)
    assert last == seen(RUNNING, QUEUE, 10.0)
    assert latest({}, None) is None
    assert latest({}, seen(PENDING, LOG, 1.0)) == seen(PENDING, LOG, 1.0)


RAN = Attempt("j.1", "j", 1, AttemptState.RUNNING, "here", Resources(), 0.0)
WAITS = Verdict(AttemptState.PENDING, "waits in the queue")


@pytest.mark.parametrize(
    ("word", "stop", "state"),
    [
        (PENDING, False, AttemptState.PENDING),
        (PENDING, True, AttemptState.RUNNING),
        (SchedulerState.UNKNOWN, False, AttemptState.RUNNING),
        (SchedulerState.UNKNOWN, True, AttemptState.RUNNING),
    ],
    ids=["put back", "evicted to be removed", "its claim is not seen", "the same, to be stopped"],
)
def test_only_a_word_of_the_scheduler_puts_what_ran_back_into_the_queue(
    word: SchedulerState, stop: bool, state: AttemptState
) -> None:
    found = Evidence(0.0, observation=seen(word, LOG, 1.0), stop_requested=stop)
    given = with_memory(RAN, found, WAITS)
    assert given.state is state
    assert (given.reason == "is being stopped") == stop
