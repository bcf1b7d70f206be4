"""upload, ls, du, download, rm, mv, prune: the files of a workspace."""

from __future__ import annotations

import filecmp
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.conformance.place import ClientError, Reana

ODD_NAMES = [
    "with space.txt",
    "many.dots.in.name.tar.gz",
    ".hidden",
    "Größe-β-日本.txt",
    "50%2Fhalf.txt",
    "a+b&c=d.txt",
    "sharp#1.txt",
    "what?.txt",
    "semi;colon,comma.txt",
    "quote'\".txt",
]


def put(reana: Reana, *names: str) -> None:
    """Create ``fit.1`` with files that hold their names."""
    reana.created("fit")
    for name in names:
        reana.write(name, name)
    reana.ok("upload", "-w", "fit", *names)


def names(reana: Reana, *words: str) -> set[str]:
    """Return the names that ``ls`` shows."""
    return {each["name"] for each in reana.ok("ls", "-w", "fit", "--json", *words).data}


def sizes(reana: Reana) -> dict[str, int]:
    """Return the sizes that ``ls`` shows."""
    shown = reana.ok("ls", "-w", "fit", "--json").data
    return {each["name"]: int(each["size"]) for each in shown}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_of_any_name_goes_up_and_comes_back(reana: Reana, name: str) -> None:
    put(reana, name)
    assert name in names(reana)
    (reana.cwd / name).unlink()
    reana.ok("download", "-w", "fit", name, "-o", "back")
    assert (reana.cwd / "back" / name).read_text() == name


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if "?" not in name])
def test_a_file_of_any_name_is_moved_and_removed(reana: Reana, name: str) -> None:
    put(reana, name, "sub/keep.txt")
    reana.ok("mv", "-w", "fit", name, f"sub/{name}")
    assert f"sub/{name}" in names(reana)
    done = reana.ok("rm", "-w", "fit", f"sub/{name}")
    assert "successfully deleted" in done.seen
    assert names(reana) == {"reana.yaml", "sub/keep.txt"}


def test_an_empty_file_and_nested_directories(reana: Reana) -> None:
    reana.created("fit", inputs={"files": ["empty.txt"], "directories": ["data"]})
    for name, content in {"empty.txt": "", "data/a/b/c.txt": "deep", "data/d.txt": "d"}.items():
        reana.write(name, content)
    (reana.cwd / "data/link.txt").symlink_to(reana.cwd / "data/d.txt")
    shown = reana.ok("upload", "-w", "fit").seen
    assert "/empty.txt was successfully uploaded" in shown
    assert "symlink" in shown
    assert names(reana) == {"reana.yaml", "empty.txt", "data/a/b/c.txt", "data/d.txt"}
    assert sizes(reana)["empty.txt"] == 0
    reana.ok("download", "-w", "fit", "empty.txt", "-o", "back")
    assert (reana.cwd / "back/empty.txt").read_bytes() == b""


def test_a_file_from_outside_the_directory_keeps_its_path(reana: Reana, tmp_path: Path) -> None:
    reana.created("fit")
    inner = tmp_path / "inner"
    inner.mkdir()
    outside = reana.write("outside.txt", "x")
    reana.ok("upload", "-w", "fit", str(outside), cwd=inner)
    assert str(outside).lstrip("/") in names(reana)


def test_a_second_upload_replaces_the_file(reana: Reana) -> None:
    put(reana, "a.txt")
    reana.write("a.txt", "new and longer than before")
    reana.ok("upload", "-w", "fit", "a.txt")
    reana.ok("download", "-w", "fit", "a.txt", "-o", "back")
    assert (reana.cwd / "back/a.txt").read_text() == "new and longer than before"


def test_upload_of_a_file_that_is_not_there(reana: Reana) -> None:
    reana.created("fit")
    done = reana("upload", "-w", "fit", "missing.txt")
    assert done.code != 0
    assert "missing.txt" in done.seen


@pytest.mark.parametrize("name", ["../evil.txt", "data/../../evil.txt", ""])
def test_the_python_api_cannot_write_outside_the_workspace(reana: Reana, name: str) -> None:
    reana.created("fit")
    content = reana.write("x.txt", "x")
    with pytest.raises(ClientError):
        reana.api("upload_file", "fit", str(content), name)
    assert names(reana) == {"reana.yaml"}


