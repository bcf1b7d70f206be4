from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.containers.image_store import ImageRecord, sif_path, write_record
from gateway.containers.lookup import NeedsFetch, Usable, look_up
from gateway.errors import UsageError
from gateway.site.model import Containers
from gateway.vocabulary.image import ImageSource, ResolvedImage

MakeSif = Callable[[Path], Path]

DIGEST = "sha256:" + "ab" * 32
NAME = "docker.io/library/python:3"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def find(
    text: str, tmp_path: Path, site: Containers | None = None, since: float = 0.0
) -> ResolvedImage | str:
    found = look_up(
        text,
        site or Containers(unpacked=(tmp_path / "unpacked",)),
        store=tmp_path / "store",
        workspace=tmp_path / "ws",
        home=tmp_path / "home",
        now=1000.0,
        resolved_since=since,
    )
    return found.image if isinstance(found, Usable) else found.reference.name


def unpack(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "unpacked" / name
    (path / "usr").mkdir(parents=True)
    return path


def convert(store: Path, make_sif: MakeSif, name: str = NAME, at: float = 500.0) -> Path:
    path = make_sif(sif_path(store, DIGEST, "amd64"))
    write_record(store, ImageRecord(name, name, DIGEST, str(path), at, 1, "amd64"))
    return path


def test_what_is_nowhere_must_be_fetched(tmp_path: Path) -> None:
    assert find("python:3", tmp_path) == NAME
    found = look_up(
        "python:3", Containers(), store=tmp_path, workspace=tmp_path, home=tmp_path, now=0.0
    )
    assert isinstance(found, NeedsFetch)
    assert found.reference.written == "python:3"


def test_a_host_site_needs_no_image(tmp_path: Path) -> None:
    site = Containers(runtime="host")
    image = ResolvedImage("Not An Image", "", ImageSource.HOST, "", 1000.0)
    assert find("Not An Image", tmp_path, site) == image


@pytest.mark.parametrize("text", ["python:3", "docker://docker.io/library/python:3"])
def test_a_converted_image_is_used_under_every_spelling(
    tmp_path: Path, store: Path, make_sif: MakeSif, text: str
) -> None:
    path = convert(store, make_sif)
    assert find(text, tmp_path) == ResolvedImage(text, str(path), ImageSource.STORE, DIGEST, 500.0)


def test_an_old_answer_for_a_tag_is_not_taken_by_a_later_workflow(
    tmp_path: Path, store: Path, make_sif: MakeSif
) -> None:
    convert(store, make_sif, at=500.0)
    assert isinstance(find("python:3", tmp_path, since=500.0), ResolvedImage)
    assert find("python:3", tmp_path, since=501.0) == NAME


def test_a_digest_never_ages(tmp_path: Path, store: Path, make_sif: MakeSif) -> None:
    name = f"docker.io/library/python:3@{DIGEST}"
    convert(store, make_sif, name)
    assert isinstance(find(f"python:3@{DIGEST}", tmp_path, since=1e9), ResolvedImage)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_record_whose_image_is_not_whole_counts_for_nothing(
    tmp_path: Path, store: Path, make_sif: MakeSif, damage: str
) -> None:
    path = convert(store, make_sif)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "cut" else b"x" * 200)
    assert find("python:3", tmp_path) == NAME


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "\xff"])
def test_a_record_that_cannot_be_read_counts_for_nothing(
    tmp_path: Path, store: Path, make_sif: MakeSif, text: str
) -> None:
    convert(store, make_sif)
    for record in (store / "references").iterdir():
        record.write_text(text, encoding="latin-1")
    assert find("python:3", tmp_path) == NAME


@pytest.mark.parametrize(
    ("text", "below"),
    [
        ("python:3", "registry.hub.docker.com/library/python:3"),
        ("python:3", "docker.io/library/python:3"),
        ("python:3", "library/python:3"),
        ("python", "registry.hub.docker.com/library/python:latest"),
        ("cmssw/el8:x", "registry.hub.docker.com/cmssw/el8:x"),
        ("gitlab-registry.cern.ch/g/s/x:1", "gitlab-registry.cern.ch/g/s/x:1"),
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
    ],
)
def test_unpacked_images_come_before_the_store(
    tmp_path: Path, store: Path, make_sif: MakeSif, text: str, below: str
) -> None:
    convert(store, make_sif)
    path = unpack(tmp_path, below)
    image = ResolvedImage(text, str(path), ImageSource.DIRECTORY, "", 1000.0)
    assert find(text, tmp_path) == image


