from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.containers.conversion import (
    FAST_COMPRESSION,
    Conversion,
    build_argv,
    build_environment,
    convert,
    explain,
    find_runtime,
    remove_tree,
)
from gateway.containers.credentials import Credentials
from gateway.containers.failure import ImageUnavailableError

MakeSif = Callable[[Path], Path]

SOURCE = "docker.io/library/python@sha256:" + "ab" * 32


@pytest.fixture
def job(tmp_path: Path) -> Conversion:
    folder = tmp_path / "store" / "partial" / "token"
    folder.mkdir(parents=True)
    login = Credentials("alice", "pass-word-1")
    work = tmp_path / "work"
    return Conversion("python:3", SOURCE, folder / "x.sif", work, 20.0, credentials=login)


def fake(tmp_path: Path, script: str) -> str:
    """A runtime that is a shell script; $TARGET is the file to write."""
    path = tmp_path / "apptainer"
    path.write_text(
        '#!/bin/bash\nTARGET=${@: -2:1}\necho "$@" >>"$0.log"\n'
        f'if [ "$2" = exec ]; then eval "$MOUNT"; else {script}\nfi\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return str(path)


def builds(tmp_path: Path) -> list[str]:
    calls = (tmp_path / "apptainer.log").read_text().splitlines()
    return [call for call in calls if call.startswith("build ")]


def test_the_command_line(job: Conversion) -> None:
    assert build_argv(job, "/bin/apptainer", FAST_COMPRESSION) == [
        "/bin/apptainer", "build", "--mksquashfs-args", FAST_COMPRESSION[1],
        str(job.target), f"docker://{SOURCE}",
    ]  # fmt: skip


def test_caches_are_private_and_the_login_is_only_in_the_environment(job: Conversion) -> None:
    env = build_environment(job, {"PATH": "/bin", "APPTAINER_CACHEDIR": "/home/alice/.cache"})
    assert env["PATH"] == "/bin"
    for prefix in ("APPTAINER", "SINGULARITY"):
        assert env[f"{prefix}_CACHEDIR"] == str(job.work / "cache")
        assert env[f"{prefix}_TMPDIR"] == str(job.work / "tmp")
        assert env[f"{prefix}_DOCKER_PASSWORD"] == "pass-word-1"
    assert "pass-word-1" not in " ".join(build_argv(job, "a", FAST_COMPRESSION))
    assert "pass-word-1" not in repr(job)


def test_a_whole_image_is_success(job: Conversion, tmp_path: Path, make_sif: MakeSif) -> None:
    image = make_sif(tmp_path / "image")
    convert(job, fake(tmp_path, f'cp "{image}" "$TARGET"'), os.environ)
    assert job.target.read_bytes() == image.read_bytes()
    assert len(builds(tmp_path)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "Error for command: unknown flag: --mksquashfs-args",
        'FATAL ERROR: Compressor "zstd" is not supported!',
        "mksquashfs: -comp: invalid compressor",
    ],
)
def test_fast_compression_is_given_up_where_it_is_refused(
    job: Conversion, tmp_path: Path, make_sif: MakeSif, words: str
) -> None:
    image = make_sif(tmp_path / "image")
    refuse = f"case $* in *zstd*) echo '{words}' >&2; exit 255;; esac\n"
    convert(job, fake(tmp_path, f'{refuse}cp "{image}" "$TARGET"'), os.environ)
    assert job.target.exists()
    assert len(builds(tmp_path)) == 2


@pytest.mark.parametrize(
    ("mount", "count"),
    [
        ("true", 1),
        ("echo 'FATAL: stat /bin/sh: no such file or directory' >&2; exit 255", 1),
        ("echo 'FATAL: squashfuse: this squashfs uses zstd' >&2; exit 255", 2),
        ("echo 'FATAL: while mounting image /x: invalid argument' >&2; exit 255", 2),
    ],
)
def test_an_image_that_this_host_cannot_mount_is_built_again_in_the_common_compression(
    job: Conversion, tmp_path: Path, make_sif: MakeSif, mount: str, count: int
) -> None:
    image = make_sif(tmp_path / "image")
    runtime = fake(tmp_path, f'cp "{image}" "$TARGET"')
    convert(job, runtime, {**os.environ, "MOUNT": mount})
    assert job.target.exists()
    assert ["zstd" in call for call in builds(tmp_path)] == [True, False][:count]


def test_other_trouble_is_not_tried_twice_and_leaves_no_file(
    job: Conversion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = fake(
        tmp_path, 'echo half >"$TARGET"; echo "FATAL: no luck pass-word-1" >&2; exit 255'
    )
    with pytest.raises(ImageUnavailableError, match="no luck") as raised:
        convert(job, runtime, os.environ)
    assert "pass-word-1" not in raised.value.message
    logged = capsys.readouterr().err
    assert "no luck ***" in logged
    assert "pass-word-1" not in logged
    assert not job.target.exists()
    assert len(builds(tmp_path)) == 1


def test_success_without_a_whole_image_is_failure(job: Conversion, tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailableError):
        convert(job, fake(tmp_path, 'echo half >"$TARGET"'), os.environ)
    assert not job.target.exists()


@pytest.mark.parametrize(
    ("text", "permanent", "word"),
    [
        ("FATAL: write /a/b: no space left on device", False, "no space is left"),
        ("FATAL: write /a/b: Disk quota exceeded", False, "quota"),
        ("toomanyrequests: You have reached your pull rate limit", False, "too many requests"),
        ("no image found in image index for architecture amd64", True, "architecture"),
        ("manifest unknown", True, "no such image"),
        ("requested access to the resource is denied", True, "no such image"),
        ("ERROR  : Failed to create user namespace: Operation not permitted", True, "namespaces"),
        ("FATAL: Get https://x: dial tcp: i/o timeout", False, "i/o timeout"),
        ("", False, "status 255"),
    ],
)
def test_what_apptainer_said_in_words(
    job: Conversion, text: str, permanent: bool, word: str
) -> None:
    error = explain(job, 255, text)
    assert error.permanent == permanent
    assert word in error.message
    assert "python:3" in error.message


def test_the_full_file_system_is_named(job: Conversion, tmp_path: Path) -> None:
    in_store = explain(job, 255, f"write {job.target}: no space left on device")
    assert f"({tmp_path / 'store'})" in in_store.message
    in_work = explain(job, 255, f"write {job.work}/tmp/x: no space left on device")
    assert f"({tmp_path})" in in_work.message


def test_apptainer_comes_before_singularity() -> None:
    assert find_runtime(lambda name: f"/bin/{name}") == "/bin/apptainer"
    assert find_runtime({"singularity": "/s"}.get) == "/s"
    with pytest.raises(ImageUnavailableError, match="neither apptainer nor singularity"):
        find_runtime(lambda _: None)


def test_a_tree_that_nobody_may_write_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    (tree / "link").symlink_to(tmp_path)
    for folder in (tree / "a" / "b", tree / "a"):
        folder.chmod(0o500)
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []
