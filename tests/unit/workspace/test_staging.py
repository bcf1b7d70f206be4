import os
import socket
import stat
import time
from pathlib import Path

import pytest

from gateway.errors import ConflictError, NotFoundError, SiteError, UsageError
from gateway.workspace import copying, inputs, staging
from gateway.workspace.staging import Staged, stage_file, stage_in


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "analysis"
    (base / "data" / "sub").mkdir(parents=True)
    (base / "code.py").write_text("print()")
    (base / "data" / "a.root").write_bytes(b"A" * 5000)
    (base / "data" / "sub" / "b.root").write_bytes(b"B")
    return base


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspaces" / "w1"
    path.mkdir(parents=True)
    return path


def snapshot(top: Path) -> dict[str, tuple[int, int, int]]:
    entries = [top, *top.rglob("*")]
    infos = {str(path.relative_to(top)): path.lstat() for path in entries}
    return {name: (i.st_mtime_ns, i.st_mode, i.st_size) for name, i in infos.items()}


def test_files_and_directories_arrive_under_their_names(base: Path, workspace: Path) -> None:
    told: list[tuple[int, int]] = []
    staged = stage_in(
        ["code.py"], ["data"], base, workspace, progress=lambda *now: told.append(now)
    )
    assert (staged.files, staged.bytes, staged.notices) == (3, 5008, ())
    assert told[-1] == (3, 5008)
    assert told == sorted(told)
    assert (workspace / "code.py").read_text() == "print()"
    assert (workspace / "data/a.root").read_bytes() == b"A" * 5000
    assert (workspace / "data/sub/b.root").read_bytes() == b"B"


def test_the_users_files_are_not_touched(base: Path, workspace: Path) -> None:
    before = snapshot(base)
    stage_in(["code.py"], ["data"], base, workspace)
    assert snapshot(base) == before


def test_a_job_that_writes_to_its_input_does_not_change_the_original(
    base: Path, workspace: Path
) -> None:
    stage_in([], ["data"], base, workspace)
    with (workspace / "data/a.root").open("r+b") as handle:
        handle.write(b"damage")
    assert (base / "data/a.root").read_bytes() == b"A" * 5000


def test_overlapping_inputs_are_staged_once(base: Path, workspace: Path) -> None:
    staged = stage_in(["data/a.root", "./data/a.root"], ["data", "data/sub"], base, workspace)
    assert staged.files == 2


def test_the_whole_directory_can_be_an_input(base: Path, workspace: Path) -> None:
    assert stage_in([], ["."], base, workspace).files == 3


def test_times_keep_their_order_to_the_nanosecond(base: Path, workspace: Path) -> None:
    os.utime(base / "code.py", ns=(1, 1_700_000_000_000_000_001))
    os.utime(base / "data/a.root", ns=(1, 1_700_000_000_000_000_002))
    stage_in(["code.py"], ["data"], base, workspace)
    assert (workspace / "code.py").stat().st_mtime_ns == 1_700_000_000_000_000_001
    assert (workspace / "data/a.root").stat().st_mtime_ns == 1_700_000_000_000_000_002


@pytest.mark.parametrize(
    ("mode", "staged_mode"), [(0o755, 0o755), (0o644, 0o644), (0o6755, 0o755), (0o444, 0o644)]
)
def test_permissions_are_kept_within_reason(
    base: Path, workspace: Path, mode: int, staged_mode: int
) -> None:
    (base / "code.py").chmod(mode)
    stage_in(["code.py"], [], base, workspace)
    assert stat.S_IMODE((workspace / "code.py").stat().st_mode) == staged_mode