def test_a_pinned_image_is_not_taken_from_a_directory_that_knows_only_the_tag(
    tmp_path: Path,
) -> None:
    unpack(tmp_path, "docker.io/library/python:3")
    assert find(f"python:3@{DIGEST}", tmp_path) == f"{NAME}@{DIGEST}"


def test_an_unpacked_tag_that_moves_does_not_move_a_running_workflow(tmp_path: Path) -> None:
    flat = unpack(tmp_path, ".flat/ab/abcd")
    link = tmp_path / "unpacked" / "docker.io/library/python:3"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(flat, link.parent))
    image = find("python:3", tmp_path)
    assert isinstance(image, ResolvedImage)
    assert image.path == str(flat)


def test_an_empty_directory_or_a_dangling_link_is_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked" / "docker.io" / "library"
    (folder / "python:3").mkdir(parents=True)
    (folder / "python:4").symlink_to("nowhere")
    assert find("python:3", tmp_path) == NAME
    assert find("python:4", tmp_path) == "docker.io/library/python:4"


@pytest.mark.parametrize("key", ["python:3", "docker.io/library/python:3", "docker://python:3"])
def test_the_sites_map_comes_first(tmp_path: Path, make_sif: MakeSif, key: str) -> None:
    unpack(tmp_path, "docker.io/library/python:3")
    path = make_sif(tmp_path / "mapped.sif")
    site = Containers(image_map={key: str(path)}, unpacked=(tmp_path / "unpacked",))
    image = find("python:3", tmp_path, site)
    assert isinstance(image, ResolvedImage)
    assert (image.reference, image.path) == ("python:3", str(path))


def test_the_sites_map_may_name_another_registry_and_is_read_once(tmp_path: Path) -> None:
    site = Containers(image_map={"python:3": "ghcr.io/a/b", "ghcr.io/a/b": "ghcr.io/c/d"})
    assert find("python:3", tmp_path, site) == "ghcr.io/a/b:latest"


def test_the_sites_map_may_replace_what_is_no_image_at_all(tmp_path: Path) -> None:
    site = Containers(image_map={"Root 6": "rootproject/root:6", "a key:": "x"})
    assert find("Root 6", tmp_path, site) == "docker.io/rootproject/root:6"


@pytest.mark.parametrize("text", ["images/x.sif", "./images/x.sif"])
def test_an_image_file_in_the_workspace_with_its_digest(
    tmp_path: Path, make_sif: MakeSif, text: str
) -> None:
    path = make_sif(tmp_path / "ws" / "images" / "x.sif")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    image = ResolvedImage(text, str(path), ImageSource.FILE, digest, 1000.0)
    assert find(text, tmp_path) == image
    assert find(text, tmp_path) == image


def test_an_image_file_that_changed_gets_a_new_digest(tmp_path: Path, make_sif: MakeSif) -> None:
    path = make_sif(tmp_path / "x.sif")
    before = find(str(path), tmp_path)
    path.write_bytes(path.read_bytes()[:-8] + b"SQUASHFS")
    os.utime(path, (1, 1))
    after = find(str(path), tmp_path)
    assert isinstance(before, ResolvedImage)
    assert isinstance(after, ResolvedImage)
    assert before.digest != after.digest


def test_an_image_file_may_be_used_though_the_store_cannot_be_written(
    tmp_path: Path, store: Path, make_sif: MakeSif
) -> None:
    store.write_text("a file where a directory should be")
    path = make_sif(tmp_path / "x.sif")
    image = find(str(path), tmp_path)
    assert isinstance(image, ResolvedImage)
    assert image.digest.startswith("sha256:")


def test_directories_by_path(tmp_path: Path) -> None:
    path = unpack(tmp_path, "some/image")
    image = ResolvedImage(str(path), str(path), ImageSource.DIRECTORY, "", 1000.0)
    assert find(str(path), tmp_path) == image


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.write_bytes(b"PK" * 100), "not a whole SIF"),
        (lambda path: path.write_bytes(b""), "not a whole SIF"),
        (lambda path: path.mkdir(), "neither bin nor usr"),
        (lambda path: path.symlink_to("/nowhere"), "cannot be read"),
    ],
)
def test_what_is_no_image_at_a_path_is_said(tmp_path: Path, make: object, word: str) -> None:
    path = tmp_path / "x.sif"
    make(path)  # type: ignore[operator]
    with pytest.raises(UsageError, match=word):
        find(str(path), tmp_path)