def test_list_with_globs_directories_filters_and_pages(reana: Reana) -> None:
    put(reana, "a.txt", "b.log", "data/c.txt", "data/sub/d.log", ".hidden/e.txt")
    every = {"reana.yaml", "a.txt", "b.log", "data/c.txt", "data/sub/d.log", ".hidden/e.txt"}
    assert names(reana) == every
    assert names(reana, "*.txt") == {"a.txt"}
    assert names(reana, "**/*.log") == {"b.log", "data/sub/d.log"}
    assert {"data/c.txt", "data/sub/d.log"} <= names(reana, "data")
    assert names(reana, "--filter", "name=.log") == {"b.log", "data/sub/d.log"}
    of_five_bytes = names(reana, "--filter", "size=5")
    assert {"a.txt", "b.log"} <= of_five_bytes
    assert "data/c.txt" not in of_five_bytes
    pages = [names(reana, "--page", str(page), "--size", "4") for page in (1, 2)]
    assert [len(page) for page in pages] == [4, 2]
    assert pages[0] | pages[1] == every
    shown = reana.ok("ls", "-w", "fit", "-h").out
    assert shown.split("\n")[0].split() == ["NAME", "SIZE", "LAST-MODIFIED"]
    assert names(reana, "nothing*") == set()


def test_list_filters_and_shows_columns(reana: Reana) -> None:
    put(reana, "a.txt")
    (when,) = {
        each["last-modified"] for each in reana.ok("ls", "-w", "fit", "--json", "a.txt").data
    }
    assert "a.txt" in names(reana, "--filter", f"last-modified={when}")
    assert names(reana, "--filter", "last-modified=1999-01-01") == set()
    assert reana.ok("ls", "-w", "fit", "--format", "name", "a.txt").out.split() == ["NAME", "a.txt"]


def test_list_shows_urls(reana: Reana) -> None:
    put(reana, "a.txt")
    lines = reana.ok("ls", "-w", "fit", "--url").out.splitlines()
    assert f"{reana.server.tap.url}/api/workflows/fit/workspace/a.txt" in lines


def test_disk_usage_in_every_form(reana: Reana) -> None:
    put(reana, "data/a.txt", "b.txt")
    lines = reana.ok("du", "-w", "fit").out.splitlines()
    assert lines[0].split() == ["SIZE", "NAME"]
    assert {line.split()[1] for line in lines[1:]} >= {".", "./data", "./data/a.txt", "./b.txt"}
    (total,) = reana.ok("du", "-w", "fit", "-s").out.splitlines()[1:]
    assert total.split()[1] == "."
    assert "KiB" in reana.ok("du", "-w", "fit", "-s", "-h").out
    (one,) = reana.ok("du", "-w", "fit", "--filter", "name=data/*.txt").out.splitlines()[1:]
    assert one.split()[1] == "./data/a.txt"
    size = reana.api("get_workflow_disk_usage", "fit", {"search": '{"name": ["b.txt"]}'})
    raw = size["disk_usage_info"][0]["size"]["raw"]
    same = reana.ok("du", "-w", "fit", "--filter", f"size={raw}").out.splitlines()[1:]
    assert {line.split()[1] for line in same} >= {"./data/a.txt", "./b.txt"}
    assert {line.split()[0] for line in same} == {str(raw)}
    for none in ("name=nothing", "size=1"):
        assert reana("du", "-w", "fit", "--filter", none).code == 1


def test_download_of_directories_and_globs_and_to_stdout(reana: Reana) -> None:
    put(reana, "data/a.txt", "data/sub/b.txt", "c.log", "d.log")
    reana.ok("download", "-w", "fit", "data", "-o", "whole")
    (archive,) = (reana.cwd / "whole").rglob("*.zip")
    with zipfile.ZipFile(archive) as found:
        assert sorted(found.namelist()) == ["data/a.txt", "data/sub/b.txt"]
        assert found.read("data/sub/b.txt") == b"data/sub/b.txt"
    reana.ok("download", "-w", "fit", "data/*.txt", "-o", "one")
    assert (reana.cwd / "one/data/a.txt").read_text() == "data/a.txt"
    reana.ok("download", "-w", "fit", "*.log", "-o", "logs")
    (archive,) = (reana.cwd / "logs").rglob("*.zip")
    with zipfile.ZipFile(archive) as found:
        assert sorted(found.namelist()) == ["c.log", "d.log"]
    assert reana.ok("download", "-w", "fit", "c.log", "-o", "-").out == "c.log"
    assert sorted(reana.ok("download", "-w", "fit", "data", "-o", "-").out.split("data")) != [""]


def test_download_without_names_takes_the_declared_outputs(reana: Reana) -> None:
    outputs = {"files": ["one.txt"], "directories": ["many"]}
    reana.created("fit", "mkdir many; echo a > many/a; echo 1 > one.txt", outputs=outputs)
    reana.ok("start", "-w", "fit", "--follow")
    reana.ok("download", "-w", "fit", "-o", "back")
    assert (reana.cwd / "back/one.txt").read_text() == "1\n"
    (archive,) = (reana.cwd / "back").rglob("*.zip")
    with zipfile.ZipFile(archive) as found:
        assert found.read("many/a") == b"a\n"


def test_download_of_what_is_not_there(reana: Reana) -> None:
    reana.created("fit")
    done = reana("download", "-w", "fit", "missing.txt")
    assert done.code == 1
    assert "missing.txt does not exist" in done.seen
    assert [each.status for each in reana.exchanged()][-1] == 404
    assert not (reana.cwd / "missing.txt").exists()


