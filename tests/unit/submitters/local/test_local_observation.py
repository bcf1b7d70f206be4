import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.local.observation import Life, Seen, observe_task
from gateway.submitters.local.process_table import Host
from gateway.vocabulary.evidence import Claim, ExitRecord, SchedulerState, Source

HERE = Host("n", "boot")
OTHER_HOST = Host("other", "boot")
OTHER_BOOT = Host("n", "before")
NOW = 100.0


def claim(host: Host = HERE) -> Claim:
    native = f"{host.node}:12:5521:{host.boot_id}"
    return Claim("k", 0, native, host.node, claimed_at=50.0, pid=12)


def record(exit_code: int = 0, warned: str = "", signal: int | None = None) -> ExitRecord:
    return ExitRecord(
        "k", 0, "n:12:5521:boot", "n", exit_code, 50.0, 60.0, signal, 33, warned=warned
    )


def state(seen: Seen) -> SchedulerState | None:
    observation = observe_task(seen, HERE, NOW)
    return observation.state if observation else None


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (Life.ALIVE, SchedulerState.RUNNING),
        (Life.ORPHANED, SchedulerState.RUNNING),
        (Life.GONE, None),
    ],
)
def test_a_claimed_task_runs_as_long_as_anything_of_it_lives(
    life: Life, expected: SchedulerState | None
) -> None:
    assert state(Seen(claim(), None, HERE, life)) is expected


def test_a_task_on_its_way_is_pending() -> None:
    assert state(Seen(None, None, HERE, Life.STARTING)) is SchedulerState.PENDING
    assert state(Seen(None, None, HERE, Life.GONE)) is None


@pytest.mark.parametrize("sent_to", [HERE, OTHER_HOST, None])
def test_a_claim_says_more_than_where_it_was_sent(sent_to: Host | None) -> None:
    seen = observe_task(Seen(claim(OTHER_HOST), None, sent_to, Life.GONE), HERE, NOW)
    assert seen
    assert seen.state is SchedulerState.UNKNOWN
    assert "other" in seen.reason


def test_what_was_sent_from_another_host_is_unknown_here() -> None:
    assert state(Seen(None, None, OTHER_HOST, Life.GONE)) is SchedulerState.UNKNOWN


@pytest.mark.parametrize(
    ("one", "other", "apart", "restarted"),
    [
        (Host("n", "b/1"), Host("n", "b/1"), False, False),
        (Host("n", "b/1"), Host("n", "b/2"), True, False),
        (Host("n", "b/1"), Host("n", "c/2"), False, True),
        (Host("n", "b/1"), Host("m", "b/1"), True, False),
        (Host("n", "b"), Host("n", "b/1"), False, False),
    ],
)
def test_where_processes_can_be_seen(one: Host, other: Host, apart: bool, restarted: bool) -> None:
    for here, there in ((one, other), (other, one)):
        assert here.is_apart_from(there) is apart
        assert here.was_restarted(there) is restarted
        assert here.is_same(there) is not (apart or restarted)


def test_what_runs_in_another_container_of_this_host_is_unknown_here() -> None:
    here, there = Host("n", "boot/1"), Host("n", "boot/2")
    seen = observe_task(Seen(claim(there), None, there, Life.GONE), here, NOW)
    assert seen
    assert (seen.state, seen.raw) == (SchedulerState.UNKNOWN, "in another container")


@pytest.mark.parametrize("claimed", [claim(OTHER_BOOT), None])
def test_a_restart_of_the_host_is_the_end_of_its_tasks(claimed: Claim | None) -> None:
    seen = observe_task(Seen(claimed, None, OTHER_BOOT, Life.GONE), HERE, NOW)
    assert seen
    assert seen.state is SchedulerState.NODE_FAILED
    assert seen.reason == "the host n was restarted"


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (record(0), SchedulerState.COMPLETED),
        (record(0, "USR2"), SchedulerState.COMPLETED),
        (record(3), SchedulerState.FAILED),
        (record(139, signal=11), SchedulerState.FAILED),
        (record(143, "TERM"), SchedulerState.CANCELLED),
        (record(0, "TERM"), SchedulerState.CANCELLED),
        (record(143, "stop"), SchedulerState.CANCELLED),
        (record(143, "WALLTIME"), SchedulerState.TIMEOUT),
        (record(0, "WALLTIME"), SchedulerState.TIMEOUT),
    ],
)
@pytest.mark.parametrize("life", Life)
@pytest.mark.parametrize("killed", [True, False])
def test_an_exit_record_is_the_last_word(
    ended: ExitRecord, expected: SchedulerState, life: Life, killed: bool
) -> None:
    seen = observe_task(Seen(claim(), ended, HERE, life, killed), HERE, NOW)
    assert seen
    assert seen.state is expected
    assert (seen.exit_code, seen.signal) == (ended.exit_code, ended.signal)
    assert (seen.started_at, seen.finished_at, seen.max_rss_mib) == (50.0, 60.0, 33)


def test_a_command_ended_by_a_shutdown_was_lost_with_its_host() -> None:
    assert (
        state(Seen(claim(OTHER_BOOT), record(143, "TERM"), None, Life.GONE))
        is SchedulerState.NODE_FAILED
    )


def test_our_own_kill_is_an_end_and_only_once_the_process_is_gone() -> None:
    seen = observe_task(Seen(claim(), None, HERE, Life.GONE, killed_by_us=True), HERE, NOW)
    assert seen
    assert seen.state is SchedulerState.CANCELLED
    assert seen.reason == "killed by the gateway"
    assert state(Seen(claim(), None, HERE, Life.ALIVE, True)) is SchedulerState.RUNNING
    assert state(Seen(claim(), None, HERE, Life.ORPHANED, True)) is SchedulerState.RUNNING


@given(
    claimed=st.sampled_from([None, claim(), claim(OTHER_BOOT), claim(OTHER_HOST)])
    | st.text().map(lambda text: dataclasses.replace(claim(), native_id=text)),
    sent_to=st.sampled_from([None, HERE, OTHER_BOOT, OTHER_HOST]),
    life=st.sampled_from(Life),
)
def test_without_a_record_or_a_kill_only_a_restarted_host_ends_a_task(
    claimed: Claim | None, sent_to: Host | None, life: Life
) -> None:
    seen = observe_task(Seen(claimed, None, sent_to, life), HERE, NOW)
    if seen:
        assert seen.source is Source.PROCESS_TABLE
        assert seen.observed_at == NOW
        assert not seen.state.is_terminal or seen.state is SchedulerState.NODE_FAILED
