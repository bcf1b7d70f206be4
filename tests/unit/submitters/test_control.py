import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.submitters import control
from gateway.submitters.base import Submission, Task
from gateway.vocabulary.launch import CONTAINER, SCRATCH, Launch
from gateway.vocabulary.resources import Resources

CLAIM = {"key": "k", "restart": 0, "native_id": "7", "node": "n", "claimed_at": 1.5, "pid": 9}
RECORD = {
    "key": "k",
    "restart": 0,
    "native_id": "7",
    "node": "n",
    "exit_code": 0,
    "started_at": 1.0,
    "finished_at": 2.0,
}


def submission(control_dir: Path, count: int = 1) -> Submission:
    tasks = tuple(Task(f"k{index}", index, "step") for index in range(count))
    return Submission("gw0123456789abcdef", "step", control_dir, Resources(), tasks)


def launch(**env: str) -> Launch:
    return Launch((CONTAINER, "exec", f"{SCRATCH}/x"), ("sh", "-c", "true"), env, "/ws")


def test_prepare_may_be_repeated(tmp_path: Path) -> None:
    sent = submission(tmp_path / "c", 2)
    for _ in range(2):
        control.prepare(sent, {"k0": launch(), "k1": launch()})
    assert {path.name for path in (tmp_path / "c" / "tasks").iterdir()} == {"0.sh", "1.sh"}
    assert (tmp_path / "c" / "job.sh").read_text().startswith("#!/bin/bash")


def test_control_files_are_for_their_owner_only(tmp_path: Path) -> None:
    control.prepare(submission(tmp_path / "c"), {"k0": launch(SECRET="x")})
    for path in (tmp_path / "c").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_variable_of_a_container_carries_the_prefix_of_the_runtime() -> None:
    assert 'export "${container_prefix}ENV_A"=1' in control.task_script("k", launch(A="1"))


def test_a_name_that_is_no_variable_is_refused() -> None:
    for runtime in ((CONTAINER,), ("env",)):
        with pytest.raises(ValueError, match="environment variable"):
            control.task_script("k", Launch(runtime, ("true",), {"$(id)": ""}, "/ws"))


def test_write_whole_leaves_the_old_file_when_it_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "f"
    control.write_whole(path, "old")
    with pytest.raises(ValueError, match="surrogate"):
        control.write_whole(path, "\ud800")
    assert path.read_text() == "old"


def test_the_highest_restart_counts(tmp_path: Path) -> None:
    for folder, content, suffix in (("claims", CLAIM, ""), ("exits", RECORD, ".json")):
        (tmp_path / folder).mkdir()
        for restart in (9, 10, 2):
            text = json.dumps(content | {"restart": restart})
            (tmp_path / folder / f"3.{restart}{suffix}").write_text(text)
    assert control.read_claims(tmp_path)[3].restart == 10
    assert control.read_exit_records(tmp_path)[3].restart == 10


def test_only_wanted_tasks_are_read(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    for index in range(3):
        (tmp_path / "claims" / f"{index}.0").write_text(json.dumps(CLAIM))
    assert set(control.read_claims(tmp_path, {1, 7})) == {1}


def test_no_directory_means_no_records(tmp_path: Path) -> None:
    assert control.read_claims(tmp_path) == {}
    assert control.read_exit_records(tmp_path) == {}


def test_last_words_that_are_not_utf8_do_not_hide_a_record(tmp_path: Path) -> None:
    (tmp_path / "exits").mkdir()
    text = json.dumps(RECORD | {"exit_code": 255, "runtime_error": "FATAL: X"})
    (tmp_path / "exits" / "0.0.json").write_bytes(text.encode().replace(b"X", b"caf\xe9"))
    assert control.read_exit_records(tmp_path)[0].runtime_error == "FATAL: caf\ufffd"


@given(name=st.text(max_size=8).filter(lambda n: "/" not in n and "\0" not in n))
@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"restart": "x"}', '{"restart": 1}'])
def test_foreign_files_are_skipped(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: str
) -> None:
    directory = tmp_path_factory.mktemp("c")
    (directory / "exits").mkdir()
    for candidate in (name, "².0.json", "0.0.json"):
        if candidate not in ("", ".", ".."):
            (directory / "exits" / os.fsdecode(candidate)).write_text(content)
    assert control.read_exit_records(directory) == {}
