from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.base import Backpressure, Rejected, SubmitOutcome, Submitted, Unclear
from gateway.submitters.slurm import answers
from gateway.transport.base import CommandResult, Failure

RECORDED = Path(__file__).parents[3] / "data" / "slurm"
VERSIONS = ("24.11", "26.05")
POLICY = (
    "Batch job submission failed: Job violates accounting/QOS policy "
    "(job submit limit, user's size and/or time limits)"
)


def result(
    stdout: str = "",
    stderr: str = "",
    status: int | None = 0,
    failure: Failure | None = None,
    argv: tuple[str, ...] = ("sbatch",),
) -> CommandResult:
    return CommandResult(argv, None if failure else status, stdout, stderr, 0.1, failure)


def said(*lines: str, tasks: int = 3) -> SubmitOutcome:
    stderr = "".join(f"sbatch: error: {line}\n" for line in lines)
    return answers.read_submit(result(stderr=stderr, status=1), tasks, 1000)


def recorded(version: str, case: str) -> CommandResult:
    stem = RECORDED / version / case
    return result(
        stem.with_name(f"{case}.out").read_text(),
        stem.with_name(f"{case}.err").read_text(),
        int(stem.with_name(f"{case}.rc").read_text()),
    )


ENDS: dict[str, type[SubmitOutcome]] = {
    "sbatch-ok": Submitted,
    "sbatch-array-ok": Submitted,
    "sbatch-slurmdbd-down": Submitted,
    "sbatch-time-above-partition-limit": Submitted,
    "sbatch-array-too-large": Backpressure,
    "sbatch-slurmctld-down": Unclear,
    "sbatch-slurmctld-frozen": Unclear,
    "sbatch-plain-ok": Unclear,
    "sbatch-version": Unclear,
    "sbatch-bad-option": Rejected,
    "sbatch-bad-time": Rejected,
    "sbatch-memory-above-any-node": Rejected,
    "sbatch-unknown-constraint": Rejected,
    "sbatch-unknown-gres": Rejected,
    "sbatch-unknown-partition": Rejected,
    "enforced-sbatch-cpus-above-any-node": Rejected,
    "enforced-sbatch-memory-above-partition-limit": Rejected,
    "enforced-sbatch-nodes-above-partition-limit": Rejected,
    "enforced-sbatch-time-above-partition-limit": Rejected,
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ENDS)
def test_a_recorded_answer_of_sbatch_has_its_meaning(version: str, case: str) -> None:
    outcome = answers.read_submit(recorded(version, case), 3, 1000)
    assert isinstance(outcome, ENDS[case]), outcome


def test_the_cluster_is_kept_beside_the_id() -> None:
    assert answers.read_submit(result("12;east\n"), 1, 9) == Submitted("12", "east")


def test_what_a_site_prints_around_the_id_does_no_harm() -> None:
    outcome = answers.read_submit(result("Welcome!\n\n 12 \n", "sbatch: 5 hours left\n"), 1, 9)
    assert outcome == Submitted("12", said="sbatch: 5 hours left")


@pytest.mark.parametrize("stdout", ["", "Submitted batch job", "12\n13\n", "0\n", "-4", "12;a b\n"])
def test_success_without_a_usable_id_is_unclear(stdout: str) -> None:
    assert isinstance(answers.read_submit(result(stdout), 1, 9), Unclear)


def test_an_id_without_its_line_end_may_be_the_beginning_of_another() -> None:
    assert isinstance(answers.read_submit(result("12"), 3, 1000), Unclear)
    assert isinstance(answers.read_submit(result("12\n"), 3, 1000), Submitted)


def test_an_id_beside_a_failure_is_unclear() -> None:
    bad = result("12\n", "sbatch: error: Invalid partition name specified", 1)
    assert isinstance(answers.read_submit(bad, 1, 9), Unclear)


@pytest.mark.parametrize("failure", [Failure.TIMEOUT, Failure.DISCONNECTED, Failure.TOO_LONG])
def test_no_answer_is_unclear(failure: Failure) -> None:
    half = result("12\n", "sbatch: error: Invalid partition name specified", failure=failure)
    assert isinstance(answers.read_submit(half, 1, 9), Unclear)


