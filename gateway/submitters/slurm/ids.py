"""Job ids as Slurm writes them: ``12``, ``12_3``, ``12_[0-4,7%2]``.

Every submission is a job array, also of one task: its tasks then have the same form of id
everywhere, and ``scancel 12_[0]`` never hits a task that was not meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ID = re.compile(r"(\d+)(?:_(?:(\d+)|\[([^\]]*)\]))?")
_PIECE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


@dataclass(frozen=True, slots=True)
class JobId:
    """An array, or some of its tasks.

    ``tasks`` is ``None`` for the whole array, or for what Slurm did not write out: rows that
    name tasks one by one know better.
    """

    array: str
    tasks: tuple[range, ...] | None = None

    @property
    def only_task(self) -> int | None:
        """The index of the task, if it names exactly one."""
        if self.tasks is None or len(self.tasks) != 1 or len(self.tasks[0]) != 1:
            return None
        return self.tasks[0][0]

    def covers(self, index: int) -> bool:
        """Whether the task may be among those named."""
        return self.tasks is None or any(index in piece for piece in self.tasks)


def parse_job_id(text: str) -> JobId | None:
    """Read an id; ``None`` for anything else, such as a job step or a part of a het job."""
    match = _ID.fullmatch(text.strip())
    if match is None:
        return None
    array, task, ranges = match.groups()
    if task is not None:
        return JobId(array, (range(int(task), int(task) + 1),))
    return JobId(array, _ranges(ranges) if ranges is not None else None)


def _ranges(text: str) -> tuple[range, ...] | None:
    """Read ``0-4,7%2``; ``None`` when it was cut off (``0-4,...``) or is not understood."""
    pieces = []
    for piece in text.partition("%")[0].split(","):
        match = _PIECE.fullmatch(piece)
        if match is None:
            return None
        first, last, step = (int(number) if number else None for number in match.groups())
        assert first is not None
        pieces.append(range(first, (first if last is None else last) + 1, step or 1))
    return tuple(pieces)


def array_of(native_id: str) -> str:
    """Return the id of the array that a task's id, as a job script writes it, belongs to."""
    return native_id.partition("_")[0]


def write_tasks(array: str, indices: Iterable[int]) -> str:
    """Write the id of some tasks of an array: ``12_[0-2,5]``."""
    pieces: list[tuple[int, int]] = []
    for index in sorted(set(indices)):
        if pieces and pieces[-1][1] == index - 1:
            pieces[-1] = (pieces[-1][0], index)
        else:
            pieces.append((index, index))
    written = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pieces)
    return f"{array}_[{written}]"
