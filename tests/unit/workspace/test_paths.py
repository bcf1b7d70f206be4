import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, NotFoundError, SiteError, UsageError
from gateway.workspace.paths import open_inside, open_parent, relative_parts, resolve_inside

SECRET = b"outside"


def read(root: Path, name: str) -> bytes:
    fd = open_inside(root, name)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "data" / "deep").mkdir(parents=True)
    (root / "data" / "x.txt").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(SECRET)
    return root


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b", ("a", "b")),
        ("/a/b/", ("a", "b")),
        ("///a//./b", ("a", "b")),
        ("", ()),
        ("/", ()),
        ("./.", ()),
        ("...", ("...",)),
        ("a b/ü\n", ("a b", "ü\n")),
        ("~/x", ("~", "x")),
    ],
)
def test_names_are_relative_to_the_workspace(name: str, parts: tuple[str, ...]) -> None:
    assert relative_parts(name) == parts


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "/..", "a/..", "a\0b", "\ud800", "x" * 256, "x/" * 2100, "ü" * 128]
)
def test_names_that_no_file_inside_can_have_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        relative_parts(name)


def test_an_ordinary_file_is_opened(root: Path) -> None:
    assert read(root, "/data/x.txt") == b"inside"


@pytest.mark.parametrize(
    "target",
    ["x.txt", "../data/x.txt", "deep/../x.txt", "{root}/data/x.txt", "./../data/./x.txt", "hop"],
)
def test_links_that_stay_inside_are_followed(root: Path, target: str) -> None:
    (root / "data" / "hop").symlink_to("x.txt")
    (root / "data" / "link").symlink_to(target.format(root=root))
    assert read(root, "data/link") == b"inside"
    assert resolve_inside(root, "data/link") == root / "data" / "x.txt"


@pytest.mark.parametrize(
    "target",
    [
        "../../secret",
        "{tmp}/secret",
        "/etc/passwd",
        "/",
        "deep/../../../secret",
        "{root}/../secret",
    ],
)
def test_links_that_lead_out_are_refused(root: Path, tmp_path: Path, target: str) -> None:
    (root / "data" / "link").symlink_to(target.format(root=root, tmp=tmp_path))
    for act in (resolve_inside, open_inside):
        with pytest.raises(UsageError, match="leads out of the workspace"):
            act(root, "data/link")


def test_a_directory_link_that_leads_out_is_refused_for_every_use(
    root: Path, tmp_path: Path
) -> None:
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(UsageError):
        read(root, "out/secret")
    with pytest.raises(UsageError), open_parent(root, "out/new", create=True):
        pass
    with pytest.raises(UsageError):
        resolve_inside(root, "out/new")


def test_a_dangling_link_cannot_be_used_to_climb_out(root: Path, tmp_path: Path) -> None:
    (root / "climb").symlink_to("missing/../../made")
    for name in ("climb", "climb/x"):
        with pytest.raises(GatewayError):
            resolve_inside(root, name)
        with pytest.raises(GatewayError):
            open_inside(root, name, os.O_CREAT | os.O_WRONLY)
    with pytest.raises(GatewayError), open_parent(root, "climb/x", create=True):
        pass
    assert not (tmp_path / "made").exists()