def test_staging_again_copies_nothing(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stage_in(["code.py"], ["data"], base, workspace)
    monkeypatch.setattr(staging, "copy_file", lambda *_: pytest.fail("copied again"))
    again = stage_in(["code.py"], ["data"], base, workspace)
    assert (again.files, again.bytes) == (first.files, first.bytes)


def test_a_different_file_in_the_way_is_not_overwritten_unasked(
    base: Path, workspace: Path
) -> None:
    (workspace / "code.py").write_text("result of a job")
    with pytest.raises(ConflictError, match=r"code\.py is in the workspace already"):
        stage_in(["code.py"], [], base, workspace)
    assert (workspace / "code.py").read_text() == "result of a job"
    stage_in(["code.py"], [], base, workspace, overwrite=True)
    assert (workspace / "code.py").read_text() == "print()"


def test_everything_that_is_wrong_with_the_names_is_said_at_once(
    base: Path, workspace: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        stage_in(["nope", "data", "/etc/passwd"], ["code.py", "gone"], base, workspace)
    for words in (
        "nope does not exist",
        "data is not a file",
        "/etc/passwd is an absolute path",
        "code.py is not a directory",
        "gone does not exist",
    ):
        assert words in caught.value.message
    assert str(base) in caught.value.hint
    assert list(workspace.iterdir()) == []


def test_names_that_lead_out_are_refused(base: Path, workspace: Path) -> None:
    with pytest.raises(UsageError):
        stage_in(["../secret"], [], base, workspace)


def test_links_to_what_is_staged_stay_links(base: Path, workspace: Path) -> None:
    (base / "data" / "latest").symlink_to("sub/b.root")
    (base / "data" / "absolute").symlink_to(base / "data" / "sub")
    staged = stage_in([], ["data"], base, workspace)
    assert staged.notices == ()
    assert (workspace / "data/latest").readlink() == Path("sub/b.root")
    assert (workspace / "data/absolute").readlink() == Path("sub")
    assert (workspace / "data/absolute/b.root").read_bytes() == b"B"
    assert stage_in([], ["data"], base, workspace) == staged


@pytest.mark.parametrize("target", ["../code.py", "/etc/passwd", "nowhere", "../../x", "loop"])
def test_other_links_are_left_out_with_a_notice(base: Path, workspace: Path, target: str) -> None:
    (base / "data" / "loop").symlink_to(target)
    staged = stage_in([], ["data"], base, workspace)
    assert staged.notices == ("data/loop is a link to what is not staged: left out",)
    assert not os.path.lexists(workspace / "data/loop")


def test_a_link_named_on_its_own_is_staged_by_content(
    base: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "big.root").write_text("elsewhere")
    (base / "big.root").symlink_to(tmp_path / "big.root")
    staged = stage_in(["big.root"], [], base, workspace)
    assert (workspace / "big.root").read_text() == "elsewhere"
    assert not (workspace / "big.root").is_symlink()
    assert staged.notices == ("big.root is a link: its contents are staged",)


def test_special_files_are_left_out_with_a_notice(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(base / "data" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(base / "data")
        server.bind("sock")
    staged = stage_in([], ["data"], base, workspace)
    assert staged.files == 2
    assert sorted(staged.notices) == [
        f"data/{name} is a FIFO, socket or device: left out" for name in ("pipe", "sock")
    ]
    with pytest.raises(UsageError, match="not a file"):
        stage_in(["data/pipe"], [], base, workspace)


def test_ignore_files_filter_directories_but_not_named_files(base: Path, workspace: Path) -> None:
    (base / ".gitignore").write_text("*.root\n")
    (base / ".reanaignore").write_text("!data/sub/b.root\ncode.py\n")
    staged = stage_in(["code.py"], ["data"], base, workspace)
    assert staged.notices == ("1 files left out by .gitignore and .reanaignore",)
    assert (workspace / "code.py").exists()
    assert (workspace / "data/sub/b.root").exists()
    assert not (workspace / "data/a.root").exists()


def test_the_gateways_own_directories_are_not_staged_into_themselves(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x")
    workspace = tmp_path / ".gateway" / "workspaces" / "w1"
    workspace.mkdir(parents=True)
    (workspace.parent / "w0").mkdir()
    (workspace.parent / "w0" / "other").touch()
    staged = stage_in([], ["."], tmp_path, workspace)
    assert staged.files == 1
    assert ".gateway/workspaces belongs to the gateway: left out" in staged.notices
    assert not (workspace / ".gateway/workspaces").exists()


def test_a_file_that_vanishes_is_named(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = inputs.plan

    def plan_then_lose(*args: object) -> object:
        found = honest(*args)  # type: ignore[arg-type]
        (base / "data/a.root").unlink()
        return found

    monkeypatch.setattr(staging, "plan", plan_then_lose)
    with pytest.raises(NotFoundError, match=r"data/a\.root vanished"):
        stage_in([], ["data"], base, workspace)


def test_a_file_that_grows_meanwhile_is_reported(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = copying.copy_file

    def copy_while_it_grows(source: int, target: int, tick: copying.Tick) -> bool:
        cloned = honest(source, target, tick)
        with (base / "code.py").open("a") as handle:
            handle.write("more")
        return cloned

    monkeypatch.setattr(staging, "copy_file", copy_while_it_grows)
    assert stage_in(["code.py"], [], base, workspace).notices == (
        "code.py changed while it was staged",
    )


def test_a_full_disk_names_the_file_and_leaves_no_half_file(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying, "_clone", lambda *_: False)
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(SiteError, match=r"code\.py: the filesystem is full \(.* free\)"):
        stage_in(["code.py"], [], base, workspace)
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("code", [18, 22, 38, 95])
def test_bytes_are_copied_where_the_kernel_cannot(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(copying, "_clone", lambda *_: False)
    monkeypatch.setattr(os, "copy_file_range", refuse)
    stage_in([], ["data"], base, workspace)
    assert (workspace / "data/a.root").read_bytes() == b"A" * 5000


def test_a_filesystem_without_hard_links_and_nameless_files_works(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)
    monkeypatch.setattr(os, "link", refuse)
    stage_in(["code.py"], [], base, workspace)
    assert [path.name for path in workspace.iterdir()] == ["code.py"]
    (base / "code.py").write_text("changed")
    with pytest.raises(ConflictError):
        stage_in(["code.py"], [], base, workspace)
    assert (workspace / "code.py").read_text() == "print()"


def test_an_nfs_server_that_answers_twice_is_understood(
    base: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.link

    def link_and_deny(*args: str, **options: int) -> None:
        honest(*args, **options)  # type: ignore[arg-type]
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)
    monkeypatch.setattr(os, "link", link_and_deny)
    stage_in(["code.py"], [], base, workspace)
    assert [path.name for path in workspace.iterdir()] == ["code.py"]


def test_strange_names_arrive(base: Path, workspace: Path) -> None:
    names = ["a b", "ü\n", "-rf", "*", "$HOME", "x" * 255, os.fsdecode(b"\xff\xfe")]
    for name in names:
        (base / "data" / name).write_text("x")
    assert stage_in([], ["data"], base, workspace).files == 2 + len(names)
    assert set(names) <= set(os.listdir(workspace / "data"))


def test_one_file_under_another_name(base: Path, workspace: Path) -> None:
    stage_file(base / "code.py", workspace, "reana.yaml")
    assert (workspace / "reana.yaml").read_text() == "print()"
    with pytest.raises(NotFoundError):
        stage_file(base / "nope", workspace, "x")


def test_three_thousand_files_are_quick(tmp_path: Path, workspace: Path) -> None:
    base = tmp_path / "many"
    (base / "d").mkdir(parents=True)
    for number in range(3000):
        (base / "d" / f"{number}.txt").write_text("x")
    begun = time.process_time()
    staged: Staged = stage_in([], ["d"], base, workspace)
    assert staged.files == 3000
    assert time.process_time() - begun < 3
