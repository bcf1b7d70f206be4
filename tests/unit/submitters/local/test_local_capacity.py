import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.local.capacity import (
    Capacity,
    host_capacity,
    in_use,
    needed,
    total_memory_mib,
)
from gateway.submitters.local.refusal import refusal
from gateway.submitters.local.task_process import TaskProcess, marks, parse_task
from gateway.vocabulary.resources import Resources

SMALL = st.integers(0, 64)
CAPACITIES = st.builds(Capacity, SMALL, SMALL)
HOST = Capacity(8, 16384)


def argv(index: int, resources: Resources, *before: str, control: str = "/c d") -> list[str]:
    script = f"{control}/job.sh"
    return [*before, "bash", script, control, str(index), "local", "0", *marks("local", resources)]


@given(free=CAPACITIES, task=CAPACITIES)
def test_what_fits_fits_and_one_more_does_not(free: Capacity, task: Capacity) -> None:
    task = Capacity(max(1, task.cpus), task.memory_mib)
    count = free.fits(task)
    assert count * task.cpus <= free.cpus
    assert count * task.memory_mib <= free.memory_mib or count == 0
    more = count + 1
    assert more * task.cpus > free.cpus or more * task.memory_mib > free.memory_mib


@given(host=CAPACITIES, used=CAPACITIES)
def test_what_is_left_is_never_negative(host: Capacity, used: Capacity) -> None:
    left = host.minus(used)
    assert min(left.cpus, left.memory_mib) >= 0


def test_a_task_takes_a_core_at_least() -> None:
    assert needed(Resources()) == Capacity(1, 0)
    assert needed(Resources(cpus=3, memory_mib=100)) == Capacity(3, 100)


@pytest.mark.parametrize("before", [(), ("setsid",)])
def test_a_task_is_recognised_by_its_command_line(before: tuple[str, ...]) -> None:
    seen = parse_task(9, argv(4, Resources(cpus=2, memory_mib=512), *before))
    assert seen == TaskProcess(9, "/c d", 4, "local", 2, 512)


@given(st.lists(st.text(), max_size=10))
def test_other_command_lines_are_no_tasks(words: list[str]) -> None:
    assert parse_task(1, words) is None


def test_a_task_of_a_scheduler_is_not_ours() -> None:
    assert parse_task(1, ["bash", "/c/job.sh", "/c", "0", "123_0", "0"]) is None


def test_subshells_of_a_task_count_once_and_other_clusters_not_at_all() -> None:
    tasks = [
        TaskProcess(1, "/c", 0, "local", 2, 100),
        TaskProcess(2, "/c", 0, "local", 2, 100),
        TaskProcess(3, "/c", 1, "local", 2, 100),
        TaskProcess(4, "/d", 0, "local", 1, 7),
        TaskProcess(5, "/e", 0, "other", 4, 1000),
    ]
    assert in_use(tasks, "local") == Capacity(5, 207)


def test_the_site_s_numbers_go_before_the_host_s() -> None:
    assert host_capacity(3, 1000) == Capacity(3, 1000)
    found = host_capacity(None, None)
    assert found.cpus >= 1
    assert found.memory_mib > 100


def test_total_memory_is_read_in_mib() -> None:
    assert total_memory_mib("MemFree: 1 kB\nMemTotal:       24685032 kB\n") == 24106
    assert total_memory_mib("") == 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Resources(cpus=9), "9 cores"),
        (Resources(memory_mib=16385), "of memory"),
        (Resources(gpus=1), "graphics"),
        (Resources(partition="p"), "partition"),
        (Resources(account="a"), "account"),
        (Resources(qos="q"), "qos"),
        (Resources(constraint="c"), "constraint"),
        (Resources(requirements="TRUE"), "requirements"),
        (Resources(accounting_group="g"), "accounting_group"),
    ],
)
def test_what_the_host_cannot_give_is_refused_in_words(asked: Resources, words: str) -> None:
    said = refusal(asked, HOST, "n")
    assert said
    assert words in said


def test_the_whole_host_may_be_asked_for() -> None:
    asked = Resources(cpus=8, memory_mib=16384, walltime_s=10**6, disk_mib=1, gpus=0)
    assert refusal(asked, HOST, "n") is None


def test_all_that_cannot_be_honoured_is_said_at_once() -> None:
    asked = Resources(cpus=99, memory_mib=2**30, disk_mib=2**40, gpus=1, qos="q", partition="p")
    said = refusal(asked, HOST, "n") or ""
    for word in ("cores", "memory", "scratch disk", "graphics", "qos", "partition"):
        assert word in said
