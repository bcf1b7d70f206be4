"""Nodes that eat jobs: each rule of the ledger, and what a job that is sent away from one sees."""

from __future__ import annotations

import pytest

from gateway.core.ledger import avoided_nodes
from gateway.core.nodes import (
    AVOIDED_S,
    EATEN,
    MOST_AVOIDED,
    QUICK_S,
    WINDOW_S,
    WORKED_S,
    Avoided,
    avoided,
    is_fault,
    stay_away_from,
)
from gateway.core.parts import FetchResult
from gateway.service.doctor.check import Level
from gateway.service.doctor.state import bad_nodes
from gateway.vocabulary.evidence import Outcome, SchedulerState
from gateway.vocabulary.nodes import NodeFault, NodeWork
from tests.unit.core.conftest import Machine

NOW = 1_800_000_000.0


def faults(
    node: str = "n7",
    jobs: int = EATEN,
    *,
    ago: float = 60.0,
    outcome: Outcome = Outcome.NODE_BAD,
    image: str = "img",
) -> list[NodeFault]:
    return [NodeFault(node, NOW - ago, outcome, f"job{n}", image) for n in range(jobs)]


def ran(
    node: str = "n1", *, lately: int = 1, ago: float = 60.0, image: str = "img"
) -> list[NodeWork]:
    return [NodeWork(node, image, NOW - ago, lately)]


def names(found: list[Avoided]) -> list[str]:
    return [each.node for each in found]


def test_a_node_that_lost_several_jobs_is_avoided_with_the_reason() -> None:
    (only,) = avoided(faults(), ran(), NOW)
    assert (only.node, only.jobs, only.of) == ("n7", EATEN, EATEN)
    assert only.words.startswith("3 jobs of 3 lost there since ")


def test_fewer_jobs_are_the_business_of_their_own_retries() -> None:
    assert avoided(faults(jobs=EATEN - 1), ran(), NOW) == []


def test_many_attempts_of_one_job_are_one_job() -> None:
    same = [NodeFault("n7", NOW - 60, Outcome.NODE_BAD, "job1", "img")] * 9
    assert avoided(same, ran(), NOW) == []


def test_faults_before_the_window_count_no_more() -> None:
    old, new = faults(jobs=2, ago=WINDOW_S + 1), faults(jobs=2)
    assert avoided([*old, *new], ran(), NOW) == []


def test_a_node_gets_another_chance_after_its_last_fault() -> None:
    assert avoided(faults(ago=AVOIDED_S - 1), ran(), NOW)
    assert avoided(faults(ago=AVOIDED_S + 1), ran(), NOW) == []


def test_one_more_fault_in_the_window_takes_the_chance_away() -> None:
    again = NodeFault("n7", NOW - 1, Outcome.NODE_LOST, "another", "img")
    assert names(avoided([*faults(ago=AVOIDED_S + 1), again], ran(), NOW)) == ["n7"]


def test_a_node_on_which_most_jobs_run_is_not_avoided() -> None:
    work = [*ran(), *ran("n7", lately=EATEN)]
    assert avoided(faults(), work, NOW) == []
    work = [*ran(), *ran("n7", lately=EATEN - 1)]
    assert [(each.jobs, each.of) for each in avoided(faults(), work, NOW)] == [(3, 5)]


def test_without_another_node_that_is_known_to_work_none_is_avoided() -> None:
    assert avoided(faults(), [], NOW) == []
    assert avoided(faults(), ran("n7"), NOW) == []
    assert avoided(faults(), ran(ago=WORKED_S + 1), NOW) == []


def test_of_the_nodes_that_work_one_is_always_left() -> None:
    both = [*faults("a", 4), *faults("b", 5)]
    work = [*ran("a"), *ran("b")]
    assert names(avoided(both, work, NOW)) == ["b"]


def test_the_list_has_an_end_and_keeps_the_worst() -> None:
    many = [each for n in range(2 * MOST_AVOIDED) for each in faults(f"n{n:03}", EATEN + n)]
    found = avoided(many, ran("good"), NOW)
    assert len(found) == MOST_AVOIDED
    assert found[0].node == f"n{2 * MOST_AVOIDED - 1:03}"


def test_a_container_that_does_not_start_is_the_nodes_fault_only_if_its_image_runs_elsewhere() -> (
    None
):
    broken = faults(outcome=Outcome.IMAGE, image="broken")
    assert avoided(broken, ran(image="img"), NOW) == []
    assert avoided(broken, [*ran(), *ran("n7", image="broken", lately=0)], NOW) == []
    assert names(avoided(broken, ran(image="broken"), NOW)) == ["n7"]


@pytest.mark.parametrize(
    ("outcome", "ran_for_s", "expected"),
    [
        (Outcome.NODE_LOST, None, True),
        (Outcome.NODE_BAD, None, True),
        (Outcome.IMAGE, 1.0, True),
        (Outcome.IMAGE, QUICK_S + 1, False),
        (Outcome.IMAGE, None, False),
        (Outcome.APP_ERROR, 1.0, False),
        (Outcome.PREEMPTED, None, False),
        (Outcome.LOST, None, False),
    ],
)
def test_what_a_node_is_blamed_for(
    outcome: Outcome, ran_for_s: float | None, expected: bool
) -> None:
    assert is_fault(outcome, ran_for_s) is expected