def test_remove_globs_and_what_is_not_there(reana: Reana) -> None:
    put(reana, "a.log", "b.log", "data/c.log", "keep.txt")
    reana.ok("rm", "-w", "fit", "*.log")
    assert names(reana) == {"reana.yaml", "data/c.log", "keep.txt"}
    reana.ok("rm", "-w", "fit", "data/c.log")
    assert names(reana) == {"reana.yaml", "keep.txt"}
    done = reana("rm", "-w", "fit", "missing.txt")
    assert done.code == 1
    assert "did not match any existing file" in done.seen


def test_move_into_a_directory_and_what_cannot_be_moved(reana: Reana) -> None:
    put(reana, "a.txt", "b.txt", "data/c.txt")
    reana.ok("mv", "-w", "fit", "a.txt", "data")
    reana.ok("mv", "-w", "fit", "b.txt", "renamed.txt")
    assert names(reana) == {"reana.yaml", "data/a.txt", "data/c.txt", "renamed.txt"}
    for source, target in (("missing.txt", "x.txt"), ("renamed.txt", "../out.txt")):
        done = reana("mv", "-w", "fit", source, target)
        assert done.code == 1
        assert done.seen.strip()
    assert names(reana) == {"reana.yaml", "data/a.txt", "data/c.txt", "renamed.txt"}


def test_prune_keeps_inputs_and_outputs_unless_told_otherwise(reana: Reana) -> None:
    inputs, outputs = {"files": ["in.txt"]}, {"files": ["out.txt"]}
    reana.created("fit", "cp in.txt out.txt; cp in.txt left.txt", inputs=inputs, outputs=outputs)
    reana.write("in.txt", "x")
    reana.ok("upload", "-w", "fit")
    reana.ok("start", "-w", "fit", "--follow")
    assert "pruned" in reana.ok("prune", "-w", "fit").seen
    assert names(reana) - {"reana.yaml"} == {"in.txt", "out.txt"}
    reana.ok("prune", "-w", "fit", "--include-inputs")
    assert names(reana) - {"reana.yaml"} == {"out.txt"}
    reana.ok("prune", "-w", "fit", "--include-outputs")
    assert names(reana) - {"reana.yaml"} == set()


def test_files_of_a_deleted_run_are_gone(reana: Reana) -> None:
    put(reana, "a.txt")
    reana.ok("delete", "-w", "fit.1", "--include-workspace")
    done = reana("ls", "-w", "fit.1")
    assert done.code == 1
    assert "does not exist" in done.seen


def test_the_python_api_has_the_same_files(reana: Reana) -> None:
    put(reana, "a.txt", "data/b.txt")
    found = reana.api("list_files", "fit", file_name="**/b.txt")
    assert [each["name"] for each in found] == ["data/b.txt"]
    assert reana.api("list_files", "fit", page=1, size=1)
    search = json.dumps({"name": ["a.txt"]})
    assert [each["name"] for each in reana.api("list_files", "fit", search=search)] == ["a.txt"]
    reana.api("mv_files", "a.txt", "data/a.txt", "fit")
    usage = reana.api("get_workflow_disk_usage", "fit", {"summarize": False})
    assert "/data/a.txt" in {each["name"] for each in usage["disk_usage_info"]}
    removed = reana.api("delete_file", "fit", "data/*")
    assert set(removed["deleted"]) == {"data/a.txt", "data/b.txt"}
    assert removed["failed"] == {}
    with pytest.raises(ClientError, match="did not match"):
        reana.api("delete_file", "fit", "data/*")
    with pytest.raises(ClientError, match="does not exist"):
        reana.api("download_file", "fit", "a.txt")
    reana.api("prune_workspace", "fit", include_inputs=False, include_outputs=False)


def memory_gb() -> float:
    (line,) = re.findall(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    return int(line) / 1e6


@pytest.mark.skipif(memory_gb() < 8, reason="the client holds a whole download in memory")
@pytest.mark.timeout(400)
def test_a_file_of_2_gb_goes_up_and_comes_back(reana: Reana) -> None:
    size = 2 * 1000**3 + 1
    reana.created("fit")
    with (reana.cwd / "large.bin").open("wb") as file:
        file.write(b"first")
        file.truncate(size - 4)
        file.seek(0, 2)
        file.write(b"last")
    # Past the tap, which is slower than both.
    url = reana.server.url
    reana.ok("upload", "-w", "fit", "large.bin", REANA_SERVER_URL=url)
    assert sizes(reana)["large.bin"] == size
    reana.ok("mv", "-w", "fit", "large.bin", "back.bin")
    reana.ok("download", "-w", "fit", "back.bin", REANA_SERVER_URL=url)
    assert filecmp.cmp(reana.cwd / "large.bin", reana.cwd / "back.bin", shallow=False)
