import os
from pathlib import Path

import pytest

from gateway.errors import NotFoundError, UsageError
from gateway.workspace import removal
from gateway.workspace.removal import prune, remove, remove_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    for name in ("results/plot.png", "results/sub/table.txt", "data/in.csv", "reana.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("mine")
    return root


def left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_file_is_removed_with_its_size(root: Path) -> None:
    done = remove(root, ["/data/in.csv"])
    assert (done.deleted, done.failed) == ({"data/in.csv": 5}, {})
    assert left(root) == ["data", "reana.yaml", "results", "results/plot.png", "results/sub",
                          "results/sub/table.txt"]  # fmt: skip


def test_the_name_of_a_file_means_that_file_alone(root: Path) -> None:
    for name in ("data/a[1]", "data/a1", "data/link[1]"):
        (root / name).symlink_to("in.csv") if "link" in name else (root / name).touch()
    assert list(remove(root, ["data/a[1]"]).deleted) == ["data/a[1]"]
    assert list(remove(root, ["data/link[1]"]).deleted) == ["data/link[1]"]
    assert list(remove(root, ["data/a[1]"]).deleted) == ["data/a1"]
    assert (root / "data/in.csv").exists()


def test_of_a_directory_the_contents_go_and_it_stays(root: Path) -> None:
    done = remove(root, ["results"])
    assert done.deleted == {"results/plot.png": 5, "results/sub/table.txt": 5, "results/sub": 0}
    assert left(root) == ["data", "data/in.csv", "reana.yaml", "results"]


def test_a_glob_takes_directories_with_all_they_hold(root: Path) -> None:
    done = remove(root, ["results/*"])
    assert done.deleted == {"results/plot.png": 5, "results/sub/table.txt": 5, "results/sub": 0}
    assert done.failed == {}


def test_a_deep_glob_takes_only_what_it_matches(root: Path) -> None:
    assert remove(root, ["**/*.txt", "**/*.txt"]).deleted == {"results/sub/table.txt": 5}
    assert "results/sub" in left(root)


def test_what_fits_nothing_is_in_neither_answer(root: Path) -> None:
    before = left(root)
    done = remove(root, ["nope", "no*", "nope/x", "reana.yaml/x"])
    assert (done.deleted, done.failed) == ({}, {})
    assert left(root) == before


def test_links_go_and_what_they_point_to_stays(root: Path, tmp_path: Path) -> None:
    (root / "results" / "link").symlink_to(tmp_path / "outside")
    (root / "top").symlink_to(tmp_path / "outside")
    (root / "inner").symlink_to("data")
    done = remove(root, ["results", "top", "inner"])
    assert {"results/link", "top", "inner"} <= set(done.deleted)
    assert (tmp_path / "outside" / "precious").read_text() == "mine"
    assert (root / "data" / "in.csv").exists()


@pytest.mark.parametrize("pattern", ["../outside/precious", "link/precious", "link/*", ""])
def test_nothing_outside_can_be_removed(root: Path, tmp_path: Path, pattern: str) -> None:
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError):
        remove(root, [pattern])
    assert (tmp_path / "outside" / "precious").exists()
    assert "data/in.csv" in left(root)


def test_a_directory_without_permissions_is_opened_up(root: Path) -> None:
    (root / "results" / "sub").chmod(0)
    (root / "data").chmod(0o555)
    remove(root, ["results", "data/*"])
    assert left(root) == ["data", "reana.yaml", "results"] or os.geteuid() != 0
    assert not (root / "results" / "sub").exists()


def test_what_cannot_be_removed_is_reported_with_the_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.unlink

    def refuse(path: str, *, dir_fd: int) -> None:
        if path == "plot.png":
            raise PermissionError(1, "Operation not permitted")
        honest(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    done = remove(root, ["results/*"])
    assert done.failed == {"results/plot.png": "Operation not permitted"}
    assert "results/sub" in done.deleted


def test_prune_keeps_what_is_covered(root: Path) -> None:
    (root / "tmp" / "deep").mkdir(parents=True)
    (root / "tmp" / "x").write_text("123")
    done = prune(root, ["data", "results/plot.png", "*.yaml"])
    assert done.deleted == {"results/sub/table.txt": 5, "results/sub": 0, "tmp/x": 3,
                            "tmp/deep": 0, "tmp": 0}  # fmt: skip
    assert done.failed == {}
    assert left(root) == ["data", "data/in.csv", "reana.yaml", "results", "results/plot.png"]


def test_prune_of_everything_and_of_nothing(root: Path) -> None:
    before = left(root)
    assert prune(root, (name for name in ["."])).deleted == {}
    assert left(root) == before
    prune(root, [])
    assert left(root) == []


def test_a_missing_workspace_says_so(tmp_path: Path) -> None:
    for act in (remove, prune):
        with pytest.raises(NotFoundError):
            act(tmp_path / "gone", ["x"])


def test_a_tree_goes_with_everything_and_gives_its_size(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "results" / "sub").chmod(0)
    (root / "data").chmod(0o555)
    os.mkfifo(root / "pipe")
    root.chmod(0o500)
    assert remove_tree(tmp_path, "ws") >= 4 * 512
    assert left(tmp_path) == ["outside", "outside/precious"]


def test_a_tree_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    assert remove_tree(tmp_path, "gone") == 0
    assert remove_tree(tmp_path / "no parent", "gone") == 0


def test_a_workspace_that_is_a_link_is_only_unlinked(root: Path, tmp_path: Path) -> None:
    (tmp_path / "w2").symlink_to(root)
    remove_tree(tmp_path, "w2")
    assert not (tmp_path / "w2").is_symlink()
    assert "data/in.csv" in left(root)


def test_a_job_that_still_writes_is_met_with_patience(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = removal._empty
    late = iter(["once"])

    def writes_once_more(fd: int) -> int:
        freed = honest(fd)
        if next(late, None):
            os.close(os.open("late.txt", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        return freed

    monkeypatch.setattr(removal, "_empty", writes_once_more)
    remove_tree(tmp_path, "ws")
    assert not root.exists()
