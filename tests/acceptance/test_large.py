"""Much of everything: a large log, many files, many steps."""

from __future__ import annotations

import subprocess
import sys
import time

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

LINES = 400_000
LINE = 75


# A process of its own looks at the command: Linux counts the memory of whoever starts a child as
# the child's, and these tests have a lot.
OBSERVER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kib(bench: Bench, *words: str) -> int:
    """Return the most memory that a command ever has."""
    argv = [sys.executable, "-c", OBSERVER, sys.executable, "-m", "gateway", *words]
    done = subprocess.run(argv, cwd=bench.here, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_log_of_30_megabytes(bench: Bench) -> None:
    write = f"python3 -c \"for i in range({LINES}): print(str(i).rjust({LINE}, '.'))\""
    bench.write_spec(step("a", f"{write}; exit 1"))

    failed = bench.run("run")

    assert failed.code == ExitCode.FAILED
    assert f"{LINES - 1}" in failed.err
    assert len(failed.err) < 5000
    began = time.monotonic()
    shown = bench.process("logs", "workflow").out
    assert time.monotonic() - began < 20
    assert len(shown) > LINES * LINE
    assert shown.splitlines()[-1].endswith(str(LINES - 1))
    assert peak_kib(bench, "logs", "workflow") < 400 * 1024
    assert len(bench.run("logs", "workflow", "--follow").out.splitlines()) == LINES


def test_3000_input_files(bench: Bench) -> None:
    data = bench.here / "data"
    data.mkdir()
    for number in range(3000):
        (data / f"{number:04}.csv").write_text(str(number))
    bench.write_spec(step("a", "ls data | wc -l"), inputs={"directories": ["data"]})
    began = time.monotonic()

    assert "3000 files" in bench.ok("run").err
    assert len(bench.ok("ls", "-w", "workflow", "data", "--json").json()) == 3000
    assert "3000" in bench.ok("logs", "workflow").out
    bench.ok("download", "-w", "workflow", "data", "-o", "got")
    assert time.monotonic() - began < 40
    assert len(list((bench.here / "got/data").iterdir())) == 3000
    assert len(bench.ok("rm", "-w", "workflow", "data/*").err.splitlines()) == 3000


def test_many_missing_inputs_make_a_short_message(bench: Bench) -> None:
    names = [f"missing-{number}.csv" for number in range(500)]
    bench.write_spec(step("a", "true"), inputs={"files": names})

    said = bench.refused(ExitCode.USAGE, "run")

    assert "missing-19.csv" in said
    assert "missing-20.csv" not in said
    assert "500 are missing in all" in said


def test_a_workflow_of_300_steps_is_listed(bench: Bench) -> None:
    bench.write_spec(*(step(f"s{number}", "true") for number in range(300)))
    bench.ok("submit")
    bench.ok("tick", "--for", "3")

    assert "/300" in bench.ok("status", "workflow").out
    bench.ok("stop", "workflow", "--wait")
