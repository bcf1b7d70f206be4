from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.htcondor.event_log import JobTrace, LogTrace, parse_event, split_events
from gateway.submitters.htcondor.log_reader import LogReader
from gateway.vocabulary.evidence import HoldCode, SchedulerState, Source

DATA = Path(__file__).parents[3] / "data" / "htcondor"
VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
HOST = "<10.1.2.3:9618?addrs=10.1.2.3-9618&alias=b9.example.org&noUDP&sock=startd_1>"


def event(kind: int, title: str, *body: str, job: str = "7.0") -> str:
    cluster, proc = job.split(".")
    head = f"{kind:03d} ({int(cluster):03d}.{int(proc):03d}.000) 2026-11-20 08:12:51 {title}"
    return "\n".join([head, *(f"\t{line}" for line in body), "...", ""])


SUBMIT = event(0, f"Job submitted from host: {HOST}", "gateway gw0")
EXECUTE = event(1, f"Job executing on host: {HOST}", "SlotName: slot1_1@b9.example.org")
EVICTED = event(4, "Job was evicted. Code 1022 Subcode 0", "(0) CPU times", "Reason: Job vacated")
DONE = event(5, "Job terminated.", "(1) Normal termination (return value 0)")
SIZE = event(6, "Image size of job updated: 1", "713  -  MemoryUsage of job (MB)",
             "729508  -  ResidentSetSize of job (KB)")  # fmt: skip
SMALLER = event(6, "Image size of job updated: 1", "3  -  MemoryUsage of job (MB)")
ABORTED = event(9, "Job was aborted.", "via condor_rm (by user alice)")
HELD = event(12, "Job was held.", "Error from slot1@b: cannot execute", "Code 6 Subcode 2")
OVERTIME = event(12, "Job was held.", "The job exceeded allowed job duration of 1+00:00:05",
                 "Code 46 Subcode 0")  # fmt: skip
OUR_REMOVAL = event(9, "Job was aborted.", "The job attribute PeriodicRemove expression 'JobStatus"
                    " == 5 && (HoldReasonCode == 46)' evaluated to TRUE")  # fmt: skip


def trace(*events: str) -> JobTrace:
    log = LogTrace()
    data = "".join(events).encode()
    assert log.add(data, 2026) == len(data)
    return log.jobs[7, 0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "state", "hold", "exit_code", "signal"),
    [
        ("idle", SchedulerState.PENDING, None, None, None),
        ("running", SchedulerState.RUNNING, None, None, None),
        ("done", SchedulerState.COMPLETED, None, 0, None),
        ("failed", SchedulerState.FAILED, None, 3, None),
        ("signalled", SchedulerState.FAILED, None, None, 11),
        ("removed", SchedulerState.CANCELLED, None, None, None),
        ("held-by-user", SchedulerState.HELD, HoldCode(1, 0), None, None),
        ("held-memory", SchedulerState.HELD, HoldCode(21, 102), None, None),
        ("vacated", SchedulerState.RUNNING, None, None, None),
    ],
)
def test_recorded_logs(
    version: str,
    name: str,
    state: SchedulerState,
    hold: HoldCode | None,
    exit_code: int | None,
    signal: int | None,
) -> None:
    log = LogTrace()
    data = (DATA / version / f"events-{name}.log").read_bytes()
    assert log.add(data, 2026) == len(data)
    ((where, job),) = log.jobs.items()
    seen = job.observation(5.0)
    assert (seen.state, seen.hold) == (state, hold)
    assert (seen.exit_code, seen.signal) == (exit_code, signal)
    assert (seen.source, seen.observed_at) == (Source.EVENT_LOG, 5.0)
    assert seen.native_id == f"{where[0]}.{where[1]}"
    assert seen.node == ("" if name == "idle" else "testbed")
    assert (seen.finished_at is not None) == (name in ("done", "failed", "signalled", "removed"))
    assert seen.restart_count == {"idle": None, "vacated": 1}.get(name, 0)


def test_a_recorded_walltime() -> None:
    log = LogTrace()
    log.add((DATA / "25.14" / "events-held-too-long.log").read_bytes(), 2026)
    (job,) = log.jobs.values()
    assert (job.state, job.hold) == (SchedulerState.TIMEOUT, HoldCode(47))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_log_of_several_jobs(version: str) -> None:
    log = LogTrace()
    log.add((DATA / version / "events-items.log").read_bytes(), 2026)
    assert len({cluster for cluster, _ in log.jobs}) == 1
    assert [proc for _, proc in log.jobs] == list(range(len(log.jobs)))
    assert len(log.jobs) > 1


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_event_is_understood(version: str) -> None:
    for path in (DATA / version).glob("events-*.log"):
        for text in split_events(path.read_bytes())[0]:
            read = parse_event(text, 2026)
            assert read, text
            assert read.at, text


