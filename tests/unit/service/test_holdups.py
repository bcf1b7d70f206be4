"""What holds up a workflow: the same words for all who ask, and nothing where nothing does."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.service.holdups import Holdup, HoldupKind, Holdups
from gateway.service.in_time import InTime
from gateway.service.views import Views
from gateway.site.checked import SiteFacts
from gateway.submitters import control
from gateway.testing.fake_task import Fault
from gateway.vocabulary.evidence import SchedulerState
from gateway.vocabulary.records import Workflow
from tests.unit.core.conftest import Machine, build_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from build_machine(tmp_path)


def held_up(machine: Machine, workflow: Workflow) -> list[Holdup]:
    holdups = Holdups(machine.store, SiteFacts.of(machine.parts.site), machine.clock)
    return list(holdups.of(Views(machine.store).show(workflow.id)))


def only(machine: Machine, workflow: Workflow) -> Holdup:
    (found,) = held_up(machine, workflow)
    return found


def filesystem(**changes: int) -> SimpleNamespace:
    sound = {"f_bavail": 1 << 30, "f_frsize": 4096, "f_blocks": 1 << 31}
    files = {"f_files": 1000, "f_favail": 900, "f_flag": 0}
    return SimpleNamespace(**{**sound, **files, **changes})


def test_nothing_holds_up_what_runs_or_has_ended(machine: Machine) -> None:
    workflow = machine.submit("true")
    key = machine.sent(workflow)
    assert held_up(machine, workflow) == []
    machine.cluster.start(key)
    machine.tick(30)
    assert held_up(machine, workflow) == []
    machine.cluster.end(key, 0)
    machine.tick(30)
    shutil.rmtree(machine.parts.site.shared_root)
    assert held_up(machine, workflow) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f_bavail": 3}, "the disk under {} is full"),
        ({"f_favail": 0}, "the disk under {} takes no more files"),
        ({"f_flag": os.ST_RDONLY}, "the disk under {} is read-only"),
    ],
)
def test_a_disk_that_takes_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], words: str
) -> None:
    workflow = machine.submit("true")
    root = machine.parts.site.shared_root
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda p: filesystem(**changes) if p == root else real(p))

    found = only(machine, workflow)

    assert found.kind is HoldupKind.DISK
    assert found.reason.startswith(words.format(root))
    assert "by itself" in found.hint


def test_a_disk_that_does_not_answer_does_not_hold_up_who_asks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = machine.submit("true")
    root = machine.parts.site.shared_root
    real, answer = os.statvfs, threading.Event()
    monkeypatch.setattr(os, "statvfs", lambda p: answer.wait(60) if p == root else real(p))
    in_time = InTime[Holdup | None](0.05)
    holdups = Holdups(machine.store, SiteFacts.of(machine.parts.site), machine.clock, in_time)

    (found,) = holdups.of(Views(machine.store).show(workflow.id))

    answer.set()
    assert found.kind is HoldupKind.DISK
    assert found.reason.startswith(f"the shared root {root} does not answer")


@pytest.mark.parametrize("counts", [{"f_files": 0, "f_favail": 0}, {"f_blocks": 0, "f_bavail": 0}])
def test_a_filesystem_that_counts_nothing_is_not_called_full(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int]
) -> None:
    workflow = machine.submit("true")
    monkeypatch.setattr(os, "statvfs", lambda _: filesystem(**counts))

    assert held_up(machine, workflow) == []


def test_a_shared_root_that_has_vanished(machine: Machine) -> None:
    workflow = machine.submit("true")
    root = machine.parts.site.shared_root
    root.rename(root.with_name("elsewhere"))

    assert only(machine, workflow).reason == f"the shared root {root} is not there"


def test_a_quota_that_is_used_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = machine.submit("true")

    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/shared/control/x")

    monkeypatch.setattr(control, "prepare", refuse)
    machine.sent(workflow)

    found = only(machine, workflow)
    assert found.kind is HoldupKind.DISK
    assert found.reason.startswith("your quota is used up: step 'step' waits for cluster main")
    assert "quota" in found.hint


def test_a_record_that_is_being_written_is_no_trouble(machine: Machine) -> None:
    workflow = machine.submit("true")
    key = machine.sent(workflow)
    machine.cluster.start(key)
    machine.tick(30)
    attempt = machine.attempts(workflow)[0]
    control_dir = machine.parts.control_dir(attempt.submission_key or "")
    part = control_dir / "exits" / f".{attempt.task_index}.{attempt.restart}.part"
    part.touch()
    os.utime(part, (machine.clock(), machine.clock()))

    assert held_up(machine, workflow) == []
    machine.clock.pass_by(20)
    assert "exit record is begun, not complete" in only(machine, workflow).reason


def test_a_scheduler_that_does_not_answer(machine: Machine) -> None:
    workflow = machine.submit("true")
    machine.sent(workflow)
    with machine.store.drive(machine.lease) as transaction:
        gate = {"failures": 3, "trouble": "squeue: timed out", "retry_at": machine.clock() + 9}
        transaction.clusters.set("main", gate=gate)

    found = only(machine, workflow)
    assert (found.kind, found.reason) == (
        HoldupKind.CLUSTER,
        "cluster main does not answer: squeue: timed out",
    )


def test_a_limit_of_the_scheduler(machine: Machine) -> None:
    machine.cluster.faults += [Fault.FULL] * 3
    workflow = machine.submit("true")
    machine.sent(workflow)

    found = only(machine, workflow)
    assert found.kind is HoldupKind.ROOM
    assert found.reason == "step 'step' waits for cluster main: job limit reached"


def test_an_answer_that_was_lost(machine: Machine) -> None:
    machine.cluster.faults.append(Fault.LOST_REQUEST)
    machine.cluster.accounting = False
    workflow = machine.submit("true")
    machine.sent(workflow)

    found = only(machine, workflow)
    assert found.kind is HoldupKind.CLUSTER
    assert "certainty whether the scheduler has it (no answer in time)" in found.reason
    assert "twice" in found.hint


def test_an_image_that_is_being_fetched(machine: Machine) -> None:
    machine.images.to_fetch.add("img:1")
    workflow = machine.submit("true")
    for _ in range(3):
        machine.tick()
    machine.cluster.change(
        machine.cluster.keys[0], SchedulerState.PENDING, raw="PENDING", reason="Priority"
    )
    machine.tick(30)

    found = only(machine, workflow)
    assert found.kind is HoldupKind.IMAGE
    assert found.reason.startswith("image img:1 is fetched by job 0000000")
    assert "Priority" in found.reason
