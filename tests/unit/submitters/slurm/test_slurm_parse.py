from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.slurm import parse
from gateway.submitters.slurm.commands import ACCOUNTING_FIELDS, QUEUE_FIELDS, SEPARATOR
from gateway.submitters.slurm.daemon_log import explained, memory_words
from gateway.submitters.slurm.ids import parse_job_id
from gateway.vocabulary.evidence import Observation, Source
from gateway.vocabulary.evidence import SchedulerState as S
from tests.unit.submitters.slurm.titles import ACCOUNTING_TITLES, QUEUE_TITLES

RECORDED = Path(__file__).parent / "recorded"
VERSIONS = ("24.11", "26.05")
NOW = 1795163700.0


def rows(version: str, what: str) -> list[parse.Row]:
    text = (RECORDED / version / f"{what}.out").read_text()
    read = parse.parse_queue if what == "queue" else parse.parse_accounting
    found = read(text, NOW)
    assert found.whole
    return found.rows


def named(found: list[parse.Row], name: str) -> list[parse.Row]:
    return [row for row in found if row.name == name]


def queue_line(**fields: str) -> str:
    usual = {
        "JobArrayID": "5_0",
        "State": "RUNNING",
        "Reason": "None",
        "NodeList": "node1",
        "StartTime": "100",
        "EndTime": "200",
        "exit_code": "0:0",
        "RestartCnt": "0",
        "Name": "gw-x",
    } | fields
    return "".join(usual[name] + SEPARATOR for name in QUEUE_FIELDS) + "\n"


def accounting_line(**fields: str) -> str:
    usual = dict.fromkeys(ACCOUNTING_FIELDS, "") | {"JobID": "5_0", "State": "COMPLETED"}
    return SEPARATOR.join((usual | fields)[name] for name in ACCOUNTING_FIELDS) + "\n"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", ["queue", "accounting"])
def test_every_recorded_line_is_understood(version: str, what: str) -> None:
    text = (RECORDED / version / f"{what}.out").read_text()
    lines = [line for line in text.splitlines() if ".batch" not in line.split(SEPARATOR)[0]]
    found = rows(version, what)
    assert len(found) == len(lines) - 1 > 10
    assert not [row for row in found if row.said.state is S.UNKNOWN]
    assert {row.said.source.value for row in found} == {what}


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_states_of_the_queue(version: str) -> None:
    found = rows(version, "queue")
    held = named(found, "gwaaaaaaaaaaaaaaaa-held")
    assert [row.said.state for row in held] == [S.HELD] * 4
    assert {row.job.only_task for row in held} == {0, 1, 2, 3}
    throttled = named(found, "gwbbbbbbbbbbbbbbbb-throttled")
    states = {row.job.only_task: row.said.state for row in throttled}
    assert states == {0: S.RUNNING} | dict.fromkeys(range(1, 6), S.PENDING)
    running = next(row.said for row in throttled if row.job.only_task == 0)
    assert running.started_at is not None
    assert (running.finished_at, running.exit_code, running.node) == (None, None, "node1")
    (requeued,) = named(found, "gwdddddddddddddddd-requeued")
    assert requeued.said.state is S.PENDING
    assert requeued.said.restart_count == 1
    assert requeued.said.started_at is None
    assert named(found, "plain | naïve")


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_rows_of_accounting(version: str) -> None:
    found = rows(version, "accounting")
    (failed,) = [row for row in found if row.said.exit_code == 4]
    assert failed.said.state is S.FAILED
    assert failed.said.cpu_s == pytest.approx(0.032, abs=0.002)
    assert failed.said.finished_at is not None
    peaks = [row.said.max_rss_mib for row in found if row.said.max_rss_mib]
    assert 5 in peaks
    throttled = named(found, "gwbbbbbbbbbbbbbbbb-throttled")
    assert parse.by_task(throttled, range(6))[0].state is S.RUNNING
    assert parse.by_task(throttled, range(6))[5].state is S.PENDING


