"""What ``gateway explain`` says of a job: the scheduler's words, what it asked for, its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.service.explain import Explanation, Explanations
from gateway.service.holdups import Holdups
from gateway.service.views import Views
from gateway.site.checked import SiteFacts
from gateway.vocabulary.evidence import SchedulerState
from tests.unit.core.conftest import Machine, build_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from build_machine(tmp_path)


def explained(machine: Machine, asked: str) -> Explanation:
    holdups = Holdups(machine.store, SiteFacts.of(machine.parts.site), machine.clock)
    return Explanations(machine.store, Views(machine.store), holdups, machine.clock).of(asked)


def test_the_schedulers_own_words_are_shown(machine: Machine) -> None:
    workflow = machine.submit("true", memory="2 GiB")
    key = machine.sent(workflow)
    machine.cluster.change(key, SchedulerState.PENDING, raw="PENDING", reason="QOSMaxCpuPerUser")
    machine.tick(30)

    explanation = explained(machine, machine.jobs(workflow)[0].id)
    facts = dict(explanation.facts)
    assert "PENDING: QOSMaxCpuPerUser" in facts["attempt 1, scheduler's last words"]
    assert "memory_mib=2048" in facts["attempt 1, asked for"]
    assert "QOSMaxCpuPerUser" in explanation.sentence


def test_an_ended_attempt_says_what_it_came_to_and_where_its_record_is(machine: Machine) -> None:
    workflow = machine.submit("false")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.cluster.end(key, 3)
    machine.tick(30)

    facts = dict(explained(machine, machine.jobs(workflow)[0].id).facts)
    assert facts["attempt 1, came to"] == "application error: exit code 3"
    assert Path(facts["attempt 1, exit record"]).exists()


def test_a_job_that_waits_for_its_image_says_who_fetches_it(machine: Machine) -> None:
    machine.images.to_fetch.add("img:1")
    workflow = machine.submit("true")
    for _ in range(3):
        machine.tick()
    machine.cluster.change(
        machine.cluster.keys[0], SchedulerState.PENDING, raw="PENDING", reason="Priority"
    )
    machine.tick(30)

    for asked in (workflow.id, machine.jobs(workflow)[0].id):
        sentence = explained(machine, asked).sentence
        assert "waits for its image" in sentence
        assert "fetches it" in sentence
        assert "Priority" in sentence


def test_an_exit_record_that_finds_no_room_is_told(machine: Machine) -> None:
    workflow = machine.submit("true")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(30)
    job = machine.jobs(workflow)[0]
    record = Path(dict(explained(machine, job.id).facts)["attempt 1, exit record"])
    assert "quota" not in explained(machine, job.id).sentence

    part = record.with_name(f".{record.stem}.part")
    part.touch()
    os.utime(part, (machine.clock() - 5, machine.clock() - 5))

    sentence = explained(machine, job.id).sentence
    assert "exit record is begun, not complete" in sentence
    assert f"free for {record.parent}" in sentence
    assert "Held up: step" in explained(machine, workflow.id).sentence
