from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.containers.image_store import (
    ImageRecord,
    file_digest,
    is_sif,
    known_file_digest,
    read_json,
    read_record,
    record_path,
    sif_path,
    write_json,
    write_record,
)
from gateway.containers.result import Fetched, FetchFailed, read_result, write_result
from gateway.vocabulary.image import ImageSource, ResolvedImage

MakeSif = Callable[[Path], Path]

NAME = "docker.io/library/python:3"
DIGEST = "sha256:" + "ab" * 32


def record(path: Path, name: str = NAME) -> ImageRecord:
    return ImageRecord("python:3", name, DIGEST, str(path), 5.0, 10, "amd64", "apptainer 1", 4.0)


def test_a_record_is_read_as_it_was_written(tmp_path: Path, make_sif: MakeSif) -> None:
    written = record(make_sif(sif_path(tmp_path, DIGEST, "amd64")))
    assert read_record(tmp_path, NAME) is None
    write_record(tmp_path, written)
    assert read_record(tmp_path, NAME) == written
    assert written.resolved("docker://python:3") == ResolvedImage(
        "docker://python:3", written.path, ImageSource.STORE, DIGEST, 5.0
    )


def test_a_record_of_another_name_is_not_believed(tmp_path: Path, make_sif: MakeSif) -> None:
    write_record(tmp_path, record(make_sif(tmp_path / "x.sif"), name="other"))
    record_path(tmp_path, "other").rename(record_path(tmp_path, NAME))
    assert read_record(tmp_path, NAME) is None


def test_images_of_several_architectures_do_not_collide(tmp_path: Path) -> None:
    path = sif_path(tmp_path, DIGEST, "amd64")
    assert path.name == f"sha256-{'ab' * 32}-amd64.sif"
    assert path != sif_path(tmp_path, DIGEST, "arm64")


def test_whole_images_are_told_from_others(tmp_path: Path, make_sif: MakeSif) -> None:
    path = make_sif(tmp_path / "x.sif")
    whole = path.read_bytes()
    assert is_sif(path)
    for length in (0, 31, 42, 127, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert not is_sif(path)
    path.write_bytes(whole.replace(b"SIF_MAGIC", b"SIF_MAGIK"))
    assert not is_sif(path)
    assert not is_sif(tmp_path)
    assert not is_sif(tmp_path / "none")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_digest_of_a_file_is_remembered_while_it_is_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "big.sif"
    path.write_bytes(b"abc")
    known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert known_file_digest(tmp_path, path) == ""
    assert file_digest(tmp_path, path) == known
    assert known_file_digest(tmp_path, path) == known
    path.write_bytes(b"abcd")
    assert known_file_digest(tmp_path, path) == ""
    assert file_digest(tmp_path, path) != known
    path.unlink()
    assert known_file_digest(tmp_path, path) == ""


def test_results_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    image = ResolvedImage("python:3", "/x.sif", ImageSource.STORE, DIGEST, 1.5)
    for result in (Fetched(image, "a note"), FetchFailed("no", True, "do", 3.0)):
        write_result(path, result)
        assert read_result(path) == result
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"ok": true}',
        '{"ok": false}',
        '{"ok": true, "image": {}, "note": ""}',
    ],
)
def test_a_result_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    assert read_result(path) is None
