"""The image that the doctor makes where the store has none, with a runtime that a test wrote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.service.doctor.check import Level
from gateway.service.doctor.node import judge_node, look_argv, parse_look
from gateway.service.doctor.trial_image import TrialImage, trial_image
from gateway.site.model import Site
from tests.unit.service.test_doctor_judgements import Said

RUNTIME = """\
#!/bin/sh
case "$1 $2" in
    "--version "*) echo "apptainer 1" ;;
    "-s build") ls "$4" >"$3" ;;
    "-s exec") echo "$@" >"$LOG"; [ -z "$BROKEN" ] || { echo "no fuse" >&2; exit 255; } ;;
esac
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = tmp_path / "shared root"
    root.mkdir()
    return Site.model_validate({"shared_root": str(root)})


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a runtime on PATH; return the file with the words that it was last called with."""
    runtime = tmp_path / "programs" / "apptainer"
    runtime.parent.mkdir()
    runtime.write_text(RUNTIME)
    runtime.chmod(0o700)
    monkeypatch.setenv("PATH", f"{runtime.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def run(argv: Sequence[str]) -> Said:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return Said(done.stdout, done.stderr.strip(), done.returncode)


def test_an_image_of_mount_points_runs_programs_of_the_host(site: Site, log: Path) -> None:
    with trial_image(site, run) as image:
        assert image.path is not None
        assert image.path.is_relative_to(site.shared_root)
        assert "usr" in image.path.read_text().split()
        facts = parse_look(run(look_argv(site, image)).stdout)
    (check, *_) = judge_node(facts, "here", site, image)
    assert check.level is Level.OK
    assert "an image made for this runs" in check.found
    assert "--bind /usr" in log.read_text()
    assert list(site.shared_root.iterdir()) == []


def test_an_image_of_the_store_needs_nothing_of_the_host(site: Site, log: Path) -> None:
    site.images.mkdir(parents=True)
    (site.images / "small.sif").touch()
    with trial_image(site, run) as image:
        facts = parse_look(run(look_argv(site, image)).stdout)
    assert facts["image"] == "yes"
    assert "--bind /usr" not in log.read_text()
    assert image == TrialImage(site.images / "small.sif")


def test_a_host_that_cannot_run_what_was_made(
    site: Site, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del log
    monkeypatch.setenv("BROKEN", "yes")
    with trial_image(site, run) as image:
        facts = parse_look(run(look_argv(site, image)).stdout)
    (check, *_) = judge_node(facts, "on n7 of main", site, image)
    assert check.level is Level.FAIL
    assert "running an image made for this failed: no fuse" in check.found


def test_what_could_not_be_tried_is_said_and_how_to_check_it(site: Site) -> None:
    def refuse(argv: Sequence[str]) -> Said:
        del argv
        return Said("", "mksquashfs not found", 255)

    with trial_image(site, refuse) as image:
        assert image.path is None
    (check, *_) = judge_node({"container": "/x", "namespaces": "yes"}, "here", site, image)
    assert check.level is Level.WARN
    assert "no image was tried" in check.found
    assert "mksquashfs not found" in check.found
    assert "apptainer exec" in check.fix
    assert list(site.shared_root.iterdir()) == []


def test_a_shared_root_that_cannot_be_written_is_no_crash(tmp_path: Path) -> None:
    site = Site.model_validate({"shared_root": str(tmp_path / "file" / "root")})
    (tmp_path / "file").touch()
    with trial_image(site, run) as image:
        assert image.path is None
        assert "Not a directory" in image.trouble


def test_without_containers_nothing_is_made(tmp_path: Path) -> None:
    site = Site.model_validate({"shared_root": str(tmp_path), "containers": "host"})
    with trial_image(site, run) as image:
        assert image.path is None
    assert list(tmp_path.iterdir()) == []
