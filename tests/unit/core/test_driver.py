"""Drivers: the lease, mistakes of one part, and making way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.composition.app import engine_of
from gateway.core import driver as driver_module
from gateway.core.cycle import Cycle, Pass
from gateway.core.driver import BrokenDriverError, Driver
from gateway.core.each import for_each
from gateway.core.lease import take
from gateway.engines.base import Engine
from gateway.store.leases import Leases
from gateway.store.store import LeaseLostError
from gateway.vocabulary.records import Lease, Workflow
from gateway.vocabulary.states import WorkflowStatus
from tests.unit.core.conftest import Machine


def broken_engine(workflow: Workflow) -> Engine:
    """Fail for workflows named ``bad``, as a mistake in an engine would."""
    if workflow.name == "bad":
        raise KeyError("a mistake")
    return engine_of(workflow)


def test_mistake_with_one_workflow_leaves_the_others_their_turn(machine: Machine) -> None:
    bad, good = machine.submit("run", name="bad"), machine.submit("run", name="good")
    machine.cycle = Cycle(replace(machine.parts, engine=broken_engine), machine.lease)
    done = machine.cycle.tick()
    assert done.mistakes == 1
    assert "a mistake" in done.troubles[0]
    assert machine.status(good) is WorkflowStatus.RUNNING
    assert machine.status(bad) is WorkflowStatus.QUEUED


def test_driver_that_fails_at_every_pass_makes_way(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "MISTAKES_IN_A_ROW", 3)
    machine.submit("run", name="bad")
    machine.clock.pass_by(120)
    passes: list[Pass] = []
    broken = Driver(replace(machine.parts, engine=broken_engine), "serve")
    with pytest.raises(BrokenDriverError, match="a mistake"):
        broken.run(passes.append, lambda: False)
    assert len(passes) == 3
    assert take(machine.store, "serve", machine.clock(), host="h", boot="b", token="next")


def test_second_driver_gets_no_lease_while_the_first_lives(machine: Machine) -> None:
    held = take(machine.store, "tick", machine.clock(), host="elsewhere", boot="c", token="two")
    assert held is None


def test_two_first_leases_have_one_owner(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL lets two processes find no lease at once; the row is there when one writes."""
    with machine.store.write() as transaction:
        found = transaction.leases.current()
        assert found is not None
        transaction.leases.take(replace(found, generation=found.generation + 1, holder="third"))
    monkeypatch.setattr(Leases, "current", lambda _: None)
    held = take(machine.store, "serve", machine.clock(), host="elsewhere", boot="c", token="two")
    assert held is None


def test_lease_of_the_same_generation_is_not_that_of_its_owner(machine: Machine) -> None:
    other = replace(machine.lease, holder="another")
    with pytest.raises(LeaseLostError), machine.store.drive(other):
        pytest.fail("it was let in")


@pytest.mark.parametrize("seconds", [31, 7200])
def test_lease_of_another_host_is_taken_over_when_it_has_run_out(
    machine: Machine, seconds: int
) -> None:
    machine.clock.pass_by(seconds)
    lease = take(machine.store, "tick", machine.clock(), host="elsewhere", boot="c", token="two")
    assert isinstance(lease, Lease)
    assert lease.generation == machine.lease.generation + 1


def test_lease_from_before_a_reboot_or_of_a_dead_process_is_free_at_once(machine: Machine) -> None:
    rebooted = take(machine.store, "tick", machine.clock(), host="h", boot="other", token="two")
    assert rebooted is not None


def test_a_driver_of_another_space_of_process_numbers_is_waited_for(machine: Machine) -> None:
    machine.clock.pass_by(120)
    words = {"host": "h", "token": "two"}
    first = take(machine.store, "serve", machine.clock(), boot="b/1", **words)
    assert first is not None
    with machine.store.write() as transaction:
        gone = replace(first, pid=2**22 + 1, generation=first.generation + 1)
        transaction.leases.take(gone)
    now = machine.clock()
    assert take(machine.store, "tick", now, boot="b/2", host="h", token="three") is None
    assert take(machine.store, "tick", now, boot="b/1", host="h", token="three") is not None


def test_lease_from_a_far_future_does_not_lock_everybody_out(machine: Machine) -> None:
    machine.clock.pass_by(-7200)
    lease = take(machine.store, "tick", machine.clock(), host="elsewhere", boot="c", token="two")
    assert lease is not None


def test_tick_without_work_makes_one_pass(machine: Machine) -> None:
    machine.clock.pass_by(120)
    passes: list[Pass] = []
    assert Driver(machine.parts, "tick").once(passes.append)
    assert [done.changes for done in passes] == [0]


@pytest.mark.parametrize(("span_s", "passes"), [(0.0, 12), (25.0, 5)])
def test_tick_ends_in_time_though_things_still_move(
    machine: Machine, span_s: float, passes: int
) -> None:
    machine.clock.pass_by(120)
    made: list[Pass] = []

    def never_done(_lease: Lease) -> int:
        return 1

    busy = replace(machine.parts, chores=never_done)
    assert Driver(busy, "tick", lambda: 5.0 * len(made)).once(made.append, span_s=span_s)
    assert len(made) == passes


def test_all_have_their_turn_and_the_first_failure_is_told() -> None:
    met: list[int] = []

    def action(item: int) -> int:
        met.append(item)
        if item % 2:
            raise ValueError(str(item))
        return item

    with pytest.raises(ValueError, match="1"):
        for_each(range(5), action)
    assert met == [0, 1, 2, 3, 4]


def test_a_lost_lease_ends_everything_at_once() -> None:
    met: list[int] = []

    def action(item: int) -> int:
        met.append(item)
        raise LeaseLostError("another one drives")

    with pytest.raises(LeaseLostError):
        for_each(range(5), action)
    assert met == [0]
