"""Lines that break in the middle: what is safe is repeated, what is not is not."""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.client.http import Timeouts
from gateway.client.transfers import copy_out
from gateway.errors import ConflictError, SiteError, UnreachableError
from gateway.vocabulary.states import WorkflowStatus
from tests.client.conftest import SPEC, Cutter, Served

Make = Callable[..., tuple[Cutter, Client]]
BIG = os.urandom(3_000_000)


@pytest.fixture
def workflow(served: Served) -> str:
    with served.client() as client:
        found = client.create(SPEC, "w").id
        client.upload_as(found, [("big", served.write("big", BIG))])
        return found


def ranges(cutter: Cutter) -> list[int]:
    text = b"".join(cutter.requests)
    return [int(begin) for begin in re.findall(rb"(?i)\r\nrange: bytes=(\d+)-", text)]


def test_a_download_goes_on_where_it_broke(cutter: Make, workflow: str) -> None:
    line, client = cutter(700_000, 900_000, -1, 40)
    out = io.BytesIO()
    assert client.read(workflow, "big", out) == len(BIG)
    assert out.getvalue() == BIG
    asked = ranges(line)
    assert asked == sorted(asked)
    assert asked[0] > 600_000
    assert asked[-1] > 1_400_000


def test_a_file_that_changed_meanwhile_is_fetched_from_its_begin(
    cutter: Make, served: Served, workflow: str, tmp_path: Path
) -> None:
    with served.client() as other:
        new = os.urandom(2_000_000)
        replacements = [served.write("new", new), served.write("newer", BIG)]
        line, client = cutter(700_000)
        line.on_cut = lambda: other.upload_as(workflow, [("big", replacements[0])])
        with (tmp_path / "out").open("w+b") as out:
            assert copy_out(client.wire, workflow, "big", out, lambda _: None) == len(new)
        assert (tmp_path / "out").read_bytes() == new
        line, client = cutter(700_000)
        line.on_cut = lambda: other.upload_as(workflow, [("big", replacements[1])])
        with pytest.raises(SiteError, match="changed while"):
            client.read(workflow, "big", io.BytesIO())


def test_a_download_that_fails_for_good_leaves_nothing(
    cutter: Make, workflow: str, tmp_path: Path
) -> None:
    line, client = cutter(*[-1] * 50)
    with pytest.raises(UnreachableError, match="gave no answer"):
        client.download(workflow, ["big"], tmp_path)
    assert list(tmp_path.glob("*big*")) == []
    assert len(line.requests) == 4


def test_an_upload_is_repeated_until_it_is_there(
    cutter: Make, served: Served, workflow: str
) -> None:
    line, client = cutter(-1, -1)
    client.upload_as(workflow, [("again", served.write("again", BIG))])
    assert len(line.requests) == 3
    assert [each.size for each in client.ls(workflow, "again")] == [len(BIG)]


def test_a_workflow_whose_answer_was_lost_is_created_once(cutter: Make, served: Served) -> None:
    line, client = cutter(-1, 10)
    created = client.create(SPEC, "once")
    assert created.full_name == "once.1"
    assert len(line.requests) == 3
    assert [each.id for each in client.list()] == [created.id]


def test_a_run_whose_answers_were_lost_is_started_once(cutter: Make, served: Served) -> None:
    with served.client() as other:
        created = other.create(SPEC, "once", key="k")
    line, client = cutter(-1, 10)
    started = client.start_once(created.id)
    assert len(line.requests) == 3
    assert started.status is not WorkflowStatus.CREATED
    assert client.start_once(created.id).id == created.id
    with pytest.raises(ConflictError):
        client.start(created.id)


@pytest.mark.parametrize(
    "ask",
    [
        lambda c, w: c.start(w),
        lambda c, w: c.stop(w),
        lambda c, w: c.delete(w),
        lambda c, w: c.mv(w, "big", "bigger"),
        lambda c, w: c.rm(w, ["big"]),
        lambda c, w: c.prune(w),
        lambda c, w: c.add_secrets({"A": "b"}),
    ],
)
def test_what_may_have_happened_is_not_done_twice(
    cutter: Make, workflow: str, ask: Callable[[Client, str], object]
) -> None:
    line, client = cutter(-1, -1, -1)
    with pytest.raises(UnreachableError) as lost:
        ask(client, workflow)
    assert len(line.requests) == 1
    assert "not known" in lost.value.hint


def test_questions_are_repeated(cutter: Make, served: Served, workflow: str) -> None:
    line, client = cutter(-1, 100, -1)
    assert client.status(workflow).status is WorkflowStatus.CREATED
    assert len(line.requests) == 4


def test_a_server_that_is_not_there_is_asked_a_few_times_and_told_so(served: Served) -> None:
    client = Client.tcp("http://127.0.0.1:9", served.token)
    rests: list[float] = []
    client.wire.sleep = rests.append
    with pytest.raises(UnreachableError, match="cannot be reached"), client:
        client.start("w")
    assert rests == [0.3, 1.0, 3.0]


def test_a_server_that_says_nothing_is_given_up(workflow: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client.tcp(url, "t", timeouts=Timeouts(connect=1.0, read=0.05)) as client:
            client.wire.sleep = lambda _: None
            with pytest.raises(UnreachableError, match="gave no answer"):
                client.status(workflow)
