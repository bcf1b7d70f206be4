import shutil
import threading
from pathlib import Path

import pytest

from gateway.errors import NotFoundError, SiteError, UnreachableError
from gateway.workspace import compare
from gateway.workspace.compare import diff

pytestmark = pytest.mark.skipif(not shutil.which("diff"), reason="diff is not installed")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    left, right = tmp_path / "w", tmp_path / "w2"
    for root, text in ((left, "one\n\ntwo\n"), (right, "one\n\nthree\n")):
        (root / "sub").mkdir(parents=True)
        (root / "sub" / "x.txt").write_text(text)
    (left / "only").touch()
    return left, right


def test_workspaces_are_called_by_their_names(pair: tuple[Path, Path]) -> None:
    text = diff(*pair, ("fit.1", "fit.2"))
    assert "Only in fit.1: only" in text
    assert "-two\n+three" in text
    assert "+++ fit.2/sub/x.txt" in text
    assert str(pair[0]) not in text


@pytest.mark.parametrize("mark", ["\n", "\r", "\r\n", "\f", "\v", "\x1c", "\x85", "\u2028"])
def test_no_line_is_empty(pair: tuple[Path, Path], mark: str) -> None:
    (pair[0] / "sub" / "x.txt").write_text(f"one{mark}{mark}two{mark}", newline="")
    text = diff(*pair, ("a", "b"))
    assert "two" in text
    assert all(text.splitlines())


def test_brief_names_files_only(pair: tuple[Path, Path]) -> None:
    assert diff(*pair, ("a", "b"), brief=True).splitlines() == [
        "Only in a: only",
        "Files a/sub/x.txt and b/sub/x.txt differ",
    ]


def test_equal_workspaces_say_nothing(pair: tuple[Path, Path]) -> None:
    assert diff(pair[0], pair[0], ("a", "a")) == ""


def test_links_are_not_followed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    (pair[0] / "sub" / "x.txt").unlink()
    (pair[0] / "sub" / "x.txt").symlink_to(tmp_path / "secret")
    assert "secret words" not in diff(*pair, ("a", "b"))


def test_a_missing_workspace_is_not_found(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        diff(pair[0], tmp_path / "gone", ("a", "b"))


def test_a_host_without_diff_says_so(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SiteError, match="cannot run diff"):
        diff(*pair, ("a", "b"))


def test_a_comparison_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "diff").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "diff").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:/usr/bin:/bin")
    monkeypatch.setattr(compare, "PATIENCE_S", 0.2)
    with pytest.raises(UnreachableError, match="longer than"):
        compare.diff(tmp_path / "a", tmp_path / "b", ("a", "b"))


def test_only_a_few_comparisons_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(compare, "_slots", threading.BoundedSemaphore(1))
    with compare._slots, pytest.raises(UnreachableError, match="too many"):
        compare.diff(tmp_path / "a", tmp_path / "b", ("a", "b"))
    assert compare.diff(tmp_path / "a", tmp_path / "b", ("a", "b")) == ""
