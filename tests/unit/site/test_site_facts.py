"""What is kept of a site file that has been checked, and when it is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.site import checked
from gateway.site.checked import SiteFacts, site_facts
from gateway.site.load import read_site

SITE = """\
shared_root: $PLACE/shared
state_dir: $PLACE/state  # costs nothing: $5
clusters: {one: {type: local}, two: {type: slurm}}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gateway"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return where site files were read."""
    met: list[Path] = []

    def read(path: Path, *rest: Any) -> Any:
        met.append(path)
        return read_site(path, *rest)

    monkeypatch.setattr(checked, "read_site", read)
    return met


def write(tmp_path: Path, text: str = SITE) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    return file


def test_a_site_file_is_read_once_for_each_value_of_its_variables(
    tmp_path: Path, cache: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path)
    for place in ("/a", "/a", "/b", "/a", "/b"):
        monkeypatch.setenv("PLACE", place)
        assert site_facts(file) == SiteFacts(
            f"sqlite:///{place}/state/gateway.db",
            Path(place, "shared"),
            Path(place, "state"),
            ("one", "two"),
        )
    assert len(reads) == len(list(cache.iterdir())) == 2


def test_a_changed_file_is_read_again(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    file = write(tmp_path, "state_dir: /a\n")
    assert site_facts(file).state_dir == Path("/a")
    write(tmp_path, "state_dir: /b\n")
    assert site_facts(file).state_dir == Path("/b")
    assert len(reads) == len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["", "[]", "[1, 2]", "null", "garbage", "[1, 2, 3, 4]"])
def test_a_damaged_memory_is_as_none(
    tmp_path: Path, cache: Path, reads: list[Path], damage: str
) -> None:
    file = write(tmp_path, "state_dir: /a\n")
    wanted = site_facts(file)
    (kept,) = cache.iterdir()
    kept.write_text(damage)
    assert site_facts(file) == wanted
    assert site_facts(file) == wanted
    assert len(reads) == 2


def test_what_may_hold_a_password_is_not_kept(tmp_path: Path, cache: Path) -> None:
    url = "postgresql+psycopg://me:word-1@host/gateway"
    file = write(tmp_path, f"state_dir: /a\ndatabase: {url}\n")
    assert site_facts(file).database_url == url
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_harms_nothing(tmp_path: Path, cache: Path) -> None:
    cache.parent.write_text("a file")
    file = write(tmp_path, "state_dir: /a\n")
    assert site_facts(file).state_dir == Path("/a")