def test_one_task_outweighs_the_array_in_any_order() -> None:
    exact, whole = queue_line(JobArrayID="5_1"), queue_line(JobArrayID="5_[0-3]", State="PENDING")
    for text in (f"{exact}\n{whole}", f"{whole}\n{exact}"):
        seen = parse.by_task(parse.parse_queue(text, NOW).rows, [0, 1])
        assert (seen[0].state, seen[1].state) == (S.PENDING, S.RUNNING)


def test_a_row_without_task_stands_for_all_of_them() -> None:
    found = parse.parse_queue(queue_line(JobArrayID="12", State="CANCELLED"), NOW).rows
    seen = parse.by_task(found, [0, 1])
    assert [seen[index].state for index in (0, 1)] == [S.CANCELLED] * 2


def test_the_exit_code_of_an_earlier_run_is_not_that_of_this_one() -> None:
    line = queue_line(State="PENDING", exit_code="99:0", RestartCnt="1")
    (row,) = parse.parse_queue(line, NOW).rows
    assert (row.said.exit_code, row.said.restart_count) == (None, 1)


def test_a_signal_is_read_beside_the_exit_code() -> None:
    line = accounting_line(State="OUT_OF_MEMORY", ExitCode="0:125")
    (row,) = parse.parse_accounting(line, NOW).rows
    assert (row.said.state, row.said.exit_code, row.said.signal) == (S.OUT_OF_MEMORY, 0, 125)


def test_an_old_reason_in_accounting_does_not_change_a_state() -> None:
    line = accounting_line(State="FAILED", Reason="NodeDown", ExitCode="3:0")
    (row,) = parse.parse_accounting(line, NOW).rows
    assert row.said.state is S.FAILED


@pytest.mark.parametrize(
    "strange",
    ["slurm: warning: hello\n", "a" + SEPARATOR + "\n", SEPARATOR * 9 + "\n", "half", "\n\nx\n"],
)
def test_a_strange_line_hides_no_other(strange: str) -> None:
    for text in (strange + queue_line(), queue_line() + strange + queue_line()):
        found = parse.parse_queue(QUEUE_TITLES + text, NOW)
        assert not found.whole
        assert found.rows or strange == "half"
    found = parse.parse_queue(QUEUE_TITLES + queue_line() + strange, NOW)
    assert (len(found.rows), found.whole) == (1, False)
    assert not parse.parse_queue(strange + QUEUE_TITLES + queue_line(), NOW).whole
    lines = ACCOUNTING_TITLES + accounting_line() + strange + accounting_line(JobID="6_0")
    assert not parse.parse_accounting(lines, NOW).whole
    assert len(parse.parse_accounting(accounting_line() + strange, NOW).rows) == 1


def test_a_name_of_several_lines_hides_nothing() -> None:
    lines = queue_line(Name="a\nb") + queue_line(JobArrayID="6_0")
    found = parse.parse_queue(QUEUE_TITLES + lines, NOW)
    assert ([row.name for row in found.rows], found.whole) == (["a\nb", "gw-x"], True)


READERS = [(parse.parse_queue, QUEUE_TITLES), (parse.parse_accounting, ACCOUNTING_TITLES)]


@pytest.mark.parametrize(("read", "titles"), READERS)
def test_only_titles_without_jobs_say_that_there_is_none(
    read: Callable[[str, float], parse.Listing], titles: str
) -> None:
    assert read(titles, NOW) == parse.Listing([], whole=True)
    for end in range(len(titles)):
        cut = titles[:end]
        assert read(cut, NOW) == parse.Listing([], whole=False), cut


@pytest.mark.parametrize(
    ("read", "line"),
    [(parse.parse_queue, queue_line()), (parse.parse_accounting, accounting_line())],
)
def test_an_answer_without_titles_is_not_whole(
    read: Callable[[str, float], parse.Listing], line: str
) -> None:
    found = read(line, NOW)
    assert (len(found.rows), found.whole) == (1, False)


