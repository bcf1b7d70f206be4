import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.site.model import SlurmCluster
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    Backpressure,
    Found,
    Limits,
    Observed,
    Rejected,
    Submission,
    Submitted,
    Task,
    Unclear,
    Unreachable,
)
from gateway.submitters.slurm.commands import ACCOUNTING_FIELDS, QUEUE_FIELDS, SEPARATOR, job_name
from gateway.submitters.slurm.submitter import SlurmSubmitter
from gateway.transport.base import CallKind, CommandResult, Failure
from gateway.vocabulary.evidence import SchedulerState, Source
from gateway.vocabulary.resources import Resources
from tests.unit.submitters.slurm.titles import ACCOUNTING_TITLES, QUEUE_TITLES

KEY = "gw0123456789abcdef"
OFF = ("", "Slurm accounting storage is disabled", 1)
DOWN = ("", "sacct: error: Problem talking to the database: Connection refused", 1)
NO_ANSWER = ("", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1)
TITLES = {"squeue": QUEUE_TITLES, "sacct": ACCOUNTING_TITLES}
Said = str | tuple[str, str, int] | Failure | list[Any]


class ScriptedGate:
    """Answers by program; a list is used up answer by answer.

    Records get the titles before them; a tuple is output, errors and status as they are.
    """

    def __init__(self, **said: Said) -> None:
        self.said = {
            "squeue": "",
            "sacct": "",
            "scancel": "",
            "scontrol": "",
            "sbatch": "1\n",
            **said,
        }
        self.calls: list[tuple[CallKind, tuple[str, ...]]] = []
        self.scripts: list[str] = []

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        self.calls.append((kind, tuple(argv)))
        self.scripts.append(stdin)
        program = next(word for word in argv if word in self.said)
        answer = self.said[program]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Failure):
            return CommandResult(tuple(argv), None, "", "", 1.0, answer)
        if isinstance(answer, str):
            answer = TITLES.get(program, "") + answer, "", 0
        out, err, status = answer
        return CommandResult(tuple(argv), status, out, err, 0.0)

    def programs(self) -> list[str]:
        return [next(word for word in argv if word in self.said) for _, argv in self.calls]


def make(gate: ScriptedGate, **settings: Any) -> SlurmSubmitter:
    site = SlurmCluster.model_validate({"type": "slurm", **settings})
    return SlurmSubmitter("here", site, gate, lambda: 1000.0, "alice")


def queue(job: str, state: str, key: str = KEY, **more: str) -> str:
    fields = {"JobArrayID": job, "State": state, "Reason": "None", "Name": f"{key}-fit", **more}
    return "".join(fields.get(name, "") + SEPARATOR for name in QUEUE_FIELDS) + "\n"


def accounted(job: str, state: str, key: str = KEY, **more: str) -> str:
    fields = {"JobID": job, "State": state, "JobName": f"{key}-fit", **more}
    return SEPARATOR.join(fields.get(name, "") for name in ACCOUNTING_FIELDS) + "\n"


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    (tmp_path / "claims").mkdir()
    (tmp_path / "tasks").mkdir()
    tasks = tuple(Task(f"k{index}", index, "fit") for index in range(3))
    for task in tasks:
        (tmp_path / "tasks" / f"{task.index}.sh").touch()
    return Submission(KEY, "fit", tmp_path, Resources(), tasks)


@pytest.fixture
def active(submission: Submission) -> ActiveSubmission:
    keys = {task.index: task.key for task in submission.tasks}
    return ActiveSubmission(KEY, "7", submission.control_dir, 900.0, keys)


def claim(submission: Submission, key: str, native_id: str, index: int = 0) -> None:
    data = {"key": key, "restart": 0, "native_id": native_id, "node": "n", "claimed_at": 1.0}
    (submission.control_dir / "claims" / f"{index}.0").write_text(json.dumps(data))


def states(outcome: object) -> dict[str, SchedulerState]:
    assert isinstance(outcome, Observed)
    return {key: said.state for key, said in outcome.tasks.items()}


