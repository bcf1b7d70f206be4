"""Processes that take turns."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from gateway.workspace.turns import take_turns


def nobody() -> None:
    pytest.fail("there is nobody to wait for")


def test_one_after_the_other(tmp_path: Path) -> None:
    """The second one says that it waits, and goes on when the first has ended or died."""
    log = tmp_path / "log"
    path = tmp_path / "new" / "turn"
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with take_turns(path, nobody):
            os.write(ready[1], b".")
            os.read(go[0], 1)
            log.write_text("first\n")
            os._exit(0)
    os.read(ready[0], 1)
    with take_turns(path, lambda: os.write(go[1], b".")), log.open("a") as file:
        file.write("second\n")
    os.waitpid(child, 0)
    assert log.read_text() == "first\nsecond\n"


def test_where_there_are_no_locks_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with take_turns(tmp_path / "turn", nobody):
        assert (tmp_path / "turn").exists()
