"""What follows an attempt that did not succeed."""

from __future__ import annotations

import pytest

from gateway.core.policy import FREE_RETRIES, GiveUp, Past, Retry, decide
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.resources import Resources

ASKED = Resources(memory_mib=100, walltime_s=60)
CAPS = Resources(memory_mib=250, walltime_s=100)


@pytest.mark.parametrize("outcome", FREE_RETRIES)
def test_faults_that_are_not_the_users_cost_no_retry_and_end_some_time(outcome: Outcome) -> None:
    past = [Past(outcome, ASKED, "n1")]
    while isinstance(decide(past, 0, CAPS), Retry):
        past.append(Past(outcome, ASKED, "n1"))
        assert len(past) < 100
    assert len(past) == FREE_RETRIES[outcome] + 1


def test_bad_nodes_are_avoided_from_then_on() -> None:
    past = [Past(Outcome.NODE_BAD, ASKED, "n1"), Past(Outcome.NODE_LOST, ASKED, "n2")]
    retry = decide(past, 0, CAPS)
    assert isinstance(retry, Retry)
    assert retry.exclude_nodes == ("n1", "n2")


def test_delay_grows() -> None:
    past = [Past(Outcome.NODE_BAD, ASKED)]
    delays = []
    for _ in range(4):
        retry = decide(past, 0, CAPS)
        assert isinstance(retry, Retry)
        delays.append(retry.delay_s)
        past.append(past[0])
    assert delays == sorted(set(delays))


@pytest.mark.parametrize(
    ("outcome", "field", "values"),
    [
        (Outcome.OUT_OF_MEMORY, "memory_mib", [200, 250]),
        (Outcome.TIMEOUT, "walltime_s", [100]),
    ],
)
def test_more_of_what_was_short_up_to_the_cap_and_never_the_same(
    outcome: Outcome, field: str, values: list[int]
) -> None:
    past = [Past(outcome, ASKED)]
    got = []
    while isinstance(retry := decide(past, 0, CAPS), Retry):
        got.append(getattr(retry.resources, field))
        past.append(Past(outcome, retry.resources))
    assert got == values


def test_without_a_cap_nothing_is_raised_and_the_reason_says_so() -> None:
    decision = decide([Past(Outcome.OUT_OF_MEMORY, ASKED)], 5, Resources())
    assert isinstance(decision, GiveUp)
    assert "no maximum" in decision.reason


def test_application_errors_use_the_steps_retries_only() -> None:
    error = Past(Outcome.APP_ERROR, ASKED)
    assert isinstance(decide([error], 0, CAPS), GiveUp)
    assert isinstance(decide([error], 1, CAPS), Retry)
    assert isinstance(decide([error, error], 1, CAPS), GiveUp)
    lost_node = Past(Outcome.NODE_LOST, ASKED)
    assert isinstance(decide([lost_node, lost_node, error], 1, CAPS), Retry)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.REJECTED, Outcome.CANCELLED, Outcome.IMAGE, Outcome.HELD, Outcome.CREDENTIALS],
)
def test_what_trying_again_cannot_help_is_given_up(outcome: Outcome) -> None:
    assert isinstance(decide([Past(outcome, ASKED)], 9, CAPS), GiveUp)


def test_a_bad_node_that_is_the_only_one_is_tried_once_more() -> None:
    bad = Past(Outcome.NODE_BAD, Resources(), "n")
    assert isinstance(decide([bad], 0, Resources(), one_node=True), Retry)
    assert isinstance(decide([bad] * 2, 0, Resources(), one_node=True), GiveUp)
    assert isinstance(decide([bad] * 2, 0, Resources()), Retry)
    lost = Past(Outcome.NODE_LOST, Resources(), "n")
    assert isinstance(decide([lost] * 5, 0, Resources(), one_node=True), Retry)
