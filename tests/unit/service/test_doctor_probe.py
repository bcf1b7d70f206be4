"""The probe job over a fake scheduler: it comes back, or not, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.core.parts import Call, Cluster
from gateway.core.probe import Fate, Probe, ProbeReport, small
from gateway.service.doctor.check import Check, Level
from gateway.service.doctor.probe import judge_probe, skew
from gateway.service.doctor.trial_image import TrialImage
from gateway.site.model import Site, SlurmCluster
from gateway.submitters.base import ActiveSubmission, ActOutcome, Unreachable
from gateway.testing.clock import FakeClock
from gateway.testing.fake_cluster import FakeCluster
from gateway.testing.fake_task import Fault
from gateway.vocabulary.evidence import Claim, ExitRecord, SchedulerState
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

IMAGE = TrialImage(None)
SITE = Site.model_validate({"containers": "host", "clusters": {"main": {"type": "slurm"}}})


class NoCalls:
    def drain(self) -> Iterable[Call]:
        return ()

    def state(self, known: Mapping[str, Any]) -> dict[str, Any]:
        del known
        return {}


@dataclass
class Deaf(FakeCluster):
    """A scheduler that takes jobs and does not answer removals."""

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        return Unreachable("no answer in time")


@dataclass
class Room:
    """A probe, and what happens while it rests."""

    root: Path
    clock: FakeClock
    cluster: FakeCluster
    timeout_s: float = 60.0
    script: dict[float, Callable[[str], object]] = field(default_factory=dict)
    enough: bool = False
    began: float = 0.0

    @property
    def directory(self) -> Path:
        return self.root / "gw0123456789abcdef"

    def rest(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        passed = self.clock() - self.began
        for at in [at for at in self.script if at <= passed]:
            self.script.pop(at)(self.cluster.keys[0])

    def run(self) -> ProbeReport:
        self.began = self.clock()
        settings = SlurmCluster(type="slurm")
        cluster = Cluster("main", settings, self.cluster, NoCalls())
        return Probe(
            cluster,
            self.directory,
            Launch(("env",), ("true",), {}, "/"),
            self.timeout_s,
            clock=self.clock,
            told_to_end=lambda: self.enough,
            rest=self.rest,
        ).run()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    clock = FakeClock()
    return Room(tmp_path, clock, FakeCluster(clock))


def test_a_probe_that_comes_back(room: Room) -> None:
    room.script = {2: lambda key: room.cluster.start(key, "n7"), 4: room.cluster.end}
    report = room.run()
    assert report.fate is Fate.CAME_BACK
    assert report.claim is not None
    assert report.claim.node == "n7"
    assert report.record_seen_at is not None
    assert 4 <= report.record_seen_at - report.called_at < 5
    assert report.left == ""
    assert not room.directory.exists()
    assert room.cluster.calls["submit"] == 1


def test_a_probe_that_waits_is_removed_in_time_and_says_why(room: Room) -> None:
    room.script = {
        1: lambda key: room.cluster.change(key, SchedulerState.PENDING, reason="Resources")
    }
    report = room.run()
    assert report.fate is Fate.LATE
    assert "Resources" in report.words
    assert room.clock() - room.began < room.timeout_s + 5
    assert room.cluster.calls["cancel"] >= 1
    assert report.left == ""
    assert not room.directory.exists()


def test_the_scheduler_is_asked_seldom(room: Room) -> None:
    room.run()
    assert room.cluster.calls["observe"] <= 10


def test_a_user_who_has_had_enough_is_obeyed(room: Room) -> None:
    room.script = {5: lambda _key: setattr(room, "enough", True)}
    report = room.run()
    assert report.fate is Fate.LATE
    assert room.clock() - room.began < 10
    assert room.cluster.calls["cancel"] >= 1
    assert not room.directory.exists()


def test_a_removal_that_is_not_confirmed_keeps_the_job_from_starting(tmp_path: Path) -> None:
    clock = FakeClock()
    room = Room(tmp_path, clock, Deaf(clock), timeout_s=5)
    report = room.run()
    assert report.native_id in report.left
    assert str(room.directory) in report.left
    assert room.cluster.forbidden(room.cluster.keys[0])
    assert clock() - room.began < 60


def test_a_lost_answer_is_looked_up_and_the_job_removed(room: Room) -> None:
    room.cluster.faults.append(Fault.LOST_ANSWER)
    report = room.run()
    assert report.fate is Fate.NO_ANSWER
    assert room.cluster.calls["find"] == 1
    assert room.cluster.calls["cancel"] >= 1
    assert not room.directory.exists()


def test_a_request_that_got_lost_keeps_the_files_of_a_job_that_may_come(room: Room) -> None:
    room.cluster.faults.append(Fault.LOST_REQUEST)
    report = room.run()
    assert report.fate is Fate.NO_ANSWER
    assert (room.directory / "stop" / "0").exists()
    assert report.left


@pytest.mark.parametrize(
    ("fault", "fate"), [(Fault.REFUSAL, Fate.REFUSED), (Fault.FULL, Fate.NO_ROOM)]
)
def test_a_probe_that_is_not_taken_leaves_nothing(room: Room, fault: Fault, fate: Fate) -> None:
    room.cluster.faults.append(fault)
    report = room.run()
    assert report.fate is fate
    assert not room.directory.exists()


def test_a_job_that_does_not_see_the_files_is_a_failure(room: Room) -> None:
    room.script = {
        2: lambda key: room.cluster.change(
            key, SchedulerState.FAILED, raw="FAILED", exit_code=75, node="n3"
        )
    }
    report = room.run()
    assert report.fate is Fate.FAILED
    assert "n3" in report.words


def test_a_shared_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    clock = FakeClock()
    report = Room(tmp_path / "file", clock, FakeCluster(clock)).run()
    assert report.fate is Fate.FAILED
    assert str(tmp_path / "file") in report.words


def test_the_probe_asks_for_little() -> None:
    assert small(Resources(cpus=64, memory_mib=100_000, walltime_s=10**6, gpus=4)) == Resources(
        cpus=1, memory_mib=512, walltime_s=300
    )
    assert small(Resources(memory_mib=100)) == Resources(cpus=1, memory_mib=100, walltime_s=300)


def back(claimed: float, claim_seen: float, finished: float, seen: float) -> ProbeReport:
    """Return the report of a probe sent at 1000."""
    return ProbeReport(
        Fate.CAME_BACK,
        native_id="7",
        called_at=1000.0,
        claim=Claim("k", 0, "7_0", "n1", claimed),
        claim_seen_at=claim_seen,
        record=ExitRecord("k", 0, "7_0", "n1", 0, claimed, finished),
        record_seen_at=seen,
    )


@pytest.mark.parametrize(
    ("report", "least", "most"),
    [
        (back(1002, 1003, 1004, 1004.5), -0.5, 2),
        (back(1102, 1003, 1104, 1004.5), 99.5, 102),
        (back(902, 1003, 904, 1004.5), -100.5, -98),
    ],
)
def test_skew_lies_between_bounds(report: ProbeReport, least: float, most: float) -> None:
    assert skew(report) == pytest.approx((least, most))


def levels(found: Iterable[Check]) -> dict[str, Level]:
    return {check.name.rpartition(": ")[2]: check.level for check in found}


@pytest.mark.parametrize(
    ("report", "clock", "filesystem"),
    [
        (back(1002, 1003, 1004, 1004.5), Level.OK, Level.OK),
        (back(1012, 1003, 1014, 1004.5), Level.WARN, Level.OK),
        (back(1102, 1003, 1104, 1004.5), Level.FAIL, Level.OK),
        (back(980, 1003, 982, 1004.5), Level.WARN, Level.OK),
        (back(1002, 1003, 1004, 1044.5), Level.OK, Level.WARN),
    ],
)
def test_what_the_way_back_shows(report: ProbeReport, clock: Level, filesystem: Level) -> None:
    found = levels(judge_probe("main", report, SITE, IMAGE))
    assert found == {"probe job": Level.OK, "clock": clock, "shared filesystem": filesystem}


@pytest.mark.parametrize(
    ("fate", "level"),
    [
        (Fate.LATE, Level.WARN),
        (Fate.NO_ROOM, Level.WARN),
        (Fate.NO_ANSWER, Level.WARN),
        (Fate.REFUSED, Level.FAIL),
        (Fate.FAILED, Level.FAIL),
    ],
)
def test_a_probe_that_is_not_back_says_why_and_what_to_do(fate: Fate, level: Level) -> None:
    report = ProbeReport(fate, "waits in the queue (queue says PENDING: Priority)", "7")
    (check,) = judge_probe("main", report, SITE, IMAGE)
    assert check.level is level
    assert "Priority" in check.found
    assert check.fix
