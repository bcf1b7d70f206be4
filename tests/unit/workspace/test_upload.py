import io
import os
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import NoRoomError, NotFoundError, SiteError, UsageError
from gateway.workspace.upload import Upload, store_upload


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_stream_becomes_a_file(tmp_path: Path) -> None:
    assert store_upload(tmp_path, "/data/in/x.txt", io.BytesIO(b"hello")) == 5
    assert (tmp_path / "data/in/x.txt").read_bytes() == b"hello"


def test_pieces_become_a_file(tmp_path: Path) -> None:
    assert store_upload(tmp_path, "x", [b"he", b"", b"llo"]) == 5
    assert (tmp_path / "x").read_bytes() == b"hello"


def test_an_empty_stream_becomes_an_empty_file(tmp_path: Path) -> None:
    assert store_upload(tmp_path, "x", io.BytesIO()) == 0
    assert (tmp_path / "x").read_bytes() == b""


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with (tmp_path / "x").open() as reader:
        store_upload(tmp_path, "x", [b"new"])
        assert reader.read() == "old"
    assert (tmp_path / "x").read_text() == "new"


def test_an_upload_that_breaks_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError("client went away")

    with pytest.raises(ConnectionResetError):
        store_upload(tmp_path, "x", broken())
    assert (tmp_path / "x").read_text() == "old"
    assert everything(tmp_path) == ["x"]


def test_before_the_end_nothing_is_visible(tmp_path: Path) -> None:
    with Upload(tmp_path, "x") as upload:
        upload.write(b"half")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").exists()


def test_a_killed_upload_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from gateway.workspace.upload import Upload\n"
        "with Upload(Path(sys.argv[1]), 'x') as upload:\n"
        "    upload.write(b'half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert everything(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "old"


def test_a_filesystem_that_wants_names_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS and Lustre know no files without a name."""
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)
    store_upload(tmp_path, "x", [b"new"])
    with pytest.raises(ZeroDivisionError), Upload(tmp_path, "y"):
        raise ZeroDivisionError
    assert everything(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x", "in/x", "inside"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    root = tmp_path / "ws"
    (root / "d").mkdir(parents=True)
    (tmp_path / "precious").write_text("mine")
    (root / "x").symlink_to(tmp_path / "precious")
    (root / "in").symlink_to("d")
    (root / "inside").symlink_to("d/nothing")
    before = everything(root)
    with pytest.raises(UsageError, match="symbolic link"):
        store_upload(root, name, [b"theirs"])
    assert (tmp_path / "precious").read_text() == "mine"
    assert everything(root) == before


def test_a_link_put_in_the_way_meanwhile_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "precious").write_text("mine")
    with Upload(tmp_path / "ws", "x") as upload:
        (tmp_path / "ws" / "x").symlink_to(tmp_path / "precious")
        upload.write(b"theirs")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "ws" / "x").read_text() == "theirs"


def test_a_directory_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(UsageError):
        store_upload(root, "out/x", [b"theirs"])
    assert everything(tmp_path) == ["ws", "ws/out"]


@pytest.mark.parametrize("name", ["", "/", "..", "a/../../x", "d", "f/x", "n" * 300])
def test_impossible_names_are_refused_and_leave_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    with pytest.raises(UsageError):
        store_upload(tmp_path, name, [b"x"])
    assert everything(tmp_path) == ["d", "f"]


def test_a_missing_workspace_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        store_upload(tmp_path / "gone", "x", [b"x"])
    assert everything(tmp_path) == []


def test_memory_stays_flat(tmp_path: Path) -> None:
    def stream() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1024 * 1024)

    tracemalloc.start()
    store_upload(tmp_path, "big", stream())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "big").stat().st_size == 64 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


def test_a_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SiteError) as caught:
        store_upload(tmp_path, "x", [b"x"])
    assert "the filesystem is full" in caught.value.message
    assert "inodes free" in caught.value.message
    assert str(tmp_path / "x") in caught.value.message
    assert everything(tmp_path) == []


def test_what_cannot_fit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(NoRoomError, match="the filesystem is full"), Upload(tmp_path, "x", 1 << 60):
        pytest.fail("began")
    assert (tmp_path / "x").read_text() == "old"
    assert everything(tmp_path) == ["x"]


def test_a_write_after_the_end_goes_nowhere(tmp_path: Path) -> None:
    with Upload(tmp_path, "x") as upload:
        upload.write(b"all")
    with pytest.raises(SiteError), (tmp_path / "next").open("w"):
        upload.write(b"more")
    assert (tmp_path / "next").read_bytes() == b""


def test_permissions_are_ordinary(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store_upload(tmp_path, "x", [b"x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644