def test_a_job_from_submission_to_end() -> None:
    job = trace(SUBMIT)
    assert (job.state, job.starts) == (SchedulerState.PENDING, 0)
    job = trace(SUBMIT, EXECUTE, SIZE, SMALLER)
    assert (job.state, job.node, job.starts) == (SchedulerState.RUNNING, "b9.example.org", 1)
    assert job.max_rss_mib == 713
    job = trace(SUBMIT, EXECUTE, DONE)
    assert (job.state, job.exit_code, job.signal) == (SchedulerState.COMPLETED, 0, None)
    assert job.finished_at == job.started_at


def test_a_living_job_is_seen_as_of_its_last_event() -> None:
    """The queue may know more by now; of an end there is no more to know."""
    at = datetime(2026, 11, 20, 8, 12, 51).timestamp()
    now = at + 60
    assert trace(SUBMIT).observation(now).observed_at == at
    # Cut off to whole seconds: it may have happened up to one later.
    assert trace(SUBMIT, EXECUTE).observation(now).observed_at == at + 1
    assert trace(SUBMIT, EXECUTE, EVICTED).observation(now).observed_at == at + 1
    assert trace(SUBMIT, EXECUTE, DONE).observation(now).observed_at == now
    assert trace(SUBMIT, EXECUTE).observation(at - 5).observed_at == at - 5


def test_an_eviction_waits_for_the_next_start() -> None:
    job = trace(SUBMIT, EXECUTE, EVICTED)
    assert (job.state, job.reason) == (SchedulerState.PENDING, "Job vacated")
    job = trace(SUBMIT, EXECUTE, EVICTED, EXECUTE)
    assert (job.state, job.reason, job.starts) == (SchedulerState.RUNNING, "", 2)


def test_a_removal_is_a_cancellation_with_its_reason() -> None:
    job = trace(SUBMIT, EXECUTE, EVICTED, ABORTED)
    assert (job.state, job.reason) == (SchedulerState.CANCELLED, "via condor_rm (by user alice)")


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (
            "Job removed by SYSTEM_PERIODIC_REMOVE due to wall time exceeded allowed max.",
            SchedulerState.TIMEOUT,
        ),
        (
            "Job removed by SYSTEM_PERIODIC_REMOVE due to mem exceeded request_memory",
            SchedulerState.OUT_OF_MEMORY,
        ),
        ("The system macro SYSTEM_PERIODIC_REMOVE expression 'x' evaluated to TRUE",
         SchedulerState.CANCELLED),
        ("via condor_rm (by user wall time)", SchedulerState.CANCELLED),
    ],
)  # fmt: skip
def test_a_pool_s_policies_are_known_by_their_words(reason: str, state: SchedulerState) -> None:
    assert trace(SUBMIT, EXECUTE, event(9, "Job was aborted.", reason)).state is state


def test_a_hold_carries_its_codes_until_the_release() -> None:
    job = trace(SUBMIT, HELD)
    assert (job.state, job.hold) == (SchedulerState.HELD, HoldCode(6, 2))
    assert job.reason == "Error from slot1@b: cannot execute"
    job = trace(SUBMIT, HELD, event(13, "Job was released.", "via condor_release"))
    assert (job.state, job.hold, job.reason) == (SchedulerState.PENDING, None, "")


def test_a_hold_without_codes_is_a_hold() -> None:
    job = trace(SUBMIT, event(12, "Job was held."))
    assert (job.state, job.hold) == (SchedulerState.HELD, None)


def test_a_walltime_stays_one_when_the_held_job_is_removed() -> None:
    job = trace(SUBMIT, EXECUTE, OVERTIME, OUR_REMOVAL)
    assert job.state is SchedulerState.TIMEOUT
    assert "allowed job duration" in job.reason
    assert job.hold == HoldCode(46, 0)


def test_an_end_stays_one_when_the_ended_job_is_removed() -> None:
    assert trace(SUBMIT, EXECUTE, DONE, ABORTED).state is SchedulerState.COMPLETED


def test_a_released_walltime_is_alive_again() -> None:
    job = trace(SUBMIT, EXECUTE, OVERTIME, event(13, "Job was released."), EXECUTE)
    assert job.state is SchedulerState.RUNNING
    assert trace(SUBMIT, OVERTIME, event(13, "x"), ABORTED).state is SchedulerState.CANCELLED


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (7, SchedulerState.PENDING),
        (10, SchedulerState.SUSPENDED),
        (11, SchedulerState.RUNNING),
        (22, SchedulerState.RUNNING),
        (23, SchedulerState.RUNNING),
        (24, SchedulerState.PENDING),
        (28, SchedulerState.RUNNING),
        (40, SchedulerState.RUNNING),
        (999, SchedulerState.RUNNING),
    ],
)
def test_other_events(kind: int, state: SchedulerState) -> None:
    assert trace(SUBMIT, EXECUTE, event(kind, "Something happened", "because")).state is state


