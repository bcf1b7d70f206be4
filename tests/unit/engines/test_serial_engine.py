"""The serial engine: every command once, in order, whatever was asked before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.engines.base import Decision
from gateway.engines.registry import ENGINES, engine_for
from gateway.engines.serial import SerialEngine, serial_engine
from gateway.errors import SpecError, UsageError
from gateway.spec.languages import LANGUAGES, RUNNABLE
from gateway.spec.specification import Inputs, Specification, Step
from gateway.vocabulary.job import JobRequest, JobResult
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import JobState

GEN = Step(
    0,
    "gen",
    "a:1",
    ("mkdir out", "gen $events"),
    "slurmcern",
    Resources(cpus=2),
    retries=1,
    cvmfs=True,
)
FIT = Step(1, "fit", "b:1", ("fit $events",))
SPEC = Specification("serial", {}, (GEN, FIT), Inputs(parameters={"events": 10}))

Jobs = dict[str, JobResult]


def job(key: str, state: JobState = JobState.FINISHED, reason: str = "") -> Jobs:
    return {key: JobResult(key, state, reason)}


def engine(**options: Any) -> SerialEngine:
    return serial_engine(SPEC, {}, options)


def keys(decision: Decision) -> list[str]:
    return [request.key for request in decision.requests]


def test_first_request_carries_everything_of_the_step() -> None:
    assert engine().advance({}).requests == (
        JobRequest("0.0", "gen", "mkdir out", "a:1", "slurmcern", Resources(cpus=2), True, 1),
    )


def test_parameters_given_at_start_go_first() -> None:
    plan = serial_engine(SPEC, {"events": "5"}, {})
    assert [planned.request.command for planned in plan.line] == ["mkdir out", "gen 5", "fit 5"]


def test_effective_parameters_give_the_same_as_overrides() -> None:
    assert engine_for(SPEC, {"events": 10}, {}) == engine_for(SPEC, {}, {})


@pytest.mark.parametrize("state", [JobState.CREATED, JobState.QUEUED, JobState.RUNNING])
def test_waits_for_a_job_that_is_not_over(state: JobState) -> None:
    assert engine().advance(job("0.0", state)) == Decision(total=3)


@pytest.mark.parametrize(
    ("state", "reason", "failure"),
    [
        (JobState.FAILED, "exit code 3", "step 'gen', command 2 of 2, failed: exit code 3"),
        (JobState.FAILED, "", "step 'gen', command 2 of 2, failed"),
        (JobState.STOPPED, "by the user", "step 'gen', command 2 of 2, was stopped: by the user"),
    ],
)
def test_first_bad_job_ends_the_workflow(state: JobState, reason: str, failure: str) -> None:
    decision = engine().advance(job("0.0") | job("0.1", state, reason))
    assert decision == Decision(total=3, failure=failure)
    assert decision.over
    assert not decision.finished


def test_finished_after_the_last_job() -> None:
    decision = engine().advance(job("0.0") | job("0.1") | job("1.0"))
    assert decision == Decision(total=3, finished=True)
    assert decision.over


def test_from_and_target_keep_keys_and_change_the_total() -> None:
    assert engine(FROM="FIT").advance({}).requests[0].key == "1.0"
    assert engine(FROM="fit").advance({}).total == 1
    target = engine(TARGET="gen")
    assert target.advance(job("0.0") | job("0.1")) == Decision(total=2, finished=True)


def test_options_of_the_specification_hold_until_overridden() -> None:
    spec = Specification("serial", {}, (GEN, FIT), Inputs((), (), {"events": 1}, {"TARGET": "gen"}))
    assert serial_engine(spec, {}, {}).advance({}).total == 2
    assert serial_engine(spec, {}, {"TARGET": "fit"}).advance({}).total == 3


def test_equal_steps_all_run() -> None:
    same = tuple(Step(index, "same", "a:1", ("true", "true")) for index in range(2))
    plan = serial_engine(Specification("serial", {}, same), {}, {})
    asked: list[str] = []
    jobs: Jobs = {}
    while not (decision := plan.advance(jobs)).over:
        asked += keys(decision)
        jobs |= job(asked[-1])
    assert asked == ["0.0", "0.1", "1.0", "1.1"]


def test_unfit_commands_are_all_named() -> None:
    spec = Specification("serial", {}, (GEN, FIT), Inputs())
    with pytest.raises(SpecError) as caught:
        serial_engine(spec, {}, {})
    assert caught.value.problems == (
        "step 'gen', command 2 of 2: $events is not an input parameter; for a variable of the "
        "shell write $$events",
        "step 'fit', command 1 of 1: $events is not an input parameter; for a variable of the "
        "shell write $$events",
    )


steps_of_commands = st.lists(st.integers(1, 4), min_size=1, max_size=5)
bad_ends = st.none() | st.tuples(
    st.integers(0, 19), st.sampled_from([JobState.FAILED, JobState.STOPPED])
)


@given(steps_of_commands, bad_ends, st.sampled_from(list(JobState)))
def test_replay_decides_as_the_first_time(
    counts: list[int], bad: tuple[int, JobState] | None, in_between: JobState
) -> None:
    steps = tuple(Step(i, f"s{i}", "a:1", ("true",) * many) for i, many in enumerate(counts))
    spec = Specification("serial", {}, steps)
    order = [f"{i}.{j}" for i, many in enumerate(counts) for j in range(many)]
    stepwise, jobs, asked = serial_engine(spec, {}, {}), Jobs(), list[str]()
    while True:
        decision = stepwise.advance(jobs)
        assert decision == serial_engine(spec, {}, {}).advance(dict(reversed(jobs.items())))
        assert decision.total == len(order)
        assert not (decision.over and decision.requests)
        if decision.over:
            break
        (key,) = keys(decision)
        asked.append(key)
        if not in_between.is_terminal:
            assert stepwise.advance(jobs | job(key, in_between)) == Decision(total=len(order))
        fails = bad is not None and bad[0] == len(asked) - 1
        jobs |= job(key, bad[1] if bad and fails else JobState.FINISHED)
    failed = bad is not None and bad[0] < len(order)
    assert asked == (order[: bad[0] + 1] if bad and failed else order)
    assert decision.finished is not failed
    assert (decision.failure is not None) is failed


def test_jobs_of_others_are_passed_over() -> None:
    assert engine().advance(job("7.7", JobState.FAILED)) == engine().advance({})


def test_registry_runs_what_validation_lets_through() -> None:
    assert set(ENGINES) == set(RUNNABLE)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - RUNNABLE))
def test_languages_without_engine(language: str) -> None:
    with pytest.raises(UsageError, match=f"{language} workflows cannot be run yet"):
        engine_for(Specification(language, {}), {}, {})
