"""Which calls the HTCondor adapter makes, and what it makes of their answers."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from gateway.site.model import HTCondorCluster
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    Backpressure,
    Found,
    Observed,
    Rejected,
    Submission,
    Submitted,
    Task,
    Unclear,
    Unreachable,
)
from gateway.submitters.htcondor import HTCondorSubmitter
from gateway.submitters.htcondor.queries import Facts, parse_facts
from gateway.testing.clock import FakeClock
from gateway.transport.base import CallKind, CommandResult, Failure
from gateway.vocabulary.evidence import SchedulerState, Source
from gateway.vocabulary.resources import Resources

KEY = "gw0123456789abcdef"
NOW = datetime(2026, 11, 20, 8, 13, 0).timestamp()
"""Logs are written in local time."""
FACTS = "||login.example|20000\n"
SUBMITTED = "000 (012.000.000) 2026-11-20 08:12:51 Job submitted from host: <10.1.2.3:9618>\n...\n"
EXECUTING = "001 (012.000.000) 2026-11-20 08:12:52 Job executing on host: <10.1.2.3:9618>\n...\n"
ENDED = (
    "005 (012.000.000) 2026-11-20 08:12:53 Job terminated.\n"
    "\t(1) Normal termination (return value 0)\n...\n"
)


def said(status: int = 0, out: str = "", err: str = "") -> CommandResult:
    return CommandResult(("condor",), status, out, err, 0.1)


def silence(failure: Failure = Failure.TIMEOUT) -> CommandResult:
    return CommandResult(("condor",), None, "", "", 60.0, failure)


@dataclass
class ScriptedGate:
    """Answers by the name of the tool."""

    answers: dict[str, CommandResult] = field(default_factory=dict)
    calls: list[tuple[CallKind, tuple[str, ...]]] = field(default_factory=list)

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
        plain = {"condor_config_val": said(out=FACTS), "condor_history": said(out="[\n]\n")}
        if argv[0] == "condor_history" and argv[-2:] == ("-limit", "1") and "true" in argv:
            return self.answers.get("probe", said(out='[{"ClusterId": 1}]'))
        return (plain | self.answers).get(argv[0], said())

    def tools(self) -> list[str]:
        return [argv[0] for _, argv in self.calls if argv[0] != "condor_config_val"]

    def argv(self, tool: str) -> tuple[str, ...]:
        return next(argv for _, argv in self.calls if argv[0] == tool)


@pytest.fixture
def gate() -> ScriptedGate:
    return ScriptedGate()


def make(gate: ScriptedGate, **settings: object) -> HTCondorSubmitter:
    site = HTCondorCluster.model_validate({"type": "htcondor", **settings})
    return HTCondorSubmitter("pool", site, gate, lambda: NOW, "alice")


@pytest.fixture
def submitter(gate: ScriptedGate) -> HTCondorSubmitter:
    return make(gate)


@pytest.fixture
def sent(tmp_path: Path) -> Submission:
    for name in ("claims", "exits"):
        (tmp_path / name).mkdir()
    tasks = tuple(Task(f"{KEY}.{index}", index, "step") for index in range(2))
    return Submission(KEY, "step", tmp_path, Resources(cpus=1), tasks)


def active(sent: Submission, where: str = "login.example") -> ActiveSubmission:
    open_tasks = {task.index: task.key for task in sent.tasks}
    return ActiveSubmission(sent.key, "12", sent.control_dir, NOW - 9, open_tasks, where)


def ads(*jobs: dict[str, object]) -> CommandResult:
    common = {"ClusterId": 12, "GatewaySubmission": KEY}
    return said(out=json.dumps([common | job for job in jobs]))


def job(index: int, status: int, **more: object) -> dict[str, object]:
    return {"ProcId": index, "GatewayKey": f"{KEY}.{index}", "JobStatus": status, **more}


def states(outcome: object) -> dict[str, SchedulerState]:
    assert isinstance(outcome, Observed), outcome
    return {key[-1]: seen.state for key, seen in outcome.tasks.items()}


def test_a_submission_is_one_call(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers["condor_submit"] = said(out="12.0 - 12.1\n")
    outcome = submitter.submit(sent)
    assert outcome == Submitted("12", "login.example", "12.0 - 12.1")
    assert gate.tools() == ["condor_submit"]
    argv = gate.argv("condor_submit")
    assert argv == ("condor_submit", "-terse", str(sent.control_dir / "condor.sub"))
    assert KEY in (sent.control_dir / "condor.sub").read_text()
    assert (sent.control_dir / "condor.sh").read_text().startswith("#!")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(1, err="ERROR: Parse error in expression: x"), Rejected),
        (said(1, err="Number of submitted jobs would exceed MAX_JOBS_PER_OWNER"), Backpressure),
        (silence(), Unclear),
        (silence(Failure.NOT_FOUND), Backpressure),
        (said(0, "12.0 - 12.0\n"), Unclear),
    ],
)
def test_what_became_of_a_submission(
    submitter: HTCondorSubmitter,
    gate: ScriptedGate,
    sent: Submission,
    answer: CommandResult,
    kind: type,
) -> None:
    gate.answers["condor_submit"] = answer
    assert isinstance(submitter.submit(sent), kind)


def test_nothing_is_sent_when_nothing_can_be_written(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    shutil.rmtree(sent.control_dir)
    assert isinstance(submitter.submit(sent), Backpressure)
    assert gate.tools() == []


def test_a_full_schedd_lets_ended_jobs_go_now_and_then(
    gate: ScriptedGate, sent: Submission
) -> None:
    clock = FakeClock()
    site = HTCondorCluster(type="htcondor")
    submitter = HTCondorSubmitter("pool", site, gate, clock, "alice")
    err = "ERROR: Failed to create proc\nNumber of submitted jobs would exceed MAX_JOBS_PER_OWNER"
    gate.answers["condor_submit"] = said(1, err=err)
    for _ in range(5):
        submitter.submit(sent)
        clock.pass_by(6)
    assert gate.tools().count("condor_qedit") == 3
    argv = gate.argv("condor_qedit")
    assert "GatewaySubmission =!= undefined && JobStatus == 4" in argv
    assert argv[-2:] == ("LeaveJobInQueue", "False")


def test_jobs_of_a_schedd_that_was_full_leave_it_when_they_end(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    description = sent.control_dir / "condor.sub"
    err = "Number of submitted jobs would exceed MAX_JOBS_SUBMITTED"
    gate.answers["condor_submit"] = said(1, err=err)
    submitter.submit(sent)
    assert "leave_in_queue = JobStatus == 4" in description.read_text()
    submitter.submit(sent)
    assert "leave_in_queue" not in description.read_text()


@pytest.mark.parametrize("word", ["MAX_JOBS_PER_SUBMISSION", "anything"])
def test_other_refusals_let_nothing_go(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission, word: str
) -> None:
    gate.answers["condor_submit"] = said(1, err=f"Number of submitted jobs would exceed {word}")
    submitter.submit(sent)
    assert "condor_qedit" not in gate.tools()


def test_a_limit_of_one_call_is_learned(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    assert submitter.limits().tasks_per_submission == 1000
    err = "Number of submitted jobs would exceed MAX_JOBS_PER_SUBMISSION"
    gate.answers["condor_submit"] = said(1, err=err)
    submitter.submit(sent)
    assert submitter.limits().tasks_per_submission == 1


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        (said(out="||h|50\n"), 50),
        (said(out="||h|999999\n"), 1000),
        (said(out="||h|\n"), 1000),
        (said(out="rubbish"), 1000),
        (silence(), 1000),
    ],
)
def test_limits_are_asked_for_once(gate: ScriptedGate, answer: CommandResult, limit: int) -> None:
    submitter = make(gate)
    gate.answers["condor_config_val"] = answer
    for _ in range(3):
        assert submitter.limits().tasks_per_submission == limit
    assert len(gate.calls) == 1


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("||login.example|20000", Facts("login.example", False, 20000)),
        ("bigbird08.example||login.example|", Facts("bigbird08.example", True)),
        ("|mine|login.example|0", Facts("mine@login.example")),
        ("|mine@x|login.example|7", Facts("mine@x", False, 7)),
        ("|login.example|login.example|7", Facts("login.example", False, 7)),
        ("", Facts()),
        ("a|b", Facts()),
    ],
)
def test_which_schedd_this_host_talks_to(text: str, facts: Facts) -> None:
    assert parse_facts(text) == facts


def test_only_another_schedd_is_named(gate: ScriptedGate, sent: Submission) -> None:
    make(gate).observe([active(sent)])
    assert "-name" not in gate.argv("condor_q")
    gate.calls.clear()
    make(gate).observe([active(sent, "elsewhere")])
    assert gate.argv("condor_q")[:3] == ("condor_q", "-name", "elsewhere")


@pytest.mark.parametrize("answer", [silence(), said(1), said(out="rubbish")])
def test_which_schedd_it_is_is_asked_again(
    gate: ScriptedGate, sent: Submission, answer: CommandResult
) -> None:
    """One lost answer must not have it named for as long as the process lives."""
    site, times = HTCondorCluster.model_validate({"type": "htcondor"}), [NOW]
    submitter = HTCondorSubmitter("pool", site, gate, lambda: times[-1], "alice")
    gate.answers["condor_config_val"] = answer
    submitter.observe([active(sent)])
    assert gate.argv("condor_q")[:3] == ("condor_q", "-name", "login.example")
    del gate.answers["condor_config_val"]
    times.append(NOW + 61)
    gate.calls.clear()
    submitter.observe([active(sent)])
    assert "-name" not in gate.argv("condor_q")


def test_the_site_s_schedd_is_always_named(gate: ScriptedGate, sent: Submission) -> None:
    gate.answers["condor_submit"] = said(out="12.0 - 12.1\n")
    submitter = make(gate, schedd="big", pool="cm")
    outcome = submitter.submit(sent)
    assert isinstance(outcome, Submitted)
    assert outcome.where == "big"
    expected = ("condor_submit", "-name", "big", "-pool", "cm")
    assert gate.argv("condor_submit")[:5] == expected


def test_a_remote_schedd_s_history_is_asked_for_by_name(
    gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers["condor_config_val"] = said(out="bigbird||login|\n")
    make(gate).observe([active(sent, "bigbird")])
    assert "-name" not in gate.argv("condor_q")
    assert gate.argv("condor_history")[:3] == ("condor_history", "-name", "bigbird")


def test_one_call_for_all(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers["condor_q"] = ads(job(0, 2), job(1, 1), {"ProcId": 5}, {"GatewayKey": 3})
    others = [replace(active(sent), key=f"gw{n}", open_tasks={}) for n in range(50)]
    outcome = submitter.observe([active(sent), *others])
    assert states(outcome) == {"0": SchedulerState.RUNNING, "1": SchedulerState.PENDING}
    assert isinstance(outcome, Observed)
    assert outcome.absence_counts
    assert gate.tools() == ["condor_q"]


def test_one_call_for_each_schedd(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers["condor_q"] = ads(job(0, 2), job(1, 1))
    submitter.observe([active(sent, "a"), active(sent, "b"), active(sent, "a")])
    assert gate.tools() == ["condor_q", "condor_q"]


def test_another_gateway_s_jobs_are_not_ours(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    foreign = job(0, 2) | {"GatewaySubmission": "gwffffffffffffffff"}
    gate.answers["condor_q"] = ads(foreign)
    assert states(submitter.observe([active(sent)])) == {}


def test_the_cluster_that_we_know_goes_before_another(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    other = {"ClusterId": 99}
    gate.answers["condor_q"] = ads(
        job(0, 5) | other, job(0, 2), job(0, 3) | other, job(1, 1) | other
    )
    outcome = submitter.observe([active(sent)])
    assert states(outcome) == {"0": SchedulerState.RUNNING, "1": SchedulerState.PENDING}


def test_who_left_the_queue_is_in_the_history(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers["condor_q"] = ads(job(0, 2))
    gate.answers["condor_history"] = ads(job(1, 4, ExitCode=0))
    outcome = submitter.observe([active(sent)])
    assert states(outcome) == {"0": SchedulerState.RUNNING, "1": SchedulerState.COMPLETED}
    assert isinstance(outcome, Observed)
    assert outcome.tasks[f"{KEY}.1"].source is Source.ACCOUNTING
    assert gate.tools() == ["condor_q", "condor_history"]
    argv = gate.argv("condor_history")
    assert argv[argv.index("-constraint") + 1] == f'member(GatewayKey, {{"{KEY}.1"}})'
    assert argv[argv.index("-limit") + 1] == "2"
    since = argv[argv.index("-since") + 1]
    assert 'Owner == "alice" && GatewaySubmission =!= undefined' in since
    assert f"EnteredCurrentStatus < {int(NOW) - 9 - 3600}" in since


def test_a_thousand_that_left_are_asked_for_without_naming_them(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    many = replace(active(sent), open_tasks={n: f"{KEY}.{n}" for n in range(1000)})
    submitter.observe([many])
    argv = gate.argv("condor_history")
    assert argv[argv.index("-constraint") + 1] == "GatewaySubmission =!= undefined"
    assert "-limit" not in argv
    assert sum(map(len, argv)) < 4096


def test_the_event_log_saves_the_history(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    (sent.control_dir / "events.log").write_text(SUBMITTED + EXECUTING + ENDED)
    gate.answers["condor_q"] = ads(job(1, 2))
    outcome = submitter.observe([active(sent)])
    assert states(outcome) == {"0": SchedulerState.COMPLETED, "1": SchedulerState.RUNNING}
    assert gate.tools() == ["condor_q"]


def test_a_log_that_says_running_does_not_keep_a_job_alive(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    (sent.control_dir / "events.log").write_text(SUBMITTED + EXECUTING)
    gate.answers["condor_q"] = ads(job(1, 2))
    outcome = submitter.observe([active(sent)])
    assert states(outcome) == {"1": SchedulerState.RUNNING}
    assert isinstance(outcome, Observed)
    assert outcome.absence_counts


@pytest.mark.parametrize("answer", [said(1, err="Failed to fetch ads"), silence(), said(out="[{")])
def test_a_queue_that_does_not_answer_says_nothing(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission, answer: CommandResult
) -> None:
    gate.answers["condor_q"] = answer
    assert isinstance(submitter.observe([active(sent)]), Unreachable)
    assert gate.tools() == ["condor_q"]


@pytest.mark.parametrize("answer", [said(1, out="[\n"), silence(), said(out="[{")])
def test_absence_does_not_count_without_the_history(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission, answer: CommandResult
) -> None:
    gate.answers |= {"condor_q": ads(job(0, 2)), "condor_history": answer}
    outcome = submitter.observe([active(sent)])
    assert states(outcome) == {"0": SchedulerState.RUNNING}
    assert isinstance(outcome, Observed)
    assert not outcome.absence_counts


def test_a_history_that_is_not_there_looks_empty_and_is_not_believed(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    gate.answers |= {"condor_q": ads(job(0, 2)), "probe": said(out="[\n]\n")}
    outcome = submitter.observe([active(sent)])
    assert isinstance(outcome, Observed)
    assert not outcome.absence_counts


def test_whether_the_history_works_is_asked_once(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    for _ in range(3):
        outcome = submitter.observe([active(sent)])
        assert outcome == Observed({}, absence_counts=True)
    assert gate.tools().count("condor_history") == 4
    assert gate.tools().count("condor_q") == 3


def test_absence_of_one_schedd_does_not_count_for_all(gate: ScriptedGate, sent: Submission) -> None:
    class HalfDown(ScriptedGate):
        def call(
            self,
            kind: CallKind,
            argv: Sequence[str],
            *,
            stdin: str = "",
            timeout_s: float = 60.0,
            enough: str = "",
        ) -> CommandResult:
            if "down" in argv:
                return silence()
            return super().call(kind, argv, stdin=stdin, timeout_s=timeout_s)

    half = HalfDown({"condor_q": ads(job(0, 2), job(1, 2))})
    outcome = make(half).observe([active(sent), active(sent, "down")])
    assert isinstance(outcome, Observed)
    assert len(outcome.tasks) == 2
    assert not outcome.absence_counts


def test_glance_makes_no_call(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    assert submitter.glance([active(sent)]) == {}
    log = sent.control_dir / "events.log"
    log.write_text(SUBMITTED + EXECUTING)
    assert states(Observed(submitter.glance([active(sent)]))) == {"0": SchedulerState.RUNNING}
    log.write_text(SUBMITTED.replace("(012", "(099"))
    assert submitter.glance([active(sent)]) == {}, "another cluster's events"
    log.unlink()
    log.mkdir()
    assert submitter.glance([active(sent)]) == {}
    assert gate.calls == []


@pytest.mark.parametrize("later", [121.0, -200.0, 3600.0])
def test_an_old_log_does_not_keep_a_job_alive_and_still_ends_it(
    gate: ScriptedGate, sent: Submission, later: float
) -> None:
    site = HTCondorCluster(type="htcondor")
    submitter = HTCondorSubmitter("pool", site, gate, lambda: NOW + later, "alice")
    log = sent.control_dir / "events.log"
    log.write_text(SUBMITTED + EXECUTING)
    assert submitter.glance([active(sent)]) == {}
    log.write_text(SUBMITTED + EXECUTING + ENDED)
    assert states(Observed(submitter.glance([active(sent)]))) == {"0": SchedulerState.COMPLETED}


def test_find_believes_the_event_log(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    (sent.control_dir / "events.log").write_text(SUBMITTED)
    found = submitter.find(sent, 0)
    assert isinstance(found, Found)
    assert (found.native_id, found.where) == ("12", "login.example")
    assert gate.tools() == []


def test_find_believes_a_claim(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    claim = {"key": KEY, "restart": 0, "native_id": "12.0", "node": "n", "claimed_at": 1.0}
    (sent.control_dir / "claims" / "0.0").write_text(json.dumps(claim))
    found = submitter.find(sent, 0)
    assert isinstance(found, Found)
    assert found.native_id == "12"
    assert gate.tools() == []


@pytest.mark.parametrize("tool", ["condor_q", "condor_history"])
def test_find_asks_queue_and_history(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission, tool: str
) -> None:
    gate.answers[tool] = ads(job(0, 2), job(1, 2))
    found = submitter.find(sent, NOW)
    assert isinstance(found, Found)
    assert found.native_id == "12"


def test_absent_is_what_nobody_knows(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    assert submitter.find(sent, NOW) == Absent()
    assert gate.tools() == ["condor_q", "condor_history"]
    assert {kind for kind, argv in gate.calls if argv[0] != "condor_config_val"} == {CallKind.FIND}


@pytest.mark.parametrize("tool", ["condor_q", "condor_history"])
@pytest.mark.parametrize("answer", [silence(), said(1, err="x"), said(out="[")])
def test_who_does_not_answer_may_know(
    submitter: HTCondorSubmitter,
    gate: ScriptedGate,
    sent: Submission,
    tool: str,
    answer: CommandResult,
) -> None:
    gate.answers[tool] = answer
    assert isinstance(submitter.find(sent, NOW), Unreachable)


def test_a_submission_that_arrives_while_we_look_is_found(sent: Submission) -> None:
    class Late(ScriptedGate):
        def call(
            self,
            kind: CallKind,
            argv: Sequence[str],
            *,
            stdin: str = "",
            timeout_s: float = 60.0,
            enough: str = "",
        ) -> CommandResult:
            if argv[0] == "condor_history":
                (sent.control_dir / "events.log").write_text(SUBMITTED)
            return super().call(kind, argv, stdin=stdin, timeout_s=timeout_s)

    assert isinstance(make(Late()).find(sent, NOW), Found)


def test_find_asks_the_schedd_that_it_was_sent_to(gate: ScriptedGate, sent: Submission) -> None:
    gate.answers["condor_submit"] = silence()
    make(gate).submit(sent)
    gate.calls.clear()
    gate.answers["condor_config_val"] = said(out="||another-login|20000\n")
    make(gate).find(sent, NOW)
    assert gate.argv("condor_q")[:3] == ("condor_q", "-name", "login.example")


def test_removal_is_one_call(
    submitter: HTCondorSubmitter, gate: ScriptedGate, sent: Submission
) -> None:
    others = [replace(active(sent), key=f"gw{n}") for n in range(50)]
    assert isinstance(submitter.cancel([active(sent), *others]), Acknowledged)
    assert gate.tools() == ["condor_rm"]
    term = f'GatewaySubmission == "{KEY}" && ((ProcId >= 0 && ProcId <= 1))'
    assert term in gate.argv("condor_rm")[-1]


@pytest.mark.parametrize(("task", "cluster"), [("7.2", "7"), ("host:12:3:boot", "")])
def test_the_cluster_of_a_claim(submitter: HTCondorSubmitter, task: str, cluster: str) -> None:
    assert submitter.submission_id(task) == cluster


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said(1, err="Couldn't find/remove all jobs matching constraint (x)"), Acknowledged),
        (said(1, err="condor_rm: Can't find address for schedd x"), Unreachable),
        (silence(), Unreachable),
    ],
)
def test_who_is_gone_needs_no_removal(
    submitter: HTCondorSubmitter,
    gate: ScriptedGate,
    sent: Submission,
    answer: CommandResult,
    kind: type,
) -> None:
    gate.answers["condor_rm"] = answer
    assert isinstance(submitter.cancel([active(sent)]), kind)


def test_nothing_to_do_is_no_call(submitter: HTCondorSubmitter, gate: ScriptedGate) -> None:
    assert submitter.cancel([]) == Acknowledged()
    assert submitter.observe([]) == Observed({}, absence_counts=False)
    assert gate.calls == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Resources(partition="p"), "partition"),
        (Resources(account="a"), "account"),
        (Resources(qos="q"), "qos"),
        (Resources(constraint="c"), "constraint"),
        (Resources(accounting_group="a\nb"), "accounting_group"),
        (Resources(cpus=9), "9 of cores"),
        (Resources(memory_mib=2048), "2 GiB of memory"),
        (Resources(walltime_s=7200), "2h 0m of run time"),
    ],
)
def test_what_a_pool_cannot_do_is_refused(gate: ScriptedGate, asked: Resources, words: str) -> None:
    site = {"maximum": {"cpus": 8, "memory": "1GiB", "walltime": "1h"}}
    refused = make(gate, **site).refusal(asked)
    assert refused
    assert words in refused
    assert gate.calls == []


def test_what_a_pool_can_do_is_not_refused(gate: ScriptedGate) -> None:
    asked = Resources(cpus=8, requirements="Arch == X", accounting_group="group_a.b", gpus=1)
    assert make(gate, maximum={"cpus": 8}).refusal(asked) is None