def test_one_call_sends_all_tasks_and_no_word_of_the_user(submission: Submission) -> None:
    gate = ScriptedGate(sbatch="41;east\n")
    labelled = replace(submission, label="$(rm -rf /)")
    assert make(gate).submit(labelled) == Submitted("41", "east")
    ((kind, argv),) = gate.calls
    assert kind is CallKind.SUBMIT
    assert f"--job-name={job_name(labelled)}" in argv
    assert "rm -rf" not in " ".join(argv) + gate.scripts[0]


def test_the_wish_to_avoid_nodes_is_dropped_when_slurm_refuses_it(submission: Submission) -> None:
    refused = ("", "sbatch: error: Batch job submission failed: Invalid node name specified", 1)
    gate = ScriptedGate(sbatch=[refused, "5\n"])
    assert make(gate).submit(replace(submission, exclude_nodes=("bad",))) == Submitted("5")
    assert ["--exclude=bad" in argv for _, argv in gate.calls] == [True, False]


def test_an_unclear_answer_is_never_followed_by_a_second_call(submission: Submission) -> None:
    gate = ScriptedGate(sbatch=[Failure.TIMEOUT])
    outcome = make(gate).submit(replace(submission, exclude_nodes=("bad",)))
    assert isinstance(outcome, Unclear)
    assert len(gate.calls) == 1


def test_a_refusal_without_a_wish_is_final(submission: Submission) -> None:
    refused = ("", "sbatch: error: Batch job submission failed: Invalid qos specification", 1)
    gate = ScriptedGate(sbatch=refused)
    assert make(gate).submit(submission) == Rejected("Invalid qos specification")
    assert len(gate.calls) == 1


def test_everything_is_observed_with_one_call(active: ActiveSubmission) -> None:
    others = [
        replace(active, key=f"gw{n:016x}", native_id=str(100 + n), open_tasks={0: f"o{n}"})
        for n in range(50)
    ]
    text = "".join(queue(f"{each.native_id}_0", "RUNNING", each.key) for each in others)
    text += queue("7_[0-1]", "PENDING") + queue("7_2", "RUNNING") + queue("9", "RUNNING", "other")
    gate = ScriptedGate(squeue=text)
    seen = states(make(gate).observe([active, *others]))
    assert len(seen) == 53
    assert [seen[key] for key in ("k0", "k1", "k2")] == [
        SchedulerState.PENDING,
        SchedulerState.PENDING,
        SchedulerState.RUNNING,
    ]
    assert gate.programs() == ["squeue"]
    assert gate.calls[0][0] is CallKind.STATUS


def test_tasks_that_left_the_queue_are_looked_for_in_accounting(active: ActiveSubmission) -> None:
    ended = accounted("7_0", "TIMEOUT") + accounted("7_1", "CANCELLED by 1000")
    gate = ScriptedGate(squeue=queue("7_2", "RUNNING"), sacct=ended)
    outcome = make(gate).observe([active])
    assert states(outcome) == {
        "k0": SchedulerState.TIMEOUT,
        "k1": SchedulerState.CANCELLED,
        "k2": SchedulerState.RUNNING,
    }
    assert isinstance(outcome, Observed)
    assert outcome.absence_counts
    assert outcome.tasks["k0"].source is Source.ACCOUNTING
    assert "--jobs=7" in gate.calls[1][1]
    assert "--starttime=now-3700seconds" in gate.calls[1][1]


def test_accounting_cannot_bring_a_job_back_to_life(active: ActiveSubmission) -> None:
    gate = ScriptedGate(sacct=accounted("7_[0-2]", "RUNNING"))
    keys = frozenset(active.open_tasks.values())
    assert make(gate).observe([active]) == Observed({}, absence_counts=True, alive_elsewhere=keys)


@pytest.mark.parametrize(
    "text",
    [
        "<html>502 Bad Gateway</html>\n",
        "half a li",
        queue("7_0", "RUNNING")[:40],
        "\0",
        ("", "", 0),
        ("\n", "", 0),
    ],
)
def test_nothing_is_absent_from_an_answer_that_is_not_whole(
    active: ActiveSubmission, submission: Submission, text: Said
) -> None:
    found = make(ScriptedGate(squeue=text)).observe([active])
    assert isinstance(found, Observed)
    assert not found.absence_counts
    found = make(ScriptedGate(sacct=text)).observe([active])
    assert isinstance(found, Observed)
    assert not found.absence_counts
    for gate in (ScriptedGate(squeue=text), ScriptedGate(sacct=text)):
        assert isinstance(make(gate).find(submission, 0.0), Unreachable)


