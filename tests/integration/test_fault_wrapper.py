"""The wrapper itself: without faults it changes nothing, and each spoiling is what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.faults import wrapper
from tests.integration.faults.plan import COMMANDS, Fault, Liar

STUB = f"""#!{sys.executable}
import sys, time
from pathlib import Path
with Path(__file__).with_name("ran").open("a") as log:
    log.write("ran\\n")
given = sys.stdin.read()
print("12;cluster", given, sys.argv[1:])
print("1795174256 RUNNING")
print("words", file=sys.stderr)
sys.exit(3)
"""
ADS = [{"ClusterId": 1, "At": 1795174256}, {"ClusterId": 2}]
Answer = tuple[int, str, str]


def call(path: str, *argv: str, stdin: str = "") -> Answer:
    done = subprocess.run(
        argv,
        env={**os.environ, "PATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A directory with a command that stands for the real one."""
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "sbatch").write_text(STUB)
    (folder / "condor_q").write_text(f"#!/bin/sh\necho '{json.dumps(ADS)}'\n")
    for command in folder.iterdir():
        command.chmod(0o755)
    return folder


def asked(tmp_path: Path, real: Path, *faults: Fault, command: str = "sbatch") -> list[Answer]:
    """Ask twice, with the wrapper between."""
    scheduler = "slurm" if command == "sbatch" else "htcondor"
    liar = Liar.installed(tmp_path / "liar", scheduler, faults)
    path = f"{liar.bin}:{real}:/usr/bin:/bin"
    return [call(path, command, "-x", "a b", stdin="script") for _ in range(2)]


def test_without_faults_nothing_changes(tmp_path: Path, real: Path) -> None:
    plain = call(f"{real}:/usr/bin:/bin", "sbatch", "-x", "a b", stdin="script")
    assert plain[0] == 3
    assert "script" in plain[1]
    assert asked(tmp_path, real) == [plain, plain]
    # As the gateway calls it.
    path = f"{tmp_path}/liar/bin:{real}:/usr/bin:/bin"
    assert call(path, "env", "A=1", "sbatch", "-x", "a b", stdin="script") == plain


REAL = [
    ("sbatch", "--version"),
    ("sbatch", "--parsable", "--bogus"),
    ("squeue", "--noheader", "--states=all", "--name=nobody"),
    ("scontrol", "show", "config"),
    ("scancel", "999999999"),
    ("condor_q", "-json", "-constraint", "ClusterId == 0"),
    ("condor_config_val", "-macro", "$(SCHEDD_NAME)"),
    ("condor_rm", "0.0"),
]


@pytest.mark.parametrize("argv", REAL, ids=" ".join)
def test_the_real_commands_are_not_changed(tmp_path: Path, argv: tuple[str, ...]) -> None:
    if not shutil.which(argv[0]):
        pytest.skip(f"needs {argv[0]}: run inside the test bed")
    scheduler = next(name for name, commands in COMMANDS.items() if argv[0] in commands)
    liar = Liar.installed(tmp_path / "liar", scheduler)
    plain, wrapped = (
        call(path, *argv) for path in (os.environ["PATH"], f"{liar.bin}:{os.environ['PATH']}")
    )
    # Only what tells the time may differ.
    assert [len(text.splitlines()) for text in wrapped[1:]] == [
        len(t.splitlines()) for t in plain[1:]
    ]
    assert wrapped[0] == plain[0]
    if argv[:2] != ("scontrol", "show"):
        assert wrapped == plain


def test_a_fault_is_about_the_calls_that_it_names(tmp_path: Path, real: Path) -> None:
    spoilt, plain = asked(tmp_path, real, Fault("f", "sbatch", "a b", stdout="no", exit=7))
    assert (spoilt[:2], plain[0]) == ((7, "no"), 3)
    calls = Liar(tmp_path / "liar").calls()
    assert [call["fault"] for call in calls] == ["f", None]
    assert (real / "ran").read_text() == "ran\n" * 2


def test_a_later_call_is_spoilt_and_work_left_undone(tmp_path: Path, real: Path) -> None:
    second = Fault("f", "s.*", first=2, last=None, runs=False, stderr="gone", exit=1)
    plain, spoilt = asked(tmp_path, real, second)
    assert (plain[0], spoilt) == (3, (1, "", "gone"))
    assert (real / "ran").read_text() == "ran\n"


def test_other_words_are_not_spoilt(tmp_path: Path, real: Path) -> None:
    plain, _ = asked(tmp_path, real, Fault("f", "sbatch", "--parsable", exit=9))
    assert plain[0] == 3


def test_killed_after_its_work(tmp_path: Path, real: Path) -> None:
    spoilt, _ = asked(tmp_path, real, Fault("f", "sbatch", stdout="", exit=-9))
    assert spoilt[:2] == (-9, "")
    assert (real / "ran").exists()


def test_work_that_is_done_by_nobody_who_can_be_killed(tmp_path: Path, real: Path) -> None:
    asked(tmp_path, real, Fault("f", "sbatch", last=None, runs=False, apart_s=0.2, exit=1))
    deadline = time.monotonic() + 30
    while not (real / "ran").exists() or (real / "ran").read_text() != "ran\n" * 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_titles_are_said_once_and_stay() -> None:
    titles, record = "JOBID\x1fSTATE\x1f\n", "7_0\x1fRUNNING\x1f\n"
    assert wrapper.edited(titles + record, ["twice"]) == titles + record * 2
    assert wrapper.edited(titles + record, ["drop", "7_"]) == titles


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (("sub", "RUNNING", "TELEPORTED"), "1795174256 TELEPORTED\n"),
        (("shift", 100.0), "1795174356 RUNNING\n"),
        (("drop", "12;"), "1795174256 RUNNING\n"),
    ],
)
def test_edits_of_lines(
    tmp_path: Path, real: Path, edit: tuple[str | float, ...], text: str
) -> None:
    spoilt, plain = asked(tmp_path, real, Fault("f", "sbatch", edits=(edit,)))
    assert spoilt[1].endswith(text)
    assert plain[1].endswith("1795174256 RUNNING\n")
    assert spoilt[0] == plain[0]


def test_edits_of_ads(tmp_path: Path, real: Path) -> None:
    for number, (edit, clusters) in enumerate(
        [(("twice",), [1, 1, 2, 2]), (("drop", '"ClusterId": 1'), [2]), (("cut", 0.5), None)]
    ):
        spoilt, plain = asked(
            tmp_path / str(number), real, Fault("f", "condor_q", edits=(edit,)), command="condor_q"
        )
        assert json.loads(plain[1]) == ADS
        if clusters is None:
            assert spoilt[1] == plain[1][: int(len(plain[1]) * 0.5)]
        else:
            assert [ad["ClusterId"] for ad in json.loads(spoilt[1])] == clusters
