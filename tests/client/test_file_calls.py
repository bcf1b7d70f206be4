"""Files go up and come down whole, wherever they are named."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from gateway.client import Client, Transfer
from gateway.client.file_calls import _inside
from gateway.errors import GatewayError, NotFoundError, UsageError
from tests.client.conftest import SPEC, Served

NAMES = ["a b.txt", "däta/ü.txt", "x%2Fy.txt", "q?r#s.txt", "d/e/f.bin", "empty", "[1].txt"]


@pytest.fixture
def workflow(client: Client) -> str:
    return client.create(SPEC, "w").id


def test_names_and_contents_come_back_as_they_went(
    client: Client, served: Served, workflow: str, tmp_path: Path
) -> None:
    contents = {name: name.encode() * 1000 if name != "empty" else b"" for name in NAMES}
    sources = [served.write(name, data) for name, data in contents.items()]
    base = served.root / "here"
    assert client.upload(workflow, sources, base=base) == tuple(NAMES)
    assert {each.name: each.size for each in client.ls(workflow)} == {
        name: len(data) for name, data in contents.items()
    }
    saved = client.download(workflow, NAMES, tmp_path / "down")
    assert saved == tuple(tmp_path / "down" / name for name in NAMES)
    assert {name: (tmp_path / "down" / name).read_bytes() for name in NAMES} == contents
    assert sorted(path.name for path in (tmp_path / "down").iterdir()) == sorted(
        {Path(name).parts[0] for name in NAMES}
    )


def test_directories_go_with_all_that_is_in_them(
    client: Client, served: Served, workflow: str
) -> None:
    served.write("tree/a/1.txt", "1")
    served.write("tree/b/2.txt", "2")
    base = served.root / "here"
    assert client.upload(workflow, ["tree"], base=base) == ("tree/a/1.txt", "tree/b/2.txt")
    down = served.root / "down"
    assert len(client.download(workflow, ["tree"], down)) == 2
    assert len(client.download(workflow, ["tree/*"], down / "glob")) == 2
    assert client.download(workflow, ["tree/**/2.*"], down / "one") == (
        down / "one" / "tree/b/2.txt",
    )
    assert [each.name for each in client.ls(workflow, search="2.T")] == ["tree/b/2.txt"]
    assert client.ls(workflow, search="2.T", last_modified="1999-") == ()
    assert client.ls(workflow, search="2.T", size=987654) == ()


def test_what_is_missing_is_told_and_the_rest_downloaded(
    client: Client, served: Served, workflow: str, tmp_path: Path
) -> None:
    client.upload_as(workflow, [("there.txt", served.write("there.txt", "x"))])
    with pytest.raises(NotFoundError, match=r"absent\.txt; files downloaded: 1"):
        client.download(workflow, ["absent.txt", "there.txt"], tmp_path)
    assert (tmp_path / "there.txt").read_text() == "x"
    with pytest.raises(NotFoundError):
        client.download(workflow, (), tmp_path)
    with pytest.raises(NotFoundError, match="nowhere"):
        client.upload(workflow, [tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="cannot be written"):
        client.download(workflow, ["there.txt"], tmp_path / "there.txt")


def test_one_failure_ends_the_other_transfers(
    client: Client, served: Served, workflow: str, tmp_path: Path
) -> None:
    for number in range(9):
        client.upload_as(workflow, [(f"f{number}", served.write("big", b"x" * 3_000_000))])
    told: list[Transfer] = []

    def interrupt(transfer: Transfer) -> None:
        told.append(transfer)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.download(workflow, ["f*"], tmp_path / "down", progress=interrupt)
    assert len(told) == 3
    assert [path for path in (tmp_path / "down").iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_hold_everything(
    client: Client, served: Served, workflow: str, kind: str, tmp_path: Path
) -> None:
    client.upload_as(workflow, [(f"r/{n}", served.write(f"{n}", "x" * n)) for n in range(3)])
    target = tmp_path / f"out.{kind}"
    assert client.archive(workflow, target, ["r"]) == 3
    if kind == "tar":
        with tarfile.open(target) as packed:
            found = {each.name: each.size for each in packed}
    else:
        with zipfile.ZipFile(target) as packed_zip:
            assert packed_zip.testzip() is None
            found = {each.filename: each.file_size for each in packed_zip.infolist()}
    assert found == {"r/0": 0, "r/1": 1, "r/2": 2}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(NotFoundError):
        client.archive(workflow, tmp_path / "none.tar", ["absent"])
    assert not (tmp_path / "none.tar").exists()


def test_progress_is_told_and_an_old_file_is_replaced_whole(
    client: Client, served: Served, workflow: str, tmp_path: Path
) -> None:
    source = served.write("big", b"x" * 1_000_000)
    told: list[Transfer] = []
    client.upload_as(workflow, [("big", source)], progress=told.append)
    assert told[-1] == Transfer("big", 1_000_000, 1_000_000)
    told.clear()
    (tmp_path / "big").write_text("old")
    client.download(workflow, ["big"], tmp_path, progress=told.append)
    assert told[-1] == Transfer("big", 1_000_000, 1_000_000)
    assert (tmp_path / "big").stat().st_size == 1_000_000
    out = io.BytesIO()
    assert client.read(workflow, "big", out) == 1_000_000


def test_a_file_that_shrinks_on_its_way_is_not_stored(
    client: Client, served: Served, workflow: str
) -> None:
    source = served.write("big", b"x" * 2_000_000)

    def shrink(_: Transfer) -> None:
        with source.open("r+b") as handle:
            handle.truncate(300_000)

    with pytest.raises(UsageError, match="became shorter"):
        client.upload_as(workflow, [("big", source)], progress=shrink)
    assert client.ls(workflow) == ()


def test_remove_move_measure_compare_prune(client: Client, served: Served, workflow: str) -> None:
    for name in ("a.txt", "b.log", "data/in.txt"):
        client.upload_as(workflow, [(name, served.write(name, name))])
    client.mv(workflow, "a.txt", "c.txt")
    assert client.rm(workflow, ["c.txt", "*.none"]).deleted == {"c.txt": 5}
    usage = {each.name: each.bytes for each in client.du(workflow)}
    assert usage["/data"] >= usage["/data/in.txt"] > 0
    (total,) = client.du(workflow, summarize=True)
    assert total.bytes == usage[""]
    other = client.create(SPEC | {"outputs": {"files": ["other"]}}, "v").id
    found = client.diff(workflow, other)
    assert any("other" in line for line in found.specification["outputs"])
    assert "b.log" in found.workspace
    assert "pruned" in client.prune(workflow)
    assert [each.name for each in client.ls(workflow)] == ["data/in.txt"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a\0b"])
def test_a_server_cannot_make_us_write_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(GatewayError):
        _inside(tmp_path, name)
