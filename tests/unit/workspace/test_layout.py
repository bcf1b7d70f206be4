import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.errors import ConflictError, NoRoomError, NotFoundError, SiteError, UsageError
from gateway.site.model import Site
from gateway.workspace.layout import Layout
from gateway.workspace.trouble import explain, show_path, wire_name

WORKFLOW = "5d9b30e4-95d4-4c23-93a5-21f8b3a1d0f1"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.of(Site(shared_root=tmp_path / "shared"))


def test_workspaces_and_control_files_lie_side_by_side(layout: Layout, tmp_path: Path) -> None:
    workspace = layout.create(WORKFLOW)
    assert workspace == tmp_path / "shared" / "workspaces" / WORKFLOW
    assert layout.control == tmp_path / "shared" / "control"
    assert layout.staging_turn(WORKFLOW).parent == layout.control


def test_nobody_else_can_look_in_whatever_the_umask(layout: Layout) -> None:
    before = os.umask(0)
    try:
        workspace = layout.create(WORKFLOW)
    finally:
        os.umask(before)
    for path in (workspace, layout.workspaces, layout.control):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_creating_again_keeps_what_is_there(layout: Layout) -> None:
    (layout.create(WORKFLOW) / "x").touch()
    assert (layout.create(WORKFLOW) / "x").exists()


def test_removal_gives_back_bytes_and_can_be_repeated(layout: Layout) -> None:
    (layout.create(WORKFLOW) / "x").write_bytes(b"x" * 10_000)
    assert layout.exists(WORKFLOW)
    assert layout.remove(WORKFLOW) >= 10_000
    assert not layout.exists(WORKFLOW)
    assert layout.remove(WORKFLOW) == 0


def test_the_root_may_be_a_link_to_another_filesystem(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "shared").mkdir()
    layout.workspaces.symlink_to(tmp_path / "scratch")
    (layout.create(WORKFLOW) / "x").touch()
    assert (tmp_path / "scratch" / WORKFLOW / "x").exists()
    layout.remove(WORKFLOW)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a\0", "a\n", "x" * 200])
def test_names_that_are_no_id_are_refused(layout: Layout, name: str) -> None:
    layout.prepare()
    for act in (layout.create, layout.remove, layout.workspace, layout.staging_turn):
        with pytest.raises(UsageError):
            act(name)
    assert layout.workspaces.is_dir()


def test_a_file_in_the_way_is_explained(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("a file")
    with pytest.raises((ConflictError, UsageError), match="shared"):
        layout.create(WORKFLOW)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ENOSPC, NoRoomError, "the filesystem is full ("),
        (errno.EDQUOT, NoRoomError, "your quota is used up ("),
        (errno.EROFS, SiteError, "the filesystem is read-only"),
        (errno.EACCES, SiteError, "permission denied"),
        (errno.ENOENT, NotFoundError, "it does not exist"),
        (errno.ENAMETOOLONG, UsageError, "the name is too long"),
        (errno.ENOTEMPTY, ConflictError, "not empty"),
        (errno.ENETDOWN, SiteError, "Network is down"),
    ],
)
def test_the_filesystems_complaints_are_put_in_words(
    tmp_path: Path, code: int, kind: type, words: str
) -> None:
    error = explain(OSError(code, os.strerror(code)), "write", tmp_path / "deep" / "x")
    assert type(error) is kind
    assert error.message.startswith(f"cannot write {tmp_path}/deep/x: ")
    assert words in error.message


def test_room_is_told_where_room_is_missing(tmp_path: Path) -> None:
    error = explain(OSError(errno.ENOSPC, ""), "write", tmp_path / "no" / "such")
    assert "inodes free)" in error.message
    assert error.hint


def test_names_fit_on_one_line_and_into_utf8() -> None:
    assert show_path("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert show_path("Präzision x") == "Präzision x"
    for name in ("\udcff", "\ud800", "a\nb"):
        wire_name(name).encode()
        assert "\n" not in show_path(name)
