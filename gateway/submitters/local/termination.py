"""Ending a task: TERM to its job script, and KILL to its whole session when that is not enough.

What we did is written beside the task first, so that a process which vanishes without an exit
record can be told from one that we killed.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gateway.submitters.control import write_whole
from gateway.submitters.local.process_table import ProcessId, ProcessTable

KILL_AFTER_S = 10.0
_ROUNDS = 3
"""A process that is forking while its session is listed is met in the next round."""


@dataclass(frozen=True, slots=True)
class Ending:
    """When we asked a task to end, and when we killed it; seconds since the epoch."""

    asked_at: float
    killed_at: float | None = None


def read_ending(control_dir: Path, index: int) -> Ending | None:
    """Return what we did to end a task."""
    try:
        return Ending(**json.loads(_path(control_dir, index).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def end(table: ProcessTable, process: ProcessId, control_dir: Path, index: int, now: float) -> None:
    """Ask a task to end; kill it if it was asked long enough ago.

    Raises
    ------
    OSError
        If what we do cannot be written down. TERM is sent nevertheless, KILL is not.
    """
    ending = read_ending(control_dir, index)
    if ending and now - ending.asked_at >= KILL_AFTER_S:
        _write(control_dir, index, replace(ending, killed_at=ending.killed_at or now))
        _kill_session(table, process)
        return
    _ask(table, process)
    if ending is None:
        _write(control_dir, index, Ending(asked_at=now))


def _ask(table: ProcessTable, process: ProcessId) -> None:
    """Tell the job script, which passes it on; without one, tell what it has left behind."""
    targets = [process.pid] if table.is_alive(process) else table.session(process)
    for pid in targets:
        _send(pid, signal.SIGTERM)


def _kill_session(table: ProcessTable, process: ProcessId) -> None:
    for _ in range(_ROUNDS):
        for pid in table.session(process):
            _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _path(control_dir: Path, index: int) -> Path:
    return control_dir / "endings" / f"{index}.json"


def _write(control_dir: Path, index: int, ending: Ending) -> None:
    path = _path(control_dir, index)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, json.dumps(asdict(ending)))