def test_of_half_an_answer_what_is_there_counts(active: ActiveSubmission) -> None:
    whole = "".join(queue(f"7_{index}", "RUNNING") for index in range(3))
    found = make(ScriptedGate(squeue=whole[:-10])).observe([active])
    assert isinstance(found, Observed)
    assert (set(found.tasks), found.absence_counts) == ({"k0", "k1"}, False)


def test_claims_that_cannot_be_read_are_not_absent(submission: Submission) -> None:
    claims = submission.control_dir / "claims"
    (claims / "0.0").write_text("half a cl")
    assert isinstance(make(ScriptedGate()).find(submission, 0.0), Unreachable)
    (claims / "0.0").unlink()
    assert make(ScriptedGate()).find(submission, 0.0) == Absent()
    claims.rmdir()
    assert isinstance(make(ScriptedGate()).find(submission, 0.0), Unreachable)


def test_an_id_that_now_belongs_to_another_job_is_not_ours(active: ActiveSubmission) -> None:
    strange = queue("7_0", "COMPLETED", "gwffffffffffffffff") + queue("7_1", "COMPLETED", f"{KEY}9")
    gate = ScriptedGate(squeue=strange, sacct=accounted("7_0", "COMPLETED", "gwffffffffffffffff"))
    assert make(gate).observe([active]) == Observed({}, absence_counts=True)


def test_absence_does_not_count_while_accounting_is_down(active: ActiveSubmission) -> None:
    gate = ScriptedGate(squeue=queue("7_0", "RUNNING"), sacct=DOWN)
    outcome = make(gate).observe([active])
    assert states(outcome) == {"k0": SchedulerState.RUNNING}
    assert isinstance(outcome, Observed)
    assert not outcome.absence_counts


def test_without_accounting_it_is_asked_once(active: ActiveSubmission) -> None:
    gate = ScriptedGate(sacct=OFF)
    slurm = make(gate)
    for _ in range(3):
        assert slurm.observe([active]) == Observed({}, absence_counts=True)
    assert gate.programs().count("sacct") == 1


def test_a_site_can_switch_accounting_off(active: ActiveSubmission, submission: Submission) -> None:
    gate = ScriptedGate(sacct=DOWN)
    slurm = make(gate, accounting=False)
    assert slurm.observe([active]) == Observed({}, absence_counts=True)
    assert slurm.find(submission, 900.0) == Absent()


@pytest.mark.parametrize("answer", [NO_ANSWER, Failure.TIMEOUT, Failure.NOT_FOUND])
def test_a_queue_that_does_not_answer_says_nothing(
    active: ActiveSubmission, submission: Submission, answer: Said
) -> None:
    gate = ScriptedGate(squeue=answer)
    slurm = make(gate)
    assert isinstance(slurm.observe([active]), Unreachable)
    assert isinstance(slurm.find(submission, 900.0), Unreachable)
    assert "sacct" not in gate.programs()


def test_clusters_are_asked_apart(active: ActiveSubmission) -> None:
    east, west = replace(active, where="east"), replace(active, where="west", key="gwb" + "0" * 15)
    gate = ScriptedGate(squeue=[queue("7", "RUNNING"), NO_ANSWER])
    outcome = make(gate).observe([east, replace(west, open_tasks={0: "w0"})])
    assert set(states(outcome)) == {"k0", "k1", "k2"}
    assert isinstance(outcome, Observed)
    assert not outcome.absence_counts
    assert [argv[3] for _, argv in gate.calls] == ["--clusters=east", "--clusters=west"]


def test_nothing_is_asked_when_nothing_is_open() -> None:
    gate = ScriptedGate()
    assert make(gate).observe([]) == Observed()
    assert make(gate).glance([]) == {}
    assert make(gate).cancel([]) == Acknowledged()
    assert gate.calls == []


def test_a_long_list_of_missing_arrays_is_asked_in_parts(active: ActiveSubmission) -> None:
    many = [
        replace(active, native_id=str(n), submitted_at=float(n), open_tasks={0: f"m{n}"})
        for n in range(1500)
    ]
    gate = ScriptedGate()
    outcome = make(gate).observe(many)
    assert outcome == Observed({}, absence_counts=False)
    assert gate.programs() == ["squeue", "sacct"]
    assert gate.calls[1][1][-1].endswith(",998,999")


