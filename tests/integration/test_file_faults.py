"""Control files come late or half, and the shared filesystem cannot be written for a while.

What the client of a network filesystem does to a reader (its attribute cache, a page that is not
there yet) is done to the files by hand between two passes, over real Slurm and HTCondor. A full and
a read-only filesystem are real ones, a tmpfs in a namespace in which the gateway and the jobs of a
local cluster live.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import pytest

from tests.crash.processes import LONG, Zygote
from tests.integration.batch import BatchBench, selected, side_by_side
from tests.integration.place import IN_TEST_BED, make_place

pytestmark = [IN_TEST_BED, pytest.mark.timeout(600)]
LATE, HALF, EMPTY, NOT_WRITABLE = "late", "half", "empty", "not writable"
T = TypeVar("T")
Which = tuple[str, str]
PARAMETERS = [
    pytest.param(
        (cluster, what),
        marks=[getattr(pytest.mark, cluster), pytest.mark.xdist_group("file faults")],
        id=f"{cluster}-{what}",
    )
    for cluster in ("slurm", "htcondor")
    for what in (LATE, HALF, EMPTY, NOT_WRITABLE)
]


@pytest.fixture(scope="module")
def lives(request: pytest.FixtureRequest) -> Iterator[Mapping[Which, Future[None]]]:
    with side_by_side(selected(request, "which"), live) as futures:
        yield futures


@pytest.mark.parametrize("which", PARAMETERS)
def test_control_files_that_fail(which: Which, lives: Mapping[Which, Future[None]]) -> None:
    lives[which].result()


def live(which: Which, zygote: Zygote, root: Path) -> None:
    cluster, what = which
    bench = BatchBench(root, zygote, cluster=cluster)
    try:
        bench.write_spec(f"{bench.command('a.log')}; {LONG}")
        bench.ok("submit", "--key", "k")
        bench.watch_moves()
        if what == NOT_WRITABLE:
            cannot_be_written(bench)
        else:
            spoilt(bench, what)
        bench.drive("tick")
        assert bench.statuses() == ["finished"], bench.told()
        assert len(bench.lines("a.log")) == 1
        bench.come_to_rest(1)
        assert len(bench.submissions()) == 1
        assert bench.wrong() == [], bench.told()
    finally:
        bench.close()


def spoilt(bench: BatchBench, what: str) -> None:
    """The exit record is not there, or not whole, when the scheduler already calls the job over."""
    bench.drive("tick", lambda: bool(bench.lines("a.log")))
    go(bench)
    record = eventually(lambda: next(bench.shared.glob("control/*/exits/[0-9]*.json"), None))
    eventually(lambda: not bench.living())
    whole = record.read_bytes()
    if what == LATE:
        record.unlink()
    else:
        record.write_bytes(whole[: len(whole) // 2] if what == HALF else b"")
    bench.drive("tick", lambda: "over for the scheduler" in reason(bench))
    assert bench.statuses() == ["running"], bench.told()
    record.write_bytes(whole)


def cannot_be_written(bench: BatchBench) -> None:
    folder = bench.shared / "control"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o500)
    try:
        bench.drive("tick", lambda: "cannot be written" in reason(bench, "waits_for"))
        assert bench.submissions() == {}
    finally:
        folder.chmod(0o700)
    bench.drive("tick", lambda: bool(bench.lines("a.log")))
    go(bench)


def go(bench: BatchBench) -> None:
    (workspace,) = bench.rows("SELECT workspace FROM workflows")[0]
    (Path(workspace) / "go").touch()


def reason(bench: BatchBench, column: str = "reason") -> str:
    rows = bench.rows(f"SELECT {column} FROM attempts")
    return str(rows[-1][0]) if rows else ""


def eventually(ask: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 60
    while not (found := ask()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)
    return found


FULL = """
until [ -s "$HOME/a.log" ]; do sleep 0.2; done
dd if=/dev/zero of="$SHARED/fill" bs=64k 2>/dev/null || test -s "$SHARED/fill"
touch "$HOME/go"
sleep 5
gateway status workflow --json >"$HOME/meanwhile"
rm "$SHARED/fill"
"""
READ_ONLY = """
touch "$HOME/go"
until gateway explain workflow | grep "cannot be written"; do sleep 0.5; done
gateway status workflow --json >"$HOME/meanwhile"
mount -o remount,bind,rw "$SHARED"
"""
PLAY = """
set -e
gateway() {{ "{python}" -m gateway "$@"; }}
mount -t tmpfs -o size=2m tmpfs "$SHARED"
gateway submit "$HOME/reana.yaml" --cluster local
{before}
gateway wait workflow --quiet &
driver=$!
trap "kill $driver 2>/dev/null || true" EXIT
{trouble}
wait $driver
cat "$SHARED"/workspaces/*/*.txt
"""


@pytest.mark.parametrize(
    ("before", "trouble"),
    [("", FULL), ('mount -o remount,bind,ro "$SHARED"', READ_ONLY)],
    ids=["full", "read-only"],
)
def test_a_shared_filesystem_that_cannot_be_written_for_a_while(
    home: Path, before: str, trouble: str
) -> None:
    place = make_place(home, containers={"runtime": "host"})
    (home / "shared root").mkdir()
    waits = f"until [ -e {home}/go ]; do sleep 0.2; done"
    first = f"echo first >1.txt; echo $$GATEWAY_KEY >>{home}/a.log; {waits}"
    second = f"echo $$GATEWAY_KEY >>{home}/b.log; echo second >2.txt"
    steps = [{"environment": "img:1", "commands": [first, second]}]
    data = {"workflow": {"type": "serial", "specification": {"steps": steps}}}
    (home / "reana.yaml").write_text(json.dumps(data))
    environ = {**place.environ, "HOME": str(home), "SHARED": str(home / "shared root")}
    script = PLAY.format(python=sys.executable, before=before, trouble=trouble)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("first\nsecond\n")
    assert '"status": "running"' in (home / "meanwhile").read_text()
    ran = [len((home / name).read_text().split()) for name in ("a.log", "b.log")]
    assert ran == [1, 1]
