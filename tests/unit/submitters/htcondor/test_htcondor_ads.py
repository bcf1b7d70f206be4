import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.submitters.htcondor import states
from gateway.submitters.htcondor.parse import Ad, observation, parse_ads
from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState, Source

DATA = Path(__file__).parents[3] / "data" / "htcondor"
VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
NAMES = ("JobStatus", "ExitBySignal", "ExitCode", "ExitSignal", "HoldReasonCode", "HoldReason",
         "RemoveReason", "RemoteHost", "NumJobStarts", "CompletionDate", "RemoteUserCpu",
         "ClusterId", "ResidentSetSize_RAW", "LastHoldReasonCode")  # fmt: skip


def see(**ad: object) -> Observation:
    return observation({"ClusterId": 7, "ProcId": 1, **ad}, Source.QUEUE, 9.0)


def recorded(version: str, name: str) -> dict[str, Ad]:
    ads = parse_ads((DATA / version / f"{name}.out").read_text())
    assert ads
    return {ad["GatewayKey"]: ad for ad in ads if "GatewayKey" in ad}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("idle", SchedulerState.PENDING),
        ("running", SchedulerState.RUNNING),
        ("done", SchedulerState.COMPLETED),
        ("failed", SchedulerState.FAILED),
        ("signalled", SchedulerState.FAILED),
        ("removed", SchedulerState.CANCELLED),
        ("held-by-user", SchedulerState.HELD),
        ("held-memory", SchedulerState.HELD),
    ],
)
def test_a_recorded_queue(version: str, key: str, state: SchedulerState) -> None:
    ad = recorded(version, "condor_q-json-attributes")[key]
    seen = observation(ad, Source.QUEUE, 9.0)
    assert seen.state is state
    assert (seen.hold is not None) == key.startswith("held")
    assert bool(seen.reason) == key.startswith(("held", "removed"))
    assert seen.exit_code == {"done": 0, "failed": 3}.get(key)
    assert seen.native_id == f"{ad['ClusterId']}.{ad['ProcId']}"


def test_a_recorded_walltime() -> None:
    ad = recorded("25.14", "condor_q-json-attributes")["held-too-long"]
    seen = observation(ad, Source.QUEUE, 9.0)
    assert (seen.state, seen.hold) == (SchedulerState.TIMEOUT, HoldCode(47))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "name", ["condor_q-json-empty", "condor_q-json-nothing-matches", "condor_history-json-unknown"]
)
def test_a_recorded_nothing(version: str, name: str) -> None:
    assert parse_ads((DATA / version / f"{name}.out").read_text()) == []


@pytest.mark.parametrize("text", ["[\n", '[{"ClusterId": 1}\n,', "{}", "3", "Error: x", "[" * 9999])
def test_an_answer_that_is_not_whole_is_none(text: str) -> None:
    assert parse_ads(text) is None


def test_control_characters_in_a_reason_do_not_matter() -> None:
    assert parse_ads('[{"HoldReason": "a\tb\nc"}]') == [{"HoldReason": "a\tb\nc"}]


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    ads = parse_ads(text)
    assert ads is None or all(isinstance(ad, dict) for ad in ads)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_ad_is_survived(ad: Ad) -> None:
    seen = observation(json.loads(json.dumps(ad)), Source.QUEUE, 9.0)
    assert isinstance(seen.state, SchedulerState)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (1, SchedulerState.PENDING),
        (2, SchedulerState.RUNNING),
        (6, SchedulerState.RUNNING),
        (7, SchedulerState.SUSPENDED),
        (8, SchedulerState.UNKNOWN),
        (0, SchedulerState.UNKNOWN),
        (None, SchedulerState.UNKNOWN),
        ("2", SchedulerState.UNKNOWN),
        (True, SchedulerState.UNKNOWN),
    ],
)
def test_states_of_living_jobs(status: object, state: SchedulerState) -> None:
    seen = see(JobStatus=status, ExitCode=0, ExitBySignal=False)
    assert (seen.state, seen.exit_code, seen.finished_at) == (state, None, None)


def test_an_end_by_signal() -> None:
    seen = see(JobStatus=4, ExitBySignal=True, ExitSignal=9, ExitCode=0)
    assert (seen.state, seen.signal, seen.exit_code) == (SchedulerState.FAILED, 9, None)


def test_a_removed_job_has_not_succeeded_whatever_its_exit_code() -> None:
    seen = see(JobStatus=3, ExitBySignal=False, ExitCode=0, RemoveReason="via condor_rm")
    assert (seen.state, seen.reason) == (SchedulerState.CANCELLED, "via condor_rm")


def test_a_job_that_ended_and_was_then_taken_out_of_the_queue_has_ended() -> None:
    ad = {"JobStatus": 3, "ExitBySignal": False, "RemoveReason": "via condor_rm"}
    assert see(**ad, ExitCode=0, CompletionDate=5).state is SchedulerState.COMPLETED
    assert see(**ad, ExitCode=1, CompletionDate=5).state is SchedulerState.FAILED
    assert see(**ad, ExitCode=0, CompletionDate=0).state is SchedulerState.CANCELLED


def test_a_removed_job_is_alive_until_its_node_has_let_it_go() -> None:
    seen = see(JobStatus=3, RemoteHost="slot1@n", RemoveReason="via condor_rm")
    assert (seen.state, seen.node) == (SchedulerState.RUNNING, "n")
    seen = see(JobStatus=3, LastRemoteHost="slot1@n", RemoveReason="via condor_rm")
    assert (seen.state, seen.node) == (SchedulerState.CANCELLED, "n")


def test_our_removal_of_a_job_over_its_walltime() -> None:
    reason = "The job attribute PeriodicRemove expression 'x' evaluated to TRUE"
    seen = see(JobStatus=3, RemoveReason=reason, LastHoldReasonCode=46)
    assert seen.state is SchedulerState.TIMEOUT
    by_user = see(JobStatus=3, RemoveReason="via condor_rm (by user a)", LastHoldReasonCode=46)
    assert by_user.state is SchedulerState.CANCELLED


def test_a_hold_delivers_its_codes() -> None:
    seen = see(JobStatus=5, HoldReasonCode=12, HoldReasonSubCode=2, HoldReason="no file")
    assert (seen.state, seen.hold) == (SchedulerState.HELD, HoldCode(12, 2))
    assert see(JobStatus=5).hold is None
    assert see(JobStatus=2, HoldReasonCode=12).hold is None


def test_measures_and_times() -> None:
    seen = see(
        JobStatus=4,
        ResidentSetSize_RAW=2048,
        RemoteUserCpu=1.5,
        RemoteSysCpu=1,
        JobCurrentStartDate=10,
        CompletionDate=20,
        EnteredCurrentStatus=21,
        NumJobStarts=3,
    )
    assert (seen.max_rss_mib, seen.cpu_s) == (2, 2.5)
    assert (seen.started_at, seen.finished_at, seen.restart_count) == (10.0, 20.0, 2)


def test_a_slot_without_a_node_is_taken_as_it_is() -> None:
    assert states.node_of_slot("slot1_2@n.example") == "n.example"
    assert states.node_of_slot("n.example") == "n.example"
