"""Reading event logs again and again, each byte once.

A log that was replaced or cut is read from its beginning; so is every log by a new process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.submitters.htcondor.event_log import LogTrace

_CHUNK = 8 * 1024 * 1024


@dataclass(slots=True)
class _Place:
    """How far a log has been read."""

    inode: int
    offset: int = 0
    trace: LogTrace = field(default_factory=LogTrace)


class LogReader:
    """The event logs of the submissions that are being watched."""

    def __init__(self) -> None:
        self._places: dict[Path, _Place] = {}

    def read(self, path: Path, year: int) -> LogTrace:
        """Return what a log adds up to; one that does not exist is empty.

        Raises
        ------
        OSError
            If it cannot be read for another reason.
        """
        try:
            with path.open("rb") as log:
                status = os.fstat(log.fileno())
                place = self._place(path, status)
                log.seek(place.offset)
                _read_on(place, log.read, year)
        except FileNotFoundError:
            self._places.pop(path, None)
            return LogTrace()
        return place.trace

    def keep(self, paths: set[Path]) -> None:
        """Forget all other logs."""
        self._places = {path: place for path, place in self._places.items() if path in paths}

    def _place(self, path: Path, status: os.stat_result) -> _Place:
        place = self._places.get(path)
        if place is None or place.inode != status.st_ino or place.offset > status.st_size:
            place = self._places[path] = _Place(status.st_ino)
        return place


def _read_on(place: _Place, read: Callable[[int], bytes], year: int) -> None:
    rest = b""
    while data := read(_CHUNK):
        used = place.trace.add(rest + data, year)
        rest = (rest + data)[used:]
        place.offset += used
