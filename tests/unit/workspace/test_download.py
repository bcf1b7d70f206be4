import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from gateway.errors import ConflictError, NotFoundError, SiteError, UsageError
from gateway.workspace import archive
from gateway.workspace.archive import archive_chunks, write_archive
from gateway.workspace.download import Selection, fetch, open_download, select

Kind = Literal["zip", "tar"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    for name in ("results/plot.png", "results/sub/table.txt", "data.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"content of {name}")
    (root / "empty").mkdir()
    (tmp_path / "secret").write_text("secret")
    return root


@pytest.mark.parametrize(
    ("pattern", "kind", "paths"),
    [
        ("data.csv", "file", ("data.csv",)),
        ("/results/plot.png", "file", ("results/plot.png",)),
        ("*.csv", "file", ("data.csv",)),
        ("results", "archive", ("results/plot.png", "results/sub/table.txt")),
        ("results/sub", "archive", ("results/sub/table.txt",)),
        ("**/*.[tp]*", "archive", ("results/plot.png", "results/sub/table.txt")),
        ("results/*", "file", ("results/plot.png",)),
    ],
)
def test_a_request_means_a_file_or_an_archive(
    root: Path, pattern: str, kind: Kind, paths: tuple[str, ...]
) -> None:
    assert select(root, pattern) == Selection(kind, paths)  # type: ignore[arg-type]


def test_the_name_of_a_file_means_that_file_alone(root: Path) -> None:
    for name in ("a[1].txt", "a1.txt", "b*", "bb"):
        (root / name).write_text(name)
    assert select(root, "a[1].txt") == Selection("file", ("a[1].txt",))
    assert select(root, "b*") == Selection("file", ("b*",))
    (root / "a[1].txt").unlink()
    assert select(root, "a[1].txt") == Selection("file", ("a1.txt",))


def test_a_file_is_found_without_looking_at_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listdir(_fd: int) -> list[str]:
        raise AssertionError

    monkeypatch.setattr(os, "listdir", listdir)
    assert select(root, "results/sub/table.txt").kind == "file"


@pytest.mark.parametrize("pattern", ["nope", "no*", "empty", "data.csv/x"])
def test_what_fits_nothing_is_said_in_reanas_words(root: Path, pattern: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        select(root, pattern)
    assert caught.value.message == f"{pattern} does not exist."


def test_a_file_is_opened_for_reading(root: Path) -> None:
    with open_download(root, "data.csv") as handle:
        assert handle.read() == b"content of data.csv"
        assert os.fstat(handle.fileno()).st_size == 19


def test_only_regular_files_inside_are_opened(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "out").symlink_to(tmp_path / "secret")
    for name in ("pipe", "out", "results", "../secret"):
        with pytest.raises(UsageError):
            open_download(root, name)
    (root / "in").symlink_to("data.csv")
    open_download(root, "in").close()


def entries(kind: Kind, data: bytes) -> dict[str, bytes]:
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            assert bundle.testzip() is None
            return {name: bundle.read(name) for name in bundle.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data)) as bundle_tar:
        found = {}
        for member in bundle_tar:
            handle = bundle_tar.extractfile(member)
            assert handle
            found[member.name] = handle.read()
        return found


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_holds_the_files_under_their_names(root: Path, kind: Kind) -> None:
    (root / "results" / "nothing").touch()
    (root / "results" / ("ü" * 120)).write_text("long")
    data = b"".join(archive_chunks(root, select(root, "results").paths, kind))
    assert entries(kind, data) == {
        "results/nothing": b"",
        "results/plot.png": b"content of results/plot.png",
        "results/sub/table.txt": b"content of results/sub/table.txt",
        "results/" + "ü" * 120: b"long",
    }


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_the_same_each_time(root: Path, kind: Kind) -> None:
    paths = select(root, "results").paths
    assert b"".join(archive_chunks(root, paths, kind)) == b"".join(
        archive_chunks(root, paths, kind)
    )


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_is_gone_or_leads_out_is_not_in_the_archive(
    root: Path, tmp_path: Path, kind: Kind
) -> None:
    (root / "results" / "out").symlink_to(tmp_path / "secret")
    (root / "results" / "in").symlink_to("plot.png")
    os.mkfifo(root / "results" / "pipe")
    paths = select(root, "results").paths
    (root / "results" / "sub" / "table.txt").unlink()
    data = b"".join(archive_chunks(root, paths, kind))
    assert set(entries(kind, data)) == {"results/plot.png", "results/in"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("when", [-5, 0, 2**33])
def test_strange_names_and_times_go_in(root: Path, kind: Kind, when: int) -> None:
    path = root / "results" / os.fsdecode(b"caf\xe9\n")
    path.write_text("x")
    os.utime(path, (when, when))
    data = b"".join(archive_chunks(root, select(root, "results").paths, kind))
    assert len(entries(kind, data)) == 3


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_receiver_need_not_seek_and_memory_stays_flat(root: Path, kind: Kind) -> None:
    class Hole(io.RawIOBase):
        size = 0

        def write(self, data: object) -> int:
            self.size += len(data)  # type: ignore[arg-type]
            return len(data)  # type: ignore[arg-type]

    os.truncate(root / "data.csv", 50 * 1024 * 1024)
    hole = Hole()
    tracemalloc.start()
    write_archive(hole, root, ["data.csv"], kind)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert hole.size > 50 * 1024 * 1024
    assert peak < 4 * 1024 * 1024


def test_a_file_that_shrinks_ends_a_tar_with_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_CHUNK", 4)
    chunks = archive_chunks(root, ["data.csv"], "tar")
    next(chunks)
    os.truncate(root / "data.csv", 0)
    with pytest.raises(SiteError, match="shorter"):
        list(chunks)


def test_files_are_fetched_below_a_directory(root: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    copies = fetch(root, "results", tmp_path / "here", progress=lambda *now: told.append(now))
    assert copies == [tmp_path / "here/results/plot.png", tmp_path / "here/results/sub/table.txt"]
    assert copies[0].read_text() == "content of results/plot.png"
    assert told == [(1, 27), (2, 59)]
    assert copies[0].stat().st_mtime_ns == (root / "results/plot.png").stat().st_mtime_ns


def test_fetching_asks_before_it_overwrites_if_told_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        fetch(root, "data.csv", tmp_path, overwrite=False)
    assert (tmp_path / "data.csv").read_text() == "mine"
    fetch(root, "data.csv", tmp_path)
    assert (tmp_path / "data.csv").read_text() == "content of data.csv"


def test_what_leads_out_is_not_fetched(root: Path, tmp_path: Path) -> None:
    (root / "results" / "out").symlink_to(tmp_path / "secret")
    copies = fetch(root, "results", tmp_path / "here")
    assert [path.name for path in copies] == ["plot.png", "table.txt"]
    with pytest.raises(UsageError):
        fetch(root, "results/out", tmp_path / "here")


def test_a_link_in_the_destination_is_replaced_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "data.csv").symlink_to(tmp_path / "secret")
    fetch(root, "data.csv", tmp_path / "here")
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_directory_in_the_way_is_explained(root: Path, tmp_path: Path) -> None:
    (tmp_path / "here" / "data.csv").mkdir(parents=True)
    with pytest.raises((UsageError, ConflictError), match=r"data\.csv"):
        fetch(root, "data.csv", tmp_path / "here")
    assert os.listdir(tmp_path / "here") == ["data.csv"]