def test_squeue_says_first_whose_queue_it_shows() -> None:
    text = "CLUSTER: east\n" + QUEUE_TITLES + queue_line()
    found = parse.parse_queue(text, NOW)
    assert (len(found.rows), found.whole) == (1, True)
    assert parse.parse_queue("CLUSTER: east\n", NOW) == parse.Listing([], whole=False)


def test_parts_of_a_heterogeneous_job_are_skipped() -> None:
    line = ACCOUNTING_TITLES + accounting_line(JobID="5+0")
    assert parse.parse_accounting(line, NOW) == parse.Listing([])


LINES = st.lists(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["5_0", "RUNNING", "1:0", "9" * 30]), max_size=12
    )
)


@given(LINES, st.text())
def test_no_output_breaks_a_parser(lines: list[list[str]], noise: str) -> None:
    text = "\n".join(SEPARATOR.join(fields) for fields in lines) + noise
    for read in (parse.parse_queue, parse.parse_accounting):
        for row in read(text, NOW).rows:
            assert row.job.array.isdecimal()
    parse.largest_array(noise)
    memory_words(noise)


@given(st.lists(st.text(max_size=20), min_size=9, max_size=9))
def test_no_field_breaks_the_reading_of_a_row(fields: list[str]) -> None:
    line = "5_0" + SEPARATOR + SEPARATOR.join(fields[1:]) + SEPARATOR
    parse.parse_queue(line, NOW)
    parse.parse_accounting("5_0" + SEPARATOR + SEPARATOR.join(fields), NOW)


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("3756K", 4),
        ("1.50G", 1536),
        ("1048577", 2),
        ("0", 0),
        ("", None),
        ("x", None),
        ("²K", None),
    ],
)
def test_memory_is_read(text: str, mib: int | None) -> None:
    assert parse.parse_memory_mib(text) == mib


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00.032", 0.032), ("01:02:03", 3723), ("2-00:00:01", 172801), ("", None), ("1", None)],
)
def test_cpu_time_is_read(text: str, seconds: float | None) -> None:
    assert parse.parse_cpu_s(text) == seconds


@pytest.mark.parametrize("text", ["Unknown", "None", "N/A", "", "0", "2026-11-20T08:00:00", "٣"])
def test_what_is_no_epoch_time_is_no_time(text: str) -> None:
    assert parse.parse_time(text) is None


def test_the_largest_array_is_that_of_the_configuration() -> None:
    assert parse.largest_array("MaxArraySize            = 1001\n") == 1001
    with_fewer = "MaxArraySize = 1001\nSchedulerParameters = bf_continue,max_array_tasks=10\n"
    assert parse.largest_array(with_fewer) == 10
    assert parse.largest_array("nothing") is None


KILLED = Observation(S.FAILED, "FAILED", Source.QUEUE, NOW, reason="RaisedSignal:9", signal=9)
WORDS = "slurmstepd: error: StepId=1.batch exceeded memory limit (6 > 1), being killed"


def test_a_kill_for_memory_is_read_from_what_slurmstepd_wrote(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "2.slurm").write_text(f"{'x' * 20000}\n{WORDS}\nslurmstepd: error: ***\n")
    said = explained(KILLED, tmp_path, 2)
    assert said.state is S.OUT_OF_MEMORY
    assert WORDS in said.reason
    assert explained(KILLED, tmp_path, 1) == KILLED


def test_only_a_killed_job_is_explained_by_memory(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "0.slurm").write_text(WORDS)
    failed = Observation(S.FAILED, "FAILED", Source.QUEUE, NOW, exit_code=3)
    assert explained(failed, tmp_path, 0) is failed


def test_ids_of_recorded_rows_are_kept() -> None:
    for row in rows("26.05", "queue"):
        assert parse_job_id(row.said.native_id) == row.job
