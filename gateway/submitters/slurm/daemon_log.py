"""What slurmd and slurmstepd write into a task's ``logs/INDEX.slurm``.

Where memory is watched by sampling instead of control groups, only this text says why a job was
killed: its state is FAILED with signal 9 (JobAcctGatherParams=OverMemoryKill, Slurm 24.11 and
26.05).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from gateway.vocabulary.evidence import Observation, SchedulerState

_TAIL = 8192
_KILLED = 9
_MEMORY = re.compile(r"^.*(?:exceeded (?:job |step )?memory limit|oom[_-]kill).*$", re.I | re.M)


def explained(said: Observation, control_dir: Path, index: int) -> Observation:
    """Return the observation, with the memory limit as the reason of a kill if it was that."""
    if said.state is not SchedulerState.FAILED or said.signal != _KILLED:
        return said
    words = memory_words(_tail(control_dir / "logs" / f"{index}.slurm"))
    if not words:
        return said
    return replace(said, state=SchedulerState.OUT_OF_MEMORY, reason=f"{said.reason}: {words}")


def memory_words(text: str) -> str:
    """Return the line that says that a limit of memory was passed, or ``""``."""
    match = _MEMORY.search(text)
    return match[0].strip() if match else ""


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
