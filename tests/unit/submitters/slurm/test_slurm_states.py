import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.slurm.ids import JobId, array_of, parse_job_id, write_tasks
from gateway.submitters.slurm.states import scheduler_state
from gateway.vocabulary.evidence import SchedulerState as S


@pytest.mark.parametrize(
    ("word", "reason", "state"),
    [
        ("PENDING", "Priority", S.PENDING),
        ("RUNNING", "", S.RUNNING),
        ("COMPLETING", "None", S.RUNNING),
        ("CANCELLED by 1000", "", S.CANCELLED),
        ("CANCELLED+", "", S.CANCELLED),
        ("OUT_OF_ME+", "", S.OUT_OF_MEMORY),
        ("REQUEUE_H+", "", S.HELD),
        ("NODE_FAIL", "NodeDown", S.NODE_FAILED),
        ("DEADLINE", "", S.TIMEOUT),
        ("BOOT_FAIL", "", S.LAUNCH_FAILED),
        ("PREEMPTED", "", S.PREEMPTED),
        ("REQUEUED", "", S.PENDING),
        ("SPECIAL_EXIT", "", S.HELD),
        ("REVOKED", "", S.UNKNOWN),
        ("HIBERNATING", "", S.UNKNOWN),
        ("", "", S.UNKNOWN),
        # RE+ may be REQUEUED or RESIZING: alive, but which is not known.
        ("RE+", "", S.UNKNOWN),
    ],
)
def test_a_word_of_slurm_becomes_a_state(word: str, reason: str, state: S) -> None:
    assert scheduler_state(word, reason) is state


@pytest.mark.parametrize(
    "reason",
    [
        "JobHeldUser",
        "JobHeldAdmin",
        "(launch failed requeued held)",
        "launch_failed_requeued_held",
        "PartitionTimeLimit",
        "QOSMaxWallDurationPerJobLimit",
        "AssocMaxMemPerJob",
        "QOSMinCpuNotSatisfied",
        "InvalidAccount",
    ],
)
def test_what_waits_for_somebody_to_act_is_held(reason: str) -> None:
    assert scheduler_state("PENDING", reason) is S.HELD
    assert scheduler_state("RUNNING", reason) is S.RUNNING


@pytest.mark.parametrize(
    "reason",
    ["Resources", "BeginTime", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "JobArrayTaskLimit"],
)
def test_what_time_cures_is_pending(reason: str) -> None:
    assert scheduler_state("PENDING", reason) is S.PENDING


def test_a_job_that_failed_before_its_command_is_not_an_error_of_the_command() -> None:
    assert scheduler_state("FAILED", "NonZeroExitCode") is S.FAILED
    assert scheduler_state("FAILED", "BadConstraints") is S.LAUNCH_FAILED
    assert scheduler_state("FAILED", "NodeDown") is S.NODE_FAILED
    assert scheduler_state("FAILED", "OutOfMemory") is S.OUT_OF_MEMORY


@given(st.text(), st.text())
def test_an_unknown_word_never_ends_a_job(word: str, reason: str) -> None:
    state = scheduler_state(f"x{word}", reason)
    assert state is S.UNKNOWN


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ("12", JobId("12")),
        ("12_3", JobId("12", (range(3, 4),))),
        ("12_[4-7%2]", JobId("12", (range(4, 8),))),
        ("12_[0,2-3,9]", JobId("12", (range(1), range(2, 4), range(9, 10)))),
        ("12_[0-10:5]", JobId("12", (range(0, 11, 5),))),
        ("12_[0-20,...]", JobId("12")),
        ("12.batch", None),
        ("12+0", None),
        ("", None),
    ],
)
def test_ids_are_read(text: str, job: JobId | None) -> None:
    assert parse_job_id(text) == job


def test_a_range_of_millions_costs_nothing() -> None:
    job = parse_job_id("1_[0-999999999]")
    assert job is not None
    assert job.covers(4_000_000)
    assert job.only_task is None


@given(st.text())
def test_no_text_breaks_the_reading_of_ids(text: str) -> None:
    parse_job_id(text)
    parse_job_id(f"1_[{text}]")


@given(st.sets(st.integers(0, 5000), min_size=1))
def test_tasks_are_written_as_they_are_read(indices: set[int]) -> None:
    job = parse_job_id(write_tasks("7", indices))
    assert job is not None
    assert {index for index in range(5001) if job.covers(index)} == indices


def test_an_array_is_the_first_part_of_a_tasks_id() -> None:
    assert array_of("12_3") == "12"
    assert array_of("12") == "12"
