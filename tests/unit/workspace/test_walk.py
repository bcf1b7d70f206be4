import os
import resource
from pathlib import Path

import pytest

from gateway.workspace.choosing import opened
from gateway.workspace.removal import remove_tree
from gateway.workspace.walk import walk


def tree(root: Path) -> list[tuple[str, bool]]:
    with opened(os.open(root, os.O_RDONLY | os.O_DIRECTORY)) as fd:
        return [(visit.path, visit.leaving) for visit in walk(fd)]


def test_order_is_fixed_and_directories_come_twice(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c", "a", "b/z", "b/.y"):
        (tmp_path / name).touch()
    assert tree(tmp_path) == [
        ("a", False),
        ("b", False),
        ("b/.y", False),
        ("b/z", False),
        ("b", True),
        ("c", False),
    ]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "up").symlink_to("..")
    assert tree(tmp_path) == [("d", False), ("d/up", False), ("d", True)]


def deep_tree(top: Path, depth: int) -> None:
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("dddddddd", dir_fd=fd)
        below = os.open("dddddddd", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_a_tree_deeper_than_paths_and_descriptors_go(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    deep_tree(tmp_path / "ws", 1500)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    try:
        visits = tree(tmp_path / "ws")
        assert len(visits) == 3001
        assert visits[1500][0].endswith("/leaf")
        remove_tree(tmp_path, "ws")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not (tmp_path / "ws").exists()


def test_what_vanishes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    with opened(os.open(tmp_path, os.O_RDONLY)) as fd:
        seen = []
        for visit in walk(fd):
            seen.append(visit.path)
            if visit.path == "a" and not visit.leaving:
                (tmp_path / "b").rmdir()
    assert seen == ["a", "a", "c", "c"]


def test_a_directory_moved_away_meanwhile_ends_the_walk(tmp_path: Path) -> None:
    (tmp_path / "ws" / "a").mkdir(parents=True)
    (tmp_path / "ws" / "a" / "x").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    seen = []
    with opened(os.open(tmp_path / "ws", os.O_RDONLY)) as fd:
        visits = walk(fd)
        seen += [next(visits).path, next(visits).path]
        (tmp_path / "ws" / "a").rename(tmp_path / "elsewhere" / "a")
        with pytest.raises(OSError, match="moved"):
            seen += [visit.path for visit in visits]
    assert seen[:2] == ["a", "a/x"]
    assert "secret" not in "".join(seen)