def test_a_ring_of_links_ends(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(UsageError, match="too many symbolic links"):
        read(root, "a")


def test_a_directory_swapped_for_a_link_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap happens between the look at the name and its use."""
    honest = os.readlink

    def swap_after_looking(path: str, *, dir_fd: int) -> str:
        try:
            return honest(path, dir_fd=dir_fd)
        finally:
            if path == "data" and (root / "data").is_dir() and not (root / "data").is_symlink():
                (root / "data").rename(root / "gone")
                (root / "data").symlink_to(tmp_path)

    monkeypatch.setattr(os, "readlink", swap_after_looking)
    with pytest.raises(GatewayError):
        read(root, "data/secret")


def test_a_file_swapped_for_a_link_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.readlink

    def swap_after_looking(path: str, *, dir_fd: int) -> str:
        try:
            return honest(path, dir_fd=dir_fd)
        finally:
            if path == "x.txt":
                (root / "data" / "x.txt").unlink()
                (root / "data" / "x.txt").symlink_to(tmp_path / "secret")

    monkeypatch.setattr(os, "readlink", swap_after_looking)
    with pytest.raises(GatewayError):
        read(root, "data/x.txt")


def test_what_is_missing_is_not_found(root: Path) -> None:
    for name in ("nope", "data/nope/x", "nope/x"):
        with pytest.raises(NotFoundError):
            open_inside(root, name)
        assert resolve_inside(root, name) == root / name


def test_a_file_is_no_directory(root: Path) -> None:
    with pytest.raises(UsageError, match="not a directory"):
        open_inside(root, "data/x.txt/y")


def test_a_missing_workspace_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"Workspace does not exist\."):
        open_inside(tmp_path / "none", "x")


def test_a_fifo_does_not_block(root: Path) -> None:
    os.mkfifo(root / "pipe")
    os.close(open_inside(root, "pipe"))
    with pytest.raises((UsageError, SiteError)):
        open_inside(root, "pipe", os.O_WRONLY)


def test_the_parent_is_made_private(root: Path) -> None:
    with open_parent(root, "new/er/file", create=True) as (fd, name):
        assert name == "file"
        assert os.fstat(fd).st_ino == (root / "new" / "er").stat().st_ino
    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o700


def test_the_parent_is_not_made_unasked(root: Path) -> None:
    with pytest.raises(NotFoundError), open_parent(root, "new/file"):
        pass
    assert not (root / "new").exists()


def test_the_workspace_itself_is_no_file_name(root: Path) -> None:
    with pytest.raises(UsageError), open_parent(root, "/"):
        pass


def test_no_descriptors_are_left_open(root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("data/x.txt", "nope/x", "out/secret", "data/x.txt/y", "a/../b"):
        with suppress(GatewayError):
            os.close(open_inside(root, name))
        with suppress(GatewayError):
            resolve_inside(root, name)
    assert len(os.listdir("/proc/self/fd")) == before


NAMES = st.sampled_from(["a", "b", "l", "m", "..", ".", "", "ü", "missing"])
HOSTILE = st.lists(NAMES, max_size=8).map("/".join) | st.text(max_size=30)
TARGETS = st.lists(NAMES, min_size=1, max_size=6).map("/".join).filter(bool)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=HOSTILE, links=st.lists(TARGETS, min_size=4, max_size=4), absolute=st.booleans())
def test_nothing_outside_is_ever_reached(name: str, links: list[str], absolute: bool) -> None:
    """Any tree of links and any name: what is opened lies inside, or an error for people."""
    with tempfile.TemporaryDirectory() as top:
        root = Path(top) / "ws"
        (root / "a" / "b").mkdir(parents=True)
        (root / "b").mkdir()
        for place, target in zip(("l", "a/l", "b/m", "a/b/m"), links, strict=True):
            (root / place).symlink_to(f"{top}/{target}" if absolute else target)
        before = sorted(os.listdir(top))
        try:
            fd = open_inside(root, name)
        except GatewayError:
            pass
        else:
            reached = os.path.realpath(f"/proc/self/fd/{fd}")
            os.close(fd)
            assert reached == str(root) or reached.startswith(f"{root}/")
            assert os.path.realpath(resolve_inside(root, name)) == reached
        try:
            with open_parent(root, name, create=True) as (parent, last):
                reached = os.path.realpath(f"/proc/self/fd/{parent}")
                assert "/" not in last
                assert reached == str(root) or reached.startswith(f"{root}/")
        except GatewayError:
            pass
        assert sorted(os.listdir(top)) == before