def test_a_call_that_was_not_made_waits() -> None:
    held_back = result(
        stderr="60 submit calls per minute are used up", failure=Failure.NOT_ATTEMPTED
    )
    outcome = answers.read_submit(held_back, 1, 9)
    assert isinstance(outcome, Backpressure)
    assert "used up" in outcome.reason


@pytest.mark.parametrize(
    "missing",
    [
        result(failure=Failure.NOT_FOUND),
        result(stderr="env: 'sbatch': No such file or directory", status=127),
    ],
)
def test_missing_commands_are_named_and_the_job_waits(missing: CommandResult) -> None:
    outcome = answers.read_submit(missing, 1, 9)
    assert isinstance(outcome, Backpressure)
    assert outcome.reason.startswith("sbatch was not found: the Slurm commands are not on the PATH")


def test_a_wrapper_that_fails_after_submitting_is_unclear() -> None:
    assert isinstance(answers.read_submit(result("12\n", status=127), 1, 9), Unclear)


@pytest.mark.parametrize(
    "line",
    [
        "Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "Batch job submission failed: Socket timed out on send/recv operation",
        "Batch job submission failed: Zero Bytes were transmitted or received",
        "Batch job submission failed: Connection timed out reading",
        "Batch job submission failed: Unspecified error",
        "Batch job submission failed: something that no one has seen",
    ],
)
def test_what_is_no_refusal_is_unclear(line: str) -> None:
    assert isinstance(said(line), Unclear)


def test_trouble_on_the_way_outweighs_a_refusal() -> None:
    outcome = said("Invalid partition name specified", "Socket timed out on send/recv operation")
    assert isinstance(outcome, Unclear)


@pytest.mark.parametrize(
    "limit",
    [
        "QOSMaxSubmitJobPerUserLimit",
        "QOSGrpSubmitJobsLimit",
        "AssocMaxSubmitJobLimit",
        "AssocGrpSubmitJobsLimit",
    ],
)
def test_a_full_queue_is_backpressure(limit: str) -> None:
    outcome = said(limit, POLICY)
    assert isinstance(outcome, Backpressure)
    assert outcome.reason.startswith(f"{limit} / Job violates")


@pytest.mark.parametrize("limit", ["QOSMaxWallDurationPerJobLimit", "QOSMaxCpuPerJobLimit"])
def test_a_job_above_a_limit_is_rejected(limit: str) -> None:
    assert isinstance(said(limit, POLICY), Rejected)


def test_a_policy_without_a_name_makes_the_job_wait() -> None:
    outcome = said(POLICY)
    assert isinstance(outcome, Backpressure)
    assert "does not name the limit" in outcome.reason


