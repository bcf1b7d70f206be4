from pathlib import Path

import pytest

from gateway.errors import ConflictError, NotFoundError
from gateway.workspace.move import move


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "d" / "sub").mkdir(parents=True)
    (root / "a").write_text("a")
    (root / "b").write_text("b")
    (tmp_path / "secret").write_text("secret")
    return root


def test_a_file_gets_another_name(root: Path) -> None:
    move(root, "/a", "c")
    assert (root / "c").read_text() == "a"
    assert not (root / "a").exists()


def test_a_file_goes_into_a_directory(root: Path) -> None:
    move(root, "a", "d/")
    assert (root / "d" / "a").read_text() == "a"


def test_a_directory_goes_into_a_directory(root: Path) -> None:
    (root / "e").mkdir()
    move(root, "d", "e")
    assert (root / "e" / "d" / "sub").is_dir()


def test_a_file_of_the_targets_name_is_replaced(root: Path) -> None:
    move(root, "a", "b")
    assert (root / "b").read_text() == "a"


def test_a_link_is_moved_itself(root: Path, tmp_path: Path) -> None:
    (root / "l").symlink_to(tmp_path / "secret")
    move(root, "l", "d")
    assert (root / "d" / "l").is_symlink()
    assert (tmp_path / "secret").exists()


@pytest.mark.parametrize(("source", "target"), [("nope", "c"), ("a", "none/c"), ("nope/x", "c")])
def test_what_does_not_exist_is_not_found(root: Path, source: str, target: str) -> None:
    with pytest.raises(NotFoundError):
        move(root, source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("../secret", "c"),
        ("a", "../c"),
        ("d", "d/sub"),
        ("d", "b"),
        ("out/secret", "c"),
        ("a", "out/c"),
        ("/", "d"),
        ("a", "b/c"),
    ],
)
def test_impossible_moves_are_conflicts_and_change_nothing(
    root: Path, tmp_path: Path, source: str, target: str
) -> None:
    (root / "out").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConflictError):
        move(root, source, target)
    assert sorted(tmp_path.rglob("*")) == before