def test_an_attempt_stays_away_from_its_own_and_from_avoided_nodes() -> None:
    bad = {"n7": Avoided("n7", 3, 3, NOW, NOW)}
    assert stay_away_from(["n2"], bad, ["n1"]) == ("n2", "n7")


def test_an_attempt_is_never_kept_from_all_nodes_that_work() -> None:
    bad = {"n7": Avoided("n7", 3, 3, NOW, NOW)}
    assert stay_away_from(["n1"], bad, ["n1"]) == ("n7",)


def test_a_doctor_names_the_node() -> None:
    (check,) = bad_nodes("main", avoided(faults(), ran(), NOW), NOW)
    assert check.level is Level.WARN
    assert check.name == "cluster main: node n7"
    assert "3 jobs of 3 lost there since" in check.found


# With the whole state machine.


def lose(machine: Machine, key: str, node: str) -> None:
    machine.cluster.start(key, node=node)
    machine.cluster.change(key, SchedulerState.NODE_FAILED, raw="NODE_FAIL", node=node)


def sent_away_from(machine: Machine, key: str) -> tuple[str, ...]:
    return machine.cluster.copy(key).excluded


def succeed(machine: Machine, name: str, node: str) -> None:
    key = machine.sent(machine.submit("run", name=name))
    machine.cluster.start(key, node=node)
    machine.cluster.end(key)
    machine.tick()


def test_new_jobs_of_all_workflows_are_sent_away_from_a_node_that_eats_jobs(
    machine: Machine,
) -> None:
    succeed(machine, "good", "n1")
    for number in range(EATEN):
        machine.submit("run", name=f"w{number}")
    machine.tick()
    for key in machine.cluster.keys[-EATEN:]:
        lose(machine, key, "n7")
    machine.tick(11)
    workflow = machine.submit("run", name="new")
    machine.tick()
    (attempt,) = machine.attempts(workflow)
    assert sent_away_from(machine, attempt.key) == ("n7",)
    with machine.store.read() as transaction:
        said = [event.text for event in transaction.events.of_job(attempt.job_id)]
        assert names(avoided_nodes(transaction, "main", machine.clock())) == ["n7"]
    assert any("stays away from node n7 (3 jobs of 3 lost there since " in each for each in said)


def test_what_is_known_of_nodes_outlives_the_driver_and_ends_with_time(machine: Machine) -> None:
    succeed(machine, "good", "n1")
    for number in range(EATEN):
        machine.submit("run", name=f"w{number}")
    machine.tick()
    for key in machine.cluster.keys[-EATEN:]:
        lose(machine, key, "n7")
    machine.tick(11)
    machine.new_driver()
    later = machine.submit("run", name="later")
    machine.tick()
    assert sent_away_from(machine, machine.attempts(later)[0].key) == ("n7",)
    machine.tick(AVOIDED_S)
    last = machine.submit("run", name="last")
    machine.tick()
    assert sent_away_from(machine, machine.attempts(last)[0].key) == ()


def test_a_node_whose_containers_do_not_start_is_avoided(machine: Machine) -> None:
    succeed(machine, "good", "n1")
    for number in range(EATEN):
        machine.submit("run", name=f"w{number}")
    machine.tick()
    for key in machine.cluster.keys[-EATEN:]:
        machine.cluster.start(key, node="n7")
        machine.cluster.end(key, 255, runtime_error="FATAL: container creation failed: mount")
    machine.tick()
    workflow = machine.submit("run", name="new")
    machine.tick()
    assert sent_away_from(machine, machine.attempts(workflow)[0].key) == ("n7",)


def test_only_node_of_a_cluster_is_used_again(machine: Machine) -> None:
    succeed(machine, "good", "only")
    for number in range(EATEN):
        machine.submit("run", name=f"w{number}")
    machine.tick()
    for key in machine.cluster.keys[-EATEN:]:
        lose(machine, key, "only")
    for _ in range(3):
        machine.tick(11)
    again = machine.cluster.keys[-1]
    assert again.endswith(".2")
    assert sent_away_from(machine, again) == ()


def test_a_node_that_fetched_an_image_has_not_run_it(machine: Machine) -> None:
    machine.images.to_fetch.add("img:1")
    workflow = machine.submit("run")
    machine.tick()
    (fetch,) = machine.cluster.keys
    with machine.store.read() as transaction:
        (attempt,) = transaction.jobs.open_attempts()
    machine.images.results[attempt.job_id] = FetchResult(machine.images.resolved("img:1"))
    machine.cluster.start(fetch, node="builder")
    machine.cluster.end(fetch)
    machine.tick()
    machine.tick()
    (step,) = machine.attempts(workflow)
    machine.cluster.start(step.key, node="n1")
    machine.cluster.end(step.key)
    machine.tick()
    with machine.store.read() as transaction:
        work = transaction.nodes.work("main", 0.0, 0.0)
    assert [(each.node, each.image, each.lately) for each in work] == [("n1", "img:1", 1)]
