import json
import os
import subprocess
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import NotFoundError, UsageError
from gateway.workspace.listing import Filters, disk_usage, iter_files, list_files, tree_bytes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    for name in ("results/plot.png", "results/sub/table.txt", "data.csv", ".hidden/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")
    (root / "empty").mkdir()
    (root / "link").symlink_to("/etc")
    return root


def names(root: Path, pattern: str | None = None) -> list[str]:
    return [entry.name for entry in iter_files(root, pattern)]


@pytest.mark.parametrize("pattern", [None, "", "/", "."])
def test_without_a_pattern_all_files_and_no_directories(root: Path, pattern: str | None) -> None:
    assert names(root, pattern) == [
        ".hidden/x",
        "data.csv",
        "link",
        "results/plot.png",
        "results/sub/table.txt",
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("results", ["results/plot.png", "results/sub", "results/sub/table.txt"]),
        ("/results/", ["results/plot.png", "results/sub", "results/sub/table.txt"]),
        ("results/*", ["results/plot.png", "results/sub"]),
        ("**/*.txt", ["results/sub/table.txt"]),
        ("results/**/*.png", ["results/plot.png"]),
        ("**/x", [".hidden/x"]),
        ("*/x", [".hidden/x"]),
        ("data.csv", ["data.csv"]),
        ("data.cs?", ["data.csv"]),
        ("[!d]ink", ["link"]),
        ("nothing*", []),
        ("data.csv/x", []),
        ("none/here/*", []),
        ("empty", []),
    ],
)
def test_patterns_mean_what_they_mean_in_reana(root: Path, pattern: str, found: list[str]) -> None:
    assert names(root, pattern) == found


def test_a_name_that_looks_like_a_pattern_is_found(root: Path) -> None:
    (root / "a[1]*.txt").touch()
    assert names(root, "a[1]*.txt") == ["a[1]*.txt"]


def test_a_pattern_does_not_match_a_longer_name(root: Path) -> None:
    (root / "data.csv\n").touch()
    assert names(root, "data.cs*") == ["data.csv", "data.csv\n"]
    assert names(root, "data.cs[v]") == ["data.csv"]


def test_links_are_listed_and_not_followed(root: Path) -> None:
    (root / "loop").symlink_to(".")
    assert "loop" in names(root)
    assert not any(name.startswith(("link/", "loop/")) for name in names(root))
    with pytest.raises(UsageError):
        names(root, "link/passwd")


@pytest.mark.parametrize("pattern", ["../*", "results/../../*", "x\0", "*****", "**/" * 9 + "x"])
def test_impossible_patterns_are_refused(root: Path, pattern: str) -> None:
    with pytest.raises(UsageError):
        names(root, pattern)


def test_a_missing_workspace_says_so_in_reanas_words(tmp_path: Path) -> None:
    for pattern in (None, "x", "*"):
        with pytest.raises(NotFoundError, match=r"^Workspace does not exist\.$"):
            list_files(tmp_path / "gone", pattern)


def test_size_and_time_are_those_of_the_file(root: Path) -> None:
    os.utime(root / "data.csv", (0, 1_767_268_800.9))
    entry = next(iter_files(root, "data.csv"))
    assert (entry.size, entry.last_modified) == (5, "2026-01-01T12:00:00")


@pytest.mark.parametrize("when", [-1, -(2**40), 2**33])
def test_strange_times_are_shown_somehow(root: Path, when: int) -> None:
    os.utime(root / "data.csv", (when, when))
    shown = next(iter_files(root, "data.csv")).last_modified
    assert len(shown) == len("2026-01-01T12:00:00")


def test_names_that_are_no_text_can_be_sent(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).touch()
    assert json.dumps(names(root), ensure_ascii=False).encode()
    assert "caf\\xe9" in names(root)


def test_pages_cut_the_list(root: Path) -> None:
    pages = [list_files(root, page=page, size=2) for page in (1, 2, 3, 4)]
    assert [len(page.items) for page in pages] == [2, 2, 1, 0]
    assert [page.total for page in pages] == [5, 5, 5, 5]
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert [page.has_prev for page in pages] == [False, True, True, True]
    assert [entry.name for page in pages for entry in page.items] == names(root)


