"""What was said last of an attempt, where several records of a scheduler speak."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.sighting import latest
from gateway.vocabulary.evidence import Observation, SchedulerState, Source

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
