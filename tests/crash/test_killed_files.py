"""Killed while files go into and out of a workspace: each is the old one, or whole, or not there.

On a filesystem that knows files without a name, and on one that does not (NFS).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.crash_points import CrashPoint
from gateway.workspace.leftovers import is_part
from tests.crash.processes import KILLED, Bench
from tests.crash.zygote import NAMED_PARTS

P = CrashPoint
NAMES = ("a.txt", "deep/b.txt", "deep/c.txt")
OLD, NEW = "old", "new" * 50_000
FILES = [point for point in P if point.place == "files"]
DOWNLOAD = [*FILES, P.FILE_DOWNLOADED]
KINDS = {"nameless": {}, "named parts": {NAMED_PARTS: "1"}}


@pytest.fixture(params=KINDS)
def filled(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Return a place with a workflow, and the same files on both sides, the user's newer."""
    bench.environ |= KINDS[request.param]
    bench.write_spec("true")
    bench.ok("submit", "--key", "k")
    write(bench.here / "data", OLD)
    bench.ok("upload", "-w", "workflow", "data")
    write(bench.here / "data", NEW)
    return bench


def write(root: Path, text: str) -> None:
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def workspace(bench: Bench) -> Path:
    ((path,),) = bench.rows("SELECT workspace FROM workflows")
    return Path(path)


def everything(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.is_dir()]


def is_whole(root: Path) -> bool:
    """Say whether each file with a name of its own is the old one or the new one."""
    return all(
        path.read_text() in (OLD, NEW) for path in everything(root) if not is_part(path.name)
    )


def killed(bench: Bench, point: CrashPoint, number: int, *words: str) -> None:
    code = bench.wait(bench.start(*words, kill_at=f"{point.name}:{number}"))
    assert code == KILLED, bench.told()


@pytest.mark.parametrize("point", FILES, ids=lambda point: point.name)
def test_killed_upload(filled: Bench, point: CrashPoint) -> None:
    words = ("upload", "-w", "workflow", "data")
    killed(filled, point, 2, *words)

    target = workspace(filled) / "data"
    assert is_whole(target)
    filled.ok("ls", "-w", "workflow", "--json")
    assert ".part" not in (filled.root / "said.txt").read_text()

    filled.ok(*words)
    assert {path.relative_to(target).as_posix() for path in everything(target)} == set(NAMES)
    assert {path.read_text() for path in everything(target)} == {NEW}


@pytest.mark.parametrize("point", DOWNLOAD, ids=lambda point: point.name)
def test_killed_download(filled: Bench, point: CrashPoint) -> None:
    filled.ok("upload", "-w", "workflow", "data")
    target = filled.here / "got"
    write(target / "data", OLD)
    (target / "data" / "mine").write_text(OLD)
    words = ("download", "-w", "workflow", "data", "-o", "got")
    killed(filled, point, 2, *words)

    assert is_whole(target)

    filled.ok(*words)
    assert (target / "data" / "mine").read_text() == OLD
    found = {path.relative_to(target / "data").as_posix() for path in everything(target)}
    assert found == {*NAMES, "mine"}
    assert {(target / "data" / name).read_text() for name in NAMES} == {NEW}


@pytest.mark.parametrize("point", FILES, ids=lambda point: point.name)
def test_killed_archive(filled: Bench, point: CrashPoint) -> None:
    archive = filled.here / "out" / "all.tar"
    archive.parent.mkdir()
    archive.write_text(OLD)
    words = ("download", "-w", "workflow", "data", "--tar", "out/all.tar")
    killed(filled, point, 1, *words)

    whole = archive.read_bytes()
    assert whole == OLD.encode() or whole.endswith(bytes(1024))

    filled.ok(*words)
    assert archive.read_bytes().endswith(bytes(1024))
    assert everything(archive.parent) == [archive]


@pytest.mark.parametrize("point", [*FILES, P.FILE_STAGED], ids=lambda point: point.name)
def test_killed_submission_leaves_no_temporary_file(bench: Bench, point: CrashPoint) -> None:
    bench.environ[NAMED_PARTS] = "1"
    bench.write_spec("true", inputs=3)
    killed(bench, point, 2, "submit", "--key", "k")

    bench.ok("submit", "--key", "k")
    found = {path.name: path.read_text() for path in everything(workspace(bench))}
    assert set(found) == {"reana.yaml", "in0.txt", "in1.txt", "in2.txt"}
    assert all(found[f"in{number}.txt"] == f"in{number}.txt" * 100 for number in range(3))


@pytest.mark.parametrize("number", [1, 2])
def test_killed_rm(filled: Bench, number: int) -> None:
    words = ("rm", "-w", "workflow", "data/**")
    killed(filled, P.ENTRY_REMOVED, number, *words)
    root = workspace(filled)
    assert is_whole(root / "data")

    filled.ok(*words)
    assert not any((root / "data" / name).exists() for name in NAMES)
    assert (root / "reana.yaml").exists()
