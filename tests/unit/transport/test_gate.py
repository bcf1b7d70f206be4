import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.base import CallKind, CommandResult, Failure
from gateway.transport.gate import (
    BACKOFF_FIRST_S,
    BACKOFF_LONGEST_S,
    CallRecord,
    ClusterGate,
    GateState,
    backoff_s,
    burst,
    calls_per_minute,
)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeTransport:
    """Answers with the failure that is set, and counts."""

    failure: Failure | None = None
    status: int = 0
    calls: list[tuple[str, ...]] = field(default_factory=list)
    closed: bool = False

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0, enough: str = ""
    ) -> CommandResult:
        self.calls.append(tuple(argv))
        status = None if self.failure else self.status
        return CommandResult(tuple(argv), status, "out", "oh\nno", 0.5, self.failure)

    def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    clock: Clock = field(default_factory=Clock)
    transport: FakeTransport = field(default_factory=FakeTransport)
    records: list[CallRecord] = field(default_factory=list)
    limit: int = 12

    def gate(self, state: GateState | None = None) -> ClusterGate:
        return ClusterGate(
            "c1",
            self.transport,
            calls_per_minute=calls_per_minute(self.limit),
            clock=self.clock,
            log=self.records.append,
            state=state,
            jitter=lambda: 0.0,
            is_silence=lambda result: result.exit_status == 9,
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_answer_that_the_scheduler_is_silent_is_silence(bench: Bench) -> None:
    """`Socket timed out` comes with an exit status: those who say it must not be asked at once."""
    gate = bench.gate()
    bench.transport.status = 9
    for _ in range(100):
        bench.clock.now += 1
        gate.call(CallKind.SUBMIT, ["sbatch"])
    assert len(bench.transport.calls) <= 6
    assert "calls failed" in gate.call(CallKind.STATUS, ["squeue"]).complaint
    bench.clock.now += BACKOFF_LONGEST_S
    bench.transport.status = 1
    gate.call(CallKind.SUBMIT, ["sbatch"])
    assert gate.state().failures == 0


def test_a_call_goes_through_and_is_recorded(bench: Bench) -> None:
    result = bench.gate().call(CallKind.STATUS, ["squeue"])
    assert result.ok
    assert bench.records == [CallRecord("c1", CallKind.STATUS, 1000.0, 0.5, True, "")]


def test_a_refusal_of_the_scheduler_is_recorded_with_its_words(bench: Bench) -> None:
    bench.transport.status = 1
    bench.gate().call(CallKind.SUBMIT, ["sbatch"])
    assert bench.records[0].complaint == "oh no"
    assert not bench.records[0].ok


@given(
    limit=st.integers(1, 60),
    steps=st.lists(st.floats(0.0, 30.0, allow_nan=False), min_size=1, max_size=120),
)
def test_no_minute_ever_sees_more_calls_than_the_limit(limit: int, steps: list[float]) -> None:
    bench = Bench(limit=limit)
    gate = bench.gate()
    for step in steps:
        bench.clock.now += step
        for _ in range(limit // 4 + 2):
            gate.call(CallKind.STATUS, ["squeue"])
    made = [record.at for record in bench.records]
    for first in made:
        assert sum(1 for at in made if first <= at < first + 60) <= limit


def test_the_budget_is_used_not_only_kept(bench: Bench) -> None:
    gate = bench.gate()
    for _ in range(600):
        bench.clock.now += 1
        gate.call(CallKind.STATUS, ["squeue"])
    assert len(bench.records) >= 600 / 60 * 10


def test_a_used_up_budget_says_so_and_that_nothing_ran(bench: Bench) -> None:
    bench.limit = 1
    gate = bench.gate()
    gate.call(CallKind.STATUS, ["squeue"])
    result = gate.call(CallKind.STATUS, ["squeue"])
    assert result.failure is Failure.NOT_ATTEMPTED
    assert result.complaint == "squeue: not asked (1 status calls per minute are used up)"
    assert len(bench.transport.calls) == 1
    assert len(bench.records) == 1


def test_status_calls_do_not_use_up_the_budget_of_others(bench: Bench) -> None:
    gate = bench.gate()
    for _ in range(50):
        gate.call(CallKind.STATUS, ["squeue"])
    assert gate.call(CallKind.SUBMIT, ["sbatch"]).ok


def test_ticks_of_cron_share_one_budget(bench: Bench) -> None:
    state = GateState()
    for _ in range(100):
        gate = bench.gate(GateState.from_json(json.loads(json.dumps(state.to_json()))))
        gate.call(CallKind.STATUS, ["squeue"])
        state = gate.state()
    assert len(bench.transport.calls) == 3


def test_processes_side_by_side_share_one_budget(bench: Bench) -> None:
    """A server that drives, and doctors that come and go."""
    server = bench.gate()
    stored = GateState()
    for number in range(100):
        gate = server if number % 3 else bench.gate(stored)
        if gate.call(CallKind.STATUS, ["squeue"]).ok:
            stored = GateState.from_json(json.loads(json.dumps(gate.share(stored).to_json())))
    assert len(bench.transport.calls) == 3
    bench.clock.now += 60
    server.share(stored)
    assert server.call(CallKind.STATUS, ["squeue"]).ok


def test_a_back_off_that_one_process_learned_holds_for_those_that_share(bench: Bench) -> None:
    server, doctor = bench.gate(), bench.gate()
    bench.transport.failure = Failure.TIMEOUT
    doctor.call(CallKind.QUERY, ["sinfo"])
    server.share(doctor.share(GateState()))
    assert server.call(CallKind.STATUS, ["squeue"]).failure is Failure.NOT_ATTEMPTED


def test_nothing_is_spent_twice_by_sharing(bench: Bench) -> None:
    one, other = bench.gate(), bench.gate()
    one.call(CallKind.STATUS, ["squeue"])
    stored = one.share(GateState())
    other.call(CallKind.STATUS, ["squeue"])
    stored = other.share(stored)
    stored = one.share(stored)
    assert stored.tokens[CallKind.STATUS] == burst(bench.limit) - 2
    assert other.share(stored) == stored


@pytest.mark.parametrize("failure", [Failure.TIMEOUT, Failure.DISCONNECTED, Failure.NOT_ATTEMPTED])
def test_silence_makes_the_gate_back_off_and_an_answer_ends_it(
    bench: Bench, failure: Failure
) -> None:
    gate = bench.gate()
    bench.transport.failure = failure
    assert gate.call(CallKind.QUERY, ["sinfo"]).failure is failure
    refused = gate.call(CallKind.SUBMIT, ["sbatch"])
    assert refused.failure is Failure.NOT_ATTEMPTED
    assert "backing off for 5 s after 1 calls failed: sinfo: " in refused.complaint
    assert bench.transport.calls == [("sinfo",)]
    bench.transport.failure = None
    bench.clock.now += 5.1
    assert gate.call(CallKind.SUBMIT, ["sbatch"]).ok
    assert gate.state().failures == 0


@pytest.mark.parametrize("failure", [Failure.NOT_FOUND, Failure.TOO_LONG])
def test_answers_that_are_no_silence_do_not_back_off(bench: Bench, failure: Failure) -> None:
    bench.transport.failure = failure
    gate = bench.gate()
    gate.call(CallKind.QUERY, ["sinfo"])
    gate.call(CallKind.QUERY, ["sinfo"])
    assert len(bench.transport.calls) == 2


def test_back_off_outlives_the_process(bench: Bench) -> None:
    bench.transport.failure = Failure.TIMEOUT
    gate = bench.gate()
    gate.call(CallKind.QUERY, ["sinfo"])
    again = bench.gate(GateState.from_json(gate.state().to_json()))
    assert again.call(CallKind.QUERY, ["sinfo"]).failure is Failure.NOT_ATTEMPTED


def test_back_off_grows_to_its_limit(bench: Bench) -> None:
    bench.transport.failure = Failure.TIMEOUT
    gate = bench.gate()
    pauses = []
    for _ in range(10):
        gate.call(CallKind.QUERY, ["sinfo"])
        pauses.append(gate.state().retry_at - bench.clock.now)
        bench.clock.now = gate.state().retry_at
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_back_off_stays_in_its_range(failures: int, jitter: float) -> None:
    assert BACKOFF_FIRST_S <= backoff_s(failures, jitter) <= BACKOFF_LONGEST_S


def test_a_clock_set_back_does_not_shut_the_gate(bench: Bench) -> None:
    bench.transport.failure = Failure.TIMEOUT
    gate = bench.gate()
    gate.call(CallKind.QUERY, ["sinfo"])
    bench.transport.failure = None
    bench.clock.now = 10.0
    gate.call(CallKind.QUERY, ["sinfo"])
    bench.clock.now += BACKOFF_LONGEST_S
    assert gate.call(CallKind.QUERY, ["sinfo"]).ok


@pytest.mark.parametrize("data", [None, [], {}, {"as_of": "x"}, {"as_of": 1, "tokens": {"no": 1}}])
def test_an_unreadable_state_is_a_fresh_one(data: object) -> None:
    assert GateState.from_json(data) == GateState()


def test_the_log_holds_the_command_line_but_never_the_input(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.gate().call(CallKind.SUBMIT, ["sbatch", "a b"], stdin="TOKEN=hunter2")
    assert "sbatch 'a b'" in caplog.text
    assert "hunter2" not in caplog.text


def test_close_gives_back_the_connection(bench: Bench) -> None:
    bench.gate().close()
    assert bench.transport.closed