def test_a_claim_is_enough_to_be_found(submission: Submission) -> None:
    claim(submission, "k0", "12_0")
    gate = ScriptedGate()
    assert make(gate).find(submission, 900.0) == Found("12", "", "claimed by job 12_0 on n")
    assert gate.calls == []


@pytest.mark.parametrize(("key", "native_id"), [("other", "12_0"), ("k0", "local:1"), ("k0", "")])
def test_a_claim_that_is_not_ours_is_none(submission: Submission, key: str, native_id: str) -> None:
    claim(submission, key, native_id)
    assert make(ScriptedGate()).find(submission, 900.0) == Absent()


def test_a_submission_is_found_in_the_queue_by_its_name(submission: Submission) -> None:
    gate = ScriptedGate(squeue=queue("8_[0-2]", "PENDING"))
    assert make(gate).find(submission, 900.0) == Found("8", "", "queue: PENDING")
    assert f"--name={job_name(submission)}" in gate.calls[0][1]
    assert gate.calls[0][0] is CallKind.FIND


def test_the_record_of_a_refused_call_does_not_hide_the_job(submission: Submission) -> None:
    ghost = queue("8_0", "FAILED", Reason="BadConstraints")
    real = queue("9_0", "FAILED", NodeList="node1")
    gate = ScriptedGate(squeue=ghost + real)
    found = make(gate).find(submission, 900.0)
    assert isinstance(found, Found)
    assert found.native_id == "9"


def test_a_submission_is_found_in_accounting(submission: Submission) -> None:
    gate = ScriptedGate(sacct=accounted("8_0", "COMPLETED"))
    found = make(gate).find(submission, 900.0)
    assert found == Found("8", "", "accounting: COMPLETED")
    assert "--starttime=now-3700seconds" in gate.calls[1][1]


def test_absent_needs_an_answer_of_everybody(submission: Submission) -> None:
    assert make(ScriptedGate()).find(submission, 900.0) == Absent()
    assert make(ScriptedGate(sacct=OFF)).find(submission, 900.0) == Absent()
    assert isinstance(make(ScriptedGate(sacct=DOWN)).find(submission, 900.0), Unreachable)


def test_a_job_that_ran_while_slurm_was_asked_is_found(submission: Submission) -> None:
    class Late(ScriptedGate):
        def call(self, *args: Any, **more: Any) -> CommandResult:
            claim(submission, "k1", "33_1", index=1)
            return super().call(*args, **more)

    found = make(Late()).find(submission, 900.0)
    assert isinstance(found, Found)
    assert found.native_id == "33"


def test_the_clusters_of_the_site_are_searched(submission: Submission) -> None:
    gate = ScriptedGate(squeue=["", queue("8_0", "PENDING")])
    slurm = make(gate, extra_arguments=["--clusters=east,west"])
    assert slurm.find(submission, 900.0) == Found("8", "west", "queue: PENDING")


def test_a_whole_array_is_cancelled_by_its_id_and_a_part_by_its_tasks(
    active: ActiveSubmission,
) -> None:
    gate = ScriptedGate()
    part = replace(active, native_id="8", open_tasks={0: "k0", 2: "k2"})
    assert make(gate).cancel([active, part]) == Acknowledged()
    assert gate.programs() == ["squeue", "scancel"]
    assert gate.calls[-1] == (CallKind.CANCEL, ("scancel", "7", "8_[0,2]"))


def test_a_job_that_has_our_id_now_is_not_cancelled(active: ActiveSubmission) -> None:
    """A controller that lost its state gives ids again."""
    other = replace(active, native_id="8")
    rows = queue("7_0", "RUNNING", "gwffffffffffffffff") + queue("8_0", "RUNNING")
    gate = ScriptedGate(squeue=rows)
    assert make(gate).cancel([active, other]) == Acknowledged()
    assert gate.calls[-1][1] == ("scancel", "8")
    alone = ScriptedGate(squeue=rows)
    assert make(alone).cancel([active]) == Acknowledged()
    assert alone.programs() == ["squeue"]
    assert isinstance(make(ScriptedGate(squeue=NO_ANSWER)).cancel([active]), Unreachable)


