import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters.local.process_table import (
    Host,
    ProcessId,
    ProcessTable,
    Stat,
    parse_stat,
)

BOOT = "c0ffee"
TAIL = "1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5521 1000"
"""Fields of proc(5) from the parent on; session 7, started at tick 5521."""


@pytest.fixture
def proc(tmp_path: Path) -> Callable[[int, str, bytes], None]:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text(f"{BOOT}\n")

    def add(pid: int, stat: str, cmdline: bytes = b"") -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat)
        (tmp_path / str(pid) / "cmdline").write_bytes(cmdline)

    return add


def test_a_name_may_hold_blanks_and_brackets() -> None:
    assert parse_stat(f"12 (a) b) S) R {TAIL}") == Stat(12, 7, 5521, alive=True)


@pytest.mark.parametrize("state", ["Z", "X", "x"])
def test_a_process_that_only_waits_to_be_buried_is_dead(state: str) -> None:
    stat = parse_stat(f"12 (a) {state} {TAIL}")
    assert stat
    assert not stat.alive


@given(st.text())
def test_any_other_text_is_no_process(text: str) -> None:
    assert parse_stat(text) is None


@given(st.text())
def test_only_whole_ids_are_read(text: str) -> None:
    assert ProcessId.parse(text) is None or text.count(":") == 3


def test_an_id_names_host_boot_number_and_start() -> None:
    assert ProcessId.parse(f"n.example:12:5521:{BOOT}") == ProcessId(
        Host("n.example", BOOT), 12, 5521
    )


def test_a_number_given_to_a_later_process_is_another_process(
    tmp_path: Path, proc: Callable[..., None]
) -> None:
    proc(12, f"12 (bash) S {TAIL}")
    table = ProcessTable(tmp_path, "n")
    here = Host("n", BOOT)
    assert table.is_alive(ProcessId(here, 12, 5521))
    assert not table.is_alive(ProcessId(here, 12, 5520))
    assert not table.is_alive(ProcessId(here, 13, 5521))
    assert not table.is_alive(ProcessId(Host("other", BOOT), 12, 5521))
    assert not table.is_alive(ProcessId(Host("n", "other"), 12, 5521))


def test_a_session_outlives_its_leader(tmp_path: Path, proc: Callable[..., None]) -> None:
    proc(12, f"12 (a) S {TAIL}")
    proc(13, f"13 (b) Z {TAIL}")
    proc(14, f"14 (c) S {TAIL.replace('1 7 7', '1 7 8')}")
    table = ProcessTable(tmp_path, "n")
    assert table.session(ProcessId(Host("n", BOOT), 7, 99)) == [12]
    assert table.session(ProcessId(Host("other", BOOT), 7, 99)) == []


def test_a_session_of_a_later_leader_is_not_ours(tmp_path: Path, proc: Callable[..., None]) -> None:
    proc(7, f"7 (leader) S {TAIL}")
    table = ProcessTable(tmp_path, "n")
    assert table.session(ProcessId(Host("n", BOOT), 7, 5521)) == [7]
    assert table.session(ProcessId(Host("n", BOOT), 7, 99)) == []


def test_argv_is_read_as_it_was_given(tmp_path: Path, proc: Callable[..., None]) -> None:
    proc(12, f"12 (a) S {TAIL}", b"bash\0/a b/job.sh\0\0x\0")
    proc(13, f"13 (kernel thread) S {TAIL}", b"")
    (tmp_path / "14").mkdir()
    assert list(ProcessTable(tmp_path, "n").commands()) == [(12, ("bash", "/a b/job.sh", "", "x"))]


def test_the_real_table_knows_us() -> None:
    table = ProcessTable()
    me = table.stat(os.getpid())
    assert me
    assert me.alive
    assert table.is_alive(ProcessId(table.host, me.pid, me.start_ticks))
    assert os.getpid() in dict(table.commands())


def test_a_zombie_is_not_alive() -> None:
    table = ProcessTable()
    child = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        stat = table.stat(child.pid)
        assert stat
        assert not stat.alive
    finally:
        child.wait()