@pytest.mark.parametrize(
    "line",
    [
        "Batch job submission failed: MaxJobCount limit reached",
        "Batch job submission failed: Required partition not available (inactive or drain)",
        "Batch job submission failed: System submissions disabled",
        "Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_what_passes_is_backpressure(line: str) -> None:
    assert isinstance(said("Slurm job queue full, sleeping and retrying", line), Backpressure)


def test_the_words_of_a_sites_own_plugin_are_a_refusal() -> None:
    outcome = said(
        "Please give an account with -A", "Batch job submission failed: Unspecified error"
    )
    assert outcome == Rejected("Please give an account with -A / Unspecified error")


def test_an_array_above_the_limit_learns_it() -> None:
    array = "Batch job submission failed: Invalid job array specification"
    assert said(array, tasks=2000) == Backpressure("Invalid job array specification", 1000)
    assert said(array, tasks=500) == Backpressure("Invalid job array specification", 250)
    assert isinstance(said(array, tasks=1), Rejected)


@given(st.text(), st.text(), st.integers(0, 255), st.sampled_from([None, *Failure]))
def test_every_answer_has_a_meaning(
    out: str, err: str, status: int, failure: Failure | None
) -> None:
    each = result(out, err, status, failure)
    outcome = answers.read_submit(each, 2, 10)
    if isinstance(outcome, Submitted):
        assert status == 0
        assert outcome.native_id in out
    answers.only_says_gone(each)
    answers.accounting_is_off(each)
    assert answers.complaint(each)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_accounting_is_told_from_one_that_is_down(version: str) -> None:
    assert answers.accounting_is_off(recorded(version, "sacct-without-accounting"))
    assert not answers.accounting_is_off(recorded(version, "sacct-slurmdbd-down"))
    assert not answers.accounting_is_off(recorded(version, "sacct-unknown-column"))


@pytest.mark.parametrize(
    ("err", "gone"),
    [
        ("scancel: error: Kill job error on job id 9: Invalid job id specified\n", True),
        ("9_1: Job has already finished\n", True),
        ("scancel: error: Kill job error on job id 9: Access/permission denied\n", False),
        ("a: Job has already finished\nb: Unable to contact slurm controller\n", False),
        ("", False),
    ],
)
def test_a_job_that_is_gone_needs_no_cancelling(err: str, gone: bool) -> None:
    assert answers.only_says_gone(result(stderr=err, status=1)) is gone


@pytest.mark.parametrize("status", [-9, 124, 137, 143])
def test_what_a_killed_sbatch_said_is_not_its_last_word(status: int) -> None:
    """It says that it waits and tries again, and may have been killed after that went well."""
    words = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
    assert isinstance(answers.read_submit(result("", words, status), 1, 9), Unclear)
    assert isinstance(answers.read_submit(result("", words, 1), 1, 9), Backpressure)


def test_a_status_alone_does_not_say_that_there_is_no_command() -> None:
    assert isinstance(answers.read_submit(result("", "", 127), 1, 9), Unclear)
    said = "env: 'sbatch': No such file or directory\n"
    assert isinstance(answers.read_submit(result("", said, 127), 1, 9), Backpressure)


def test_a_silent_controller_is_not_a_silent_accounting() -> None:
    said = "error: Unable to contact slurm controller (connect failure)"
    assert answers.is_silence(result("", said, 1))
    assert not answers.is_silence(result("", said, 1, argv=("env", "A=b", "sacct")))
    assert not answers.is_silence(result("", "error: Invalid partition name specified", 1))


FULL = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"


def cut_off(stderr: str, seconds: float, stdout: str = "") -> SubmitOutcome:
    answer = CommandResult(("sbatch",), None, stdout, stderr, seconds, Failure.CUT_OFF)
    return answers.read_submit(answer, 3, 1000)


@pytest.mark.parametrize(
    "words",
    [
        "error: Slurm temporarily unable to accept job, sleeping and retrying",
        "error: Slurm job queue full, sleeping and retrying",
        "Job creation temporarily disabled, retrying",
    ],
)
def test_an_sbatch_that_was_ended_before_its_second_try_was_refused(words: str) -> None:
    outcome = cut_off(f"sbatch: {words}\n", 0.2)
    assert isinstance(outcome, Backpressure)
    assert outcome.reason.split(" (")[0] in words
    assert "MaxJobCount" in outcome.reason


@pytest.mark.parametrize(
    ("stderr", "seconds", "stdout"),
    [
        (FULL, 1.0, ""),
        (FULL, 0.2, "17\n"),
        ("sbatch: error: something else, retrying\n", 0.2, ""),
        ("sbatch: error: Unable to contact slurm controller (connect failure)\n" + FULL, 0.2, ""),
    ],
)
def test_an_sbatch_that_may_have_asked_twice_is_unclear(
    stderr: str, seconds: float, stdout: str
) -> None:
    assert isinstance(cut_off(stderr, seconds, stdout), Unclear)


def test_an_sbatch_that_ran_out_of_time_while_it_tried_again_is_unclear() -> None:
    late = CommandResult(("sbatch",), None, "", FULL, 0.2, Failure.TIMEOUT)
    assert isinstance(answers.read_submit(late, 3, 1000), Unclear)