def test_a_disconnected_job_says_so() -> None:
    seen = trace(SUBMIT, EXECUTE, event(22, "Job disconnected, attempting to reconnect", "socket"))
    assert "disconnected" in seen.reason
    assert "disconnected" in seen.raw


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2026-11-20 08:12:51", False),
        ("2026-11-20T08:12:51", False),
        ("2026-11-20 08:12:51.123", False),
        ("2026-11-20T08:12:51Z", True),
        ("2026-11-20T08:12:51.5Z", True),
        ("11/20 08:12:51", False),
    ],
)
def test_all_forms_of_time(stamp: str, utc: bool) -> None:
    read = parse_event(f"005 (007.000.000) {stamp} Job terminated.", 2026)
    moment = datetime(2026, 11, 20, 8, 12, 51, tzinfo=UTC)
    expected = moment if utc else moment.replace(tzinfo=None)
    assert read
    assert read.at == expected.timestamp()


def test_an_impossible_time_does_not_hide_an_event() -> None:
    read = parse_event("005 (007.000.000) 02/29 08:12:51 Job terminated.", 2025)
    assert read
    assert read.at is None


def test_old_logs_name_the_host_only() -> None:
    assert trace(event(1, "Job executing on host: <10.0.0.9:9618>")).node == "10.0.0.9"
    assert trace(event(1, f"Job executing on host: {HOST}")).node == "b9.example.org"


@given(cut=st.integers(0, 2000))
def test_a_half_written_event_is_left_for_later(cut: int) -> None:
    data = "".join([SUBMIT, EXECUTE, SIZE, EVICTED, EXECUTE, DONE]).encode()
    whole, pieces = LogTrace(), LogTrace()
    whole.add(data, 2026)
    used = pieces.add(data[:cut], 2026)
    assert used <= min(cut, len(data))
    assert pieces.add(data[used:], 2026) == len(data) - used
    assert pieces == whole


@given(st.binary(max_size=300), st.sampled_from([b"", SUBMIT.encode(), DONE.encode()]))
def test_any_bytes_are_survived(noise: bytes, good: bytes) -> None:
    log = LogTrace()
    assert log.add(noise + good, 2026) <= len(noise + good)


@given(st.text(max_size=80), st.integers(0, 45), st.lists(st.text(max_size=40), max_size=4))
def test_any_words_are_survived(title: str, kind: int, body: list[str]) -> None:
    read = parse_event(
        f"{kind:03d} (001.002.000) 2026-01-01 00:00:00 {title}\n" + "\n".join(body), 1
    )
    if read:
        job = JobTrace(1, 2)
        job.add(read)
        job.observation(0.0)


@pytest.mark.parametrize(
    "form", ['<?xml version="1.0"?>\n<c>...</c>\n', '{"EventTypeNumber": 0}\n']
)
def test_logs_in_another_form_say_nothing(form: str) -> None:
    log = LogTrace()
    log.add(form.encode(), 2026)
    assert log.jobs == {}


def test_the_reader_reads_each_byte_once(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.log", LogReader()
    assert reader.read(path, 2026) == LogTrace()
    path.write_text(SUBMIT + EXECUTE[:40])
    assert reader.read(path, 2026).jobs[7, 0].state is SchedulerState.PENDING
    with path.open("a") as log:
        log.write(EXECUTE[40:])
    for _ in range(3):
        job = reader.read(path, 2026).jobs[7, 0]
        assert (job.state, job.starts) == (SchedulerState.RUNNING, 1)


def test_a_log_that_was_cut_or_replaced_is_read_anew(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.log", LogReader()
    path.write_text(SUBMIT + EXECUTE + DONE)
    reader.read(path, 2026)
    path.write_text(SUBMIT)
    assert reader.read(path, 2026).jobs[7, 0].state is SchedulerState.PENDING
    other = tmp_path / "other"
    other.write_text(SUBMIT + EXECUTE + DONE)
    other.replace(path)
    assert reader.read(path, 2026).jobs[7, 0].state is SchedulerState.COMPLETED
    path.unlink()
    assert reader.read(path, 2026) == LogTrace()


def test_what_is_not_kept_is_read_anew(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.log", LogReader()
    path.write_text(SUBMIT)
    first = reader.read(path, 2026)
    reader.keep({path})
    assert reader.read(path, 2026) is first
    reader.keep(set())
    assert reader.read(path, 2026) is not first


def test_a_log_that_cannot_be_read_is_not_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        LogReader().read(tmp_path, 2026)
