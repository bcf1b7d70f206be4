"""Filesystems that are really full or read-only, in a private mount namespace."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PREPARE = 'mount -t tmpfs -o {options} none "$1" && shift && exec "$@"'


def in_tmpfs(place: Path, options: str, code: str) -> str:
    """Run Python with a small filesystem at a place that only it sees."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    unshare = ["unshare", "-m", "--propagation", "private"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mount namespaces need root here")
    place.mkdir()
    script = textwrap.dedent(code)
    shell = ["sh", "-c", PREPARE.format(options=options), "sh", str(place)]
    done = subprocess.run(
        [*unshare, *shell, sys.executable, "-c", script, str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in done.stderr:
        pytest.skip(f"tmpfs cannot be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAD = """
import os, sys
from pathlib import Path
from gateway.errors import GatewayError
from gateway.workspace.layout import Layout
from gateway.workspace.staging import stage_in
from gateway.workspace.upload import store_upload
from gateway.workspace.listing import list_files
place = Path(sys.argv[1])
def attempt(act, *args):
    try:
        act(*args)
    except GatewayError as error:
        print(type(error).__name__, "|", error.message, "|", error.hint)
"""


def test_a_disk_that_fills_while_staging(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b", "c"):
        (source / name).write_bytes(name.encode() * 400_000)
    said = in_tmpfs(
        tmp_path / "full",
        "size=1m",
        HEAD
        + f"""
layout = Layout(place / "workspaces", place / "control")
workspace = layout.create("w1")
attempt(stage_in, ["a", "b", "c"], [], Path({str(source)!r}), workspace)
print([(entry.name, entry.size) for entry in list_files(workspace).items])
print(os.listdir(workspace))
attempt(store_upload, workspace, "up", [bytes(900_000)])
print(sorted(os.listdir(workspace)))
layout.remove("w1")
stage_in(["c"], [], Path({str(source)!r}), layout.create("w2"))
""",
    ).splitlines()
    assert said[0].startswith(f"NoRoomError | cannot write {tmp_path}/full/workspaces/w1/c: ")
    assert "the filesystem is full (" in said[0]
    assert "inodes free) | free some space" in said[0]
    assert said[1] == "[('a', 400000), ('b', 400000)]"
    assert sorted(eval(said[2])) == ["a", "b"]
    assert "workspaces/w1/up: the filesystem is full" in said[3]
    assert eval(said[4]) == ["a", "b"]
    assert [path.stat().st_size for path in sorted(source.iterdir())] == [400_000] * 3


def test_a_filesystem_without_inodes(tmp_path: Path) -> None:
    said = in_tmpfs(
        tmp_path / "full",
        "nr_inodes=5",
        HEAD
        + """
layout = Layout(place / "workspaces", place / "control")
attempt(layout.create, "w1")
attempt(store_upload, place / "workspaces" / "w1", "d/x", [b"x"])
""",
    )
    assert "the filesystem is full (" in said
    assert " 0 inodes free)" in said


def test_a_read_only_root(tmp_path: Path) -> None:
    said = in_tmpfs(
        tmp_path / "ro",
        "size=1m",
        HEAD
        + """
import subprocess
layout = Layout(place / "workspaces", place / "control")
workspace = layout.create("w1")
(workspace / "x").touch()
subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
attempt(layout.prepare)
attempt(layout.create, "w2")
attempt(store_upload, workspace, "x", [b"x"])
attempt(layout.remove, "w1")
""",
    ).splitlines()
    assert len(said) == 4
    for line in said:
        assert "the filesystem is read-only | choose a shared_root" in line
