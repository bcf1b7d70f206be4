from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.base import (
    Acknowledged,
    Backpressure,
    Rejected,
    Submitted,
    Unclear,
    Unreachable,
)
from gateway.submitters.htcondor.answers import act_outcome, submit_outcome
from gateway.submitters.htcondor.parse import Accepted, parse_terse
from gateway.transport.base import CommandResult, Failure

DATA = Path(__file__).parents[3] / "data" / "htcondor"
VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
SOME_TEXT = st.text(max_size=80)


def said(
    status: int | None, out: str = "", err: str = "", failure: Failure | None = None
) -> CommandResult:
    return CommandResult(("condor_x",), status, out, err, 0.1, failure)


def recorded(version: str, name: str) -> CommandResult:
    base = DATA / version / name
    out, err, code = (base.with_name(f"{name}.{end}").read_text() for end in ("out", "err", "rc"))
    return said(int(code), out, err)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("above-max-per-owner", Backpressure, "MAX_JOBS_PER_OWNER"),
        ("above-max-per-submission", Backpressure, "MAX_JOBS_PER_SUBMISSION"),
        ("schedd-down", Backpressure, "address of local schedd"),
        ("bad-expression", Rejected, "Parse error"),
        ("bad-universe", Rejected, "parallel-world"),
        ("missing-executable", Rejected, "/nowhere/program"),
        ("missing-initial-directory", Rejected, "/nowhere"),
    ],
)
def test_recorded_refusals(version: str, name: str, kind: type, words: str) -> None:
    outcome = submit_outcome(recorded(version, f"condor_submit-{name}"), 3, "s")
    assert isinstance(outcome, kind)
    assert isinstance(outcome, Backpressure | Rejected)
    assert words in outcome.reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_acceptance(version: str) -> None:
    outcome = submit_outcome(recorded(version, "condor_submit-items-terse-ok"), 3, "s")
    assert isinstance(outcome, Submitted)
    assert (outcome.where, outcome.native_id.isdecimal()) == ("s", True)


def test_only_a_limit_of_one_call_says_how_many() -> None:
    text = "ERROR: Failed to create proc\nNumber of submitted jobs would exceed MAX_JOBS_PER_{}"
    per_call = submit_outcome(said(1, err=text.format("SUBMISSION")), 9, "")
    assert isinstance(per_call, Backpressure)
    assert per_call.limit == 4
    per_owner = submit_outcome(said(1, err=text.format("OWNER")), 9, "")
    assert isinstance(per_owner, Backpressure)
    assert per_owner.limit is None


def test_a_site_s_own_words_are_the_reason() -> None:
    text = "\nERROR: Failed to commit job submission into the queue.\nERROR: ask for\nless memory\n"
    assert submit_outcome(said(1, err=text), 1, "") == Rejected("ask for less memory")


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: Failed to commit job submission into the queue.",
        "ERROR: Failed to create cluster",
        "ERROR: Failed to set JobStatus=1 for job 1.0 (110)",
        "SECMAN:2007:Failed to end classad message.",
        "ERROR: connection to schedd timed out",
        "Segmentation fault",
        "",
    ],
)
def test_what_may_have_been_sent_is_unclear(text: str) -> None:
    assert isinstance(submit_outcome(said(1, err=text), 1, ""), Unclear)


@pytest.mark.parametrize(
    "text",
    [
        'ERROR: Failed to connect to local queue manager\nSECMAN:2010:Received "DENIED"',
        "ERROR: Failed to connect to queue manager bigbird\nAUTHENTICATE:1003:Failed",
        "condor_submit: unknown host bigbird",
    ],
)
def test_without_a_connection_nothing_was_sent(text: str) -> None:
    assert isinstance(submit_outcome(said(1, err=text), 1, ""), Backpressure)


def test_a_user_s_words_in_an_expression_are_not_trouble() -> None:
    text = 'ERROR: Parse error in expression: \n\tRequirements = (x == "SECMAN timed out Failed to'
    assert isinstance(submit_outcome(said(1, err=text), 1, ""), Rejected)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.NOT_FOUND, Backpressure),
        (Failure.NOT_ATTEMPTED, Backpressure),
        (Failure.TIMEOUT, Unclear),
        (Failure.DISCONNECTED, Unclear),
        (Failure.TOO_LONG, Unclear),
    ],
)
def test_no_answer(failure: Failure, kind: type) -> None:
    assert isinstance(submit_outcome(said(None, failure=failure), 1, ""), kind)
    assert isinstance(act_outcome(said(None, failure=failure)), Unreachable)


@pytest.mark.parametrize(
    "out", ["", "14.0 - 14.1\n", "1.0 - 1.2\n2.0 - 2.2\n", "1.1 - 1.3", "1.0 - 2.2", "ok"]
)
def test_a_success_that_does_not_fit_is_unclear(out: str) -> None:
    assert isinstance(submit_outcome(said(0, out), 3, ""), Unclear)


@given(st.integers(1, 255), SOME_TEXT, SOME_TEXT)
def test_no_noise_is_taken_for_a_submission(status: int, out: str, err: str) -> None:
    assert not isinstance(submit_outcome(said(status, out, err), 1, ""), Submitted)


@given(SOME_TEXT)
def test_any_answer_is_survived(out: str) -> None:
    assert parse_terse(out) is None or " - " in out
    submit_outcome(said(0, out), 1, "")


@given(st.integers(1, 10**9), st.integers(1, 10**5))
def test_the_terse_answer(cluster: int, jobs: int) -> None:
    text = f"WARNING: x\n{cluster}.0 - {cluster}.{jobs - 1}\n"
    assert parse_terse(text) == Accepted(cluster, jobs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("condor_rm-ok", Acknowledged),
        ("condor_rm-again", Acknowledged),
        ("condor_rm-unknown", Acknowledged),
        ("condor_rm-constraint-nothing", Acknowledged),
        ("condor_release-ok", Acknowledged),
        ("condor_rm-schedd-down", Unreachable),
        ("condor_rm-schedd-frozen", Unreachable),
    ],
)
def test_recorded_removals(version: str, name: str, kind: type) -> None:
    assert isinstance(act_outcome(recorded(version, name)), kind)


def test_a_denied_removal_is_not_one_of_a_job_that_is_gone() -> None:
    text = 'SECMAN:2010:Received "DENIED" from server\nCouldn\'t find/remove all jobs'
    assert isinstance(act_outcome(said(1, err=text)), Unreachable)


@given(st.integers(1, 255), SOME_TEXT, SOME_TEXT)
def test_noise_is_no_acknowledgement(status: int, out: str, err: str) -> None:
    assert isinstance(act_outcome(said(status, out, err)), Unreachable)


@pytest.mark.parametrize("status", [-9, 124, 137])
def test_what_a_killed_tool_said_is_not_its_last_word(status: int) -> None:
    assert isinstance(submit_outcome(said(status, err="\nERROR: odd\n"), 1, "s"), Unclear)
