from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.containers.conversion import Conversion
from gateway.containers.failure import ImageUnavailableError
from gateway.containers.fetch import Fetch, fetch, main
from gateway.containers.image_store import architecture, read_record, sif_path
from gateway.containers.reference import parse_registry_name
from gateway.containers.registry import Resolution
from gateway.containers.result import FetchFailed, read_result

MakeSif = Callable[[Path], Path]

DIGEST = "sha256:" + "ab" * 32
NAME = "docker.io/library/python:3"


class World:
    """A registry and an Apptainer that do as they are told, and a clock that only pauses move."""

    def __init__(self, make_sif: MakeSif) -> None:
        self.make_sif = make_sif
        self.digest = DIGEST
        self.troubles: list[Exception] = []
        self.conversions: list[Conversion] = []
        self.while_converting: Callable[[Conversion], None] = lambda _: None
        self.time = 1000.0
        self.waiting: Callable[[], None] = lambda: None

    def resolve(self, *_: object, **__: object) -> Resolution:
        if self.troubles:
            raise self.troubles.pop(0)
        return Resolution(self.digest)

    def convert(self, job: Conversion, _: str, __: Mapping[str, str]) -> None:
        self.conversions.append(job)
        self.while_converting(job)
        self.make_sif(job.target)

    def pause(self, seconds: float) -> None:
        self.time += seconds
        self.waiting()


@pytest.fixture
def world(make_sif: MakeSif) -> World:
    return World(make_sif)


@pytest.fixture
def job(world: World, tmp_path: Path) -> Fetch:
    return Fetch(
        image=parse_registry_name(NAME, written="python:3"),
        store=tmp_path / "store",
        temporary=None,
        timeout_s=100.0,
        environment={},
        home=tmp_path,
        now=lambda: world.time,
        pause=world.pause,
        resolve=world.resolve,
        convert=world.convert,
        find_runtime=lambda: "/bin/echo",
    )


def trouble(permanent: bool = False, wait: float = 0.0) -> ImageUnavailableError:
    return ImageUnavailableError("the registry sulks", permanent=permanent, retry_after_s=wait)


def left(store: Path) -> list[Path]:
    return [path for part in ("claims", "partial") for path in (store / part).rglob("*")]


def test_an_image_is_converted_and_written_down(job: Fetch, world: World) -> None:
    image = fetch(job).image
    path = sif_path(job.store, DIGEST, architecture())
    assert (image.reference, image.path, image.digest) == ("python:3", str(path), DIGEST)
    assert image.resolved_at == 1000.0
    assert world.conversions[0].source == f"docker.io/library/python@{DIGEST}"
    assert world.conversions[0].target.name == path.name
    record = read_record(job.store, NAME)
    assert record is not None
    assert record.resolved("python:3") == image
    assert path.stat().st_mode & 0o777 == 0o444
    assert left(job.store) == []


def test_what_is_there_is_not_converted_again_and_the_answer_is_renewed(
    job: Fetch, world: World
) -> None:
    fetch(job)
    world.time = 5000.0
    first = read_record(job.store, NAME)
    assert fetch(job).image.resolved_at == 5000.0
    second = read_record(job.store, NAME)
    assert first is not None
    assert second == replace(first, resolved_at=5000.0)
    assert len(world.conversions) == 1


def test_a_moved_tag_is_another_image_beside_the_first(job: Fetch, world: World) -> None:
    first = fetch(job).image
    world.digest = "sha256:" + "cd" * 32
    second = fetch(job).image
    assert first.path != second.path
    assert Path(first.path).exists()


def test_a_damaged_image_is_replaced(job: Fetch, world: World) -> None:
    path = Path(fetch(job).image.path)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    fetch(job)
    assert len(world.conversions) == 2


def test_short_trouble_with_a_registry_is_sat_out(job: Fetch, world: World) -> None:
    world.troubles = [trouble(), trouble()]
    assert fetch(job).note == ""
    assert world.time == 1005.0


