"""The disk under a driver: full, read-only or away for a while, as the gateway's host sees it.

Nodes write on: what they cannot do is a misfortune of the task (``troubles.py``).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import UnreachableError
from gateway.submitters import control
from gateway.submitters.base import Submission

CODES = {"full": errno.ENOSPC, "read-only": errno.EROFS, "away": errno.ESTALE}


@dataclass
class Disk:
    """What the control directories and the database lie on.

    Attributes
    ----------
    control
        What is wrong with the control directories, empty if nothing.
    room
        So many files can yet be written on a full disk.
    database
        Whether the database's disk is full.
    """

    control: str = ""
    room: int = 0
    database: bool = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Put this disk below everything that the gateway does with control files."""
        with pytest.MonkeyPatch.context() as patch:
            really_write, really_prepare = control.write_whole, control.prepare
            really_discard = control.discard

            def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
                self._check_write(path)
                really_write(path, text, mode)

            def prepare(submission: Submission, launches: Mapping[str, Any]) -> None:
                if self.control in ("read-only", "away"):
                    raise self._error(submission.control_dir)
                really_prepare(submission, launches)

            def discard(control_dir: Path) -> None:
                if self.control not in ("read-only", "away"):
                    really_discard(control_dir)

            patch.setattr(control, "write_whole", write_whole)
            patch.setattr(control, "prepare", prepare)
            patch.setattr(control, "discard", discard)
            for name in ("read_claims", "claimed", "read_exit_records"):
                patch.setattr(control, name, self._reading(getattr(control, name)))
            yield

    def _reading(self, really: Any) -> Any:
        def read(control_dir: Path, *more: Any) -> Any:
            if self.control == "away":
                raise self._error(control_dir)
            return really(control_dir, *more)

        return read

    def _check_write(self, path: Path) -> None:
        if self.control == "full" and self.room > 0:
            self.room -= 1
        elif self.control:
            raise self._error(path)

    def _error(self, path: Path) -> OSError:
        code = CODES[self.control]
        return OSError(code, os.strerror(code), str(path))

    def check_commit(self) -> None:
        """Refuse what the database is to keep, as SQLite does."""
        if self.database:
            raise UnreachableError("the database does not answer: database or disk is full")