def test_without_the_control_directory_only_the_tasks_are_cancelled(
    active: ActiveSubmission, tmp_path: Path
) -> None:
    gate = ScriptedGate()
    make(gate).cancel([replace(active, control_dir=tmp_path / "gone")])
    assert gate.calls[-1][1] == ("scancel", "7_[0-2]")


def test_what_is_over_already_is_acknowledged(active: ActiveSubmission) -> None:
    gone = ("", "7_[0-2]: Job has already finished\n", 1)
    assert isinstance(make(ScriptedGate(scancel=gone)).cancel([active]), Acknowledged)
    assert isinstance(make(ScriptedGate(scancel=NO_ANSWER)).cancel([active]), Unreachable)


@pytest.mark.parametrize(("task", "array"), [("7_2", "7"), ("7", "7"), ("host:12:3:boot", "")])
def test_the_array_of_a_claim(task: str, array: str) -> None:
    assert make(ScriptedGate()).submission_id(task) == array


def test_limits_are_asked_once_and_the_lower_wins() -> None:
    gate = ScriptedGate(scontrol="MaxArraySize            = 501\n")
    slurm = make(gate)
    assert slurm.limits() == slurm.limits() == Limits(501)
    assert len(gate.calls) == 1
    assert make(ScriptedGate(scontrol=NO_ANSWER)).limits() == Limits(1000)
    assert make(ScriptedGate(scontrol="MaxArraySize = 0\n")).limits() == Limits(1)


def test_a_learned_limit_is_told_when_an_array_is_too_large(submission: Submission) -> None:
    large = ("", "sbatch: error: Batch job submission failed: Invalid job array specification", 1)
    slurm = make(ScriptedGate(sbatch=large, scontrol="MaxArraySize = 2\n"))
    assert slurm.limits() == Limits(2)
    assert slurm.submit(submission) == Backpressure("Invalid job array specification", 2)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (Resources(requirements="Memory > 1"), "ClassAd"),
        (Resources(accounting_group="group_u"), "accounting_group"),
        (Resources(cpus=65), "asks for 65 cores, and this cluster gives at most 64 cores"),
        (Resources(memory_mib=2048), "2 GiB of memory"),
        (Resources(walltime_s=7201), "2h 0m"),
        (Resources(gpus=1), "GPUs"),
        (Resources(partition="a b"), "partition 'a b'"),
        (Resources(qos=""), "qos ''"),
        (Resources(constraint="a;b"), "constraint"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_words(wanted: Resources, word: str) -> None:
    most = {"cpus": 64, "memory": "1GiB", "walltime": "2h", "gpus": 0}
    assert word in (make(ScriptedGate(), maximum=most).refusal(wanted) or "")


def test_what_fits_is_not_refused() -> None:
    wanted = Resources(cpus=64, gpus=4, partition="gpu,long", constraint="[a|b]&c")
    assert make(ScriptedGate(), maximum={"cpus": 64}).refusal(wanted) is None


@pytest.mark.parametrize("said", ["<html>502 Bad Gateway</html>\n", queue("7_0", "RUNNING")[:-5]])
def test_answer_that_is_not_whole_says_nothing_of_the_tasks_that_it_does_not_name(
    active: ActiveSubmission, said: str
) -> None:
    outcome = make(ScriptedGate(squeue=said)).observe([active])
    assert isinstance(outcome, Observed)
    assert not outcome.absence_counts
    assert outcome.unheard == {"k0", "k1", "k2"}


def test_cluster_that_does_not_answer_is_not_answered_for_by_another_one(
    active: ActiveSubmission,
) -> None:
    east = replace(active, where="east", open_tasks={0: "k0"})
    west = replace(active, key="gw" + "1" * 16, native_id="8", where="west", open_tasks={0: "k1"})
    outcome = make(ScriptedGate(squeue=[queue("7_0", "RUNNING"), NO_ANSWER])).observe([east, west])
    assert isinstance(outcome, Observed)
    assert outcome.unheard == {"k1"}
    assert states(outcome) == {"k0": SchedulerState.RUNNING}