@pytest.mark.parametrize("error", [trouble(permanent=True), trouble(wait=60.0)])
def test_trouble_that_will_not_pass_is_not_repeated(
    job: Fetch, world: World, error: ImageUnavailableError
) -> None:
    world.troubles = [error, trouble()]
    with pytest.raises(ImageUnavailableError):
        fetch(job)
    assert len(world.troubles) == 1


def test_a_registry_that_is_away_does_not_stop_what_is_known(job: Fetch, world: World) -> None:
    image = fetch(job).image
    world.troubles = [trouble()] * 3
    again = fetch(job)
    assert again.image == image
    assert "the registry sulks" in again.note
    assert DIGEST in again.note
    world.troubles = [trouble(permanent=True)]
    with pytest.raises(ImageUnavailableError):
        fetch(job)


def test_a_failed_conversion_leaves_nothing(job: Fetch, world: World, tmp_path: Path) -> None:
    def fail(conversion: Conversion) -> None:
        (conversion.work / "layer").write_text("x")
        conversion.target.write_text("half")
        raise trouble()

    world.while_converting = fail
    with pytest.raises(ImageUnavailableError):
        fetch(replace(job, temporary=tmp_path))
    assert left(job.store) == []
    assert list(job.store.glob("*.sif")) == []
    assert list(tmp_path.glob("gateway-image-*")) == []


def test_a_second_fetch_waits_for_the_first(job: Fetch, world: World) -> None:
    inside, finish = threading.Event(), threading.Event()

    def hold(_: Conversion) -> None:
        inside.set()
        assert finish.wait(10)

    world.while_converting = hold
    first = threading.Thread(target=fetch, args=(job,))
    first.start()
    assert inside.wait(10)

    def first_finishes() -> None:
        finish.set()
        first.join()

    world.waiting = first_finishes
    assert fetch(job).image.digest == DIGEST
    assert len(world.conversions) == 1


def test_waiting_has_an_end_and_names_the_one_waited_for(job: Fetch, world: World) -> None:
    inside, finish = threading.Event(), threading.Event()

    def hold(_: Conversion) -> None:
        inside.set()
        assert finish.wait(10)

    world.while_converting = hold
    first = threading.Thread(target=fetch, args=(job,))
    first.start()
    assert inside.wait(10)
    with pytest.raises(ImageUnavailableError, match=f"by process {os.getpid()}") as raised:
        fetch(job)
    assert not raised.value.permanent
    finish.set()
    first.join()


@pytest.mark.parametrize(("code", "word"), [(28, "no space is left"), (122, "quota")])
def test_a_store_without_room_is_named(
    job: Fetch, monkeypatch: pytest.MonkeyPatch, code: int, word: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, "words of the system")

    monkeypatch.setattr("gateway.containers.fetch.write_record", full)
    with pytest.raises(ImageUnavailableError, match=word) as raised:
        fetch(job)
    assert str(job.store) in raised.value.message


def test_a_temporary_directory_that_does_not_exist_is_named(job: Fetch) -> None:
    with pytest.raises(ImageUnavailableError, match="below /nowhere"):
        fetch(replace(job, temporary=Path("/nowhere")))


def test_leftovers_of_the_dead_are_removed(job: Fetch) -> None:
    dead = job.store / "partial" / "dead" / "rootfs"
    dead.mkdir(parents=True)
    dead.chmod(0o500)
    fetch(job)
    assert left(job.store) == []


def test_the_last_line_and_the_file_tell_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    result = tmp_path / "result.json"
    code = main(["--reference=Not:An:Image", f"--store={tmp_path}", f"--result={result}"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 3
    assert said["ok"] is False
    assert said["permanent"] is True
    failed = read_result(result)
    assert isinstance(failed, FetchFailed)
    assert failed.message == said["message"]