@pytest.mark.parametrize(("page", "size"), [(0, 1), (1, 0), (-1, None)])
def test_pages_that_are_none_are_refused(root: Path, page: int, size: int | None) -> None:
    with pytest.raises(UsageError):
        list_files(root, page=page, size=size)


def test_filters_must_all_match_whatever_the_case(root: Path) -> None:
    filters = Filters.from_search('{"name": ["RESULTS", "plot"], "size": ["5"]}')
    assert [entry.name for entry in list_files(root, filters=filters).items] == ["results/plot.png"]
    assert list_files(root, filters=Filters(names=("results", "data"))).total == 0
    assert list_files(root, filters=Filters(modified=("1999-",))).total == 0


@pytest.mark.parametrize("text", ["[", "[]", '"x"', "7", '{"colour": ["red"]}', "[" * 100_000])
def test_a_search_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Filters.from_search(text)


@given(st.text())
def test_no_search_text_breaks_the_reader(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(Filters.from_search(text), Filters)


def test_memory_stays_flat(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / f"{number:03d}"
        folder.mkdir()
        for file in range(100):
            (folder / f"{file:03d}-{'x' * 100}").touch()
    tracemalloc.start()
    assert list_files(tmp_path, page=3, size=10).total == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000


def test_usage_is_that_of_du(root: Path) -> None:
    (root / "results" / "sparse").touch()
    os.truncate(root / "results" / "sparse", 10**9)
    os.link(root / "data.csv", root / "again.csv")
    (root / "big").write_bytes(os.urandom(100_000))
    du = subprocess.run(
        ["du", "-a", "--block-size=1", "."], cwd=root, capture_output=True, text=True, check=True
    )
    theirs = {}
    for line in du.stdout.splitlines():
        size, name = line.split("\t")
        theirs[name[1:]] = int(size)
    ours = {usage.name: usage.bytes for usage in disk_usage(root)}
    linked = {"/data.csv", "/again.csv"}
    assert {n: s for n, s in ours.items() if n not in linked} == {
        n: s for n, s in theirs.items() if n not in linked
    }
    assert tree_bytes(root) == theirs[""] == disk_usage(root, summarize=True)[0].bytes
    assert disk_usage(root)[-1].name == ""


def test_usage_of_a_part(root: Path) -> None:
    chosen = disk_usage(root, patterns=["results"])
    assert [usage.name for usage in chosen] == [
        "/results/plot.png",
        "/results/sub/table.txt",
        "/results/sub",
    ]
    both = disk_usage(root, patterns=["results"], summarize=True)
    assert both == disk_usage(root, patterns=["results/*"], summarize=True)
    assert both[0].bytes == chosen[0].bytes + chosen[2].bytes


def test_usage_of_nothing(tmp_path: Path) -> None:
    assert tree_bytes(tmp_path / "gone") == 0
    assert disk_usage(tmp_path, patterns=["none*"]) == []
    with pytest.raises(NotFoundError):
        disk_usage(tmp_path / "gone", summarize=True)
    with pytest.raises(NotFoundError):
        disk_usage(tmp_path / "gone")


@settings(max_examples=200, deadline=None)
@given(
    pattern=st.text(st.sampled_from("ab*?/[]!.{}()|+@\\~-"), min_size=1, max_size=10),
    name=st.lists(st.text(st.sampled_from("ab.["), min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_match_is_that_of_reanas_library(pattern: str, name: list[str]) -> None:
    from wcmatch import glob

    from gateway.workspace.patterns import literal_prefix, matcher

    path = "/".join(part for part in name if part not in (".", "..")) or "a"
    try:
        fits = matcher(pattern)
    except UsageError:
        return
    clean = "/".join(part for part in pattern.split("/") if part not in ("", "."))
    flags = glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX
    assert fits(path) == bool(clean and glob.globmatch(path, clean, flags=flags))
    prefix = literal_prefix(pattern)
    assert not fits(path) or not prefix or path.startswith(f"{prefix}/")
