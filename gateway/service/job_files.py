"""Remove scripts, records and logs of jobs that nobody looks at any more.

They lie in one directory per submission. The directories that are there are the list of what may
go, so what is cut short is done by the next call. Workspaces are never touched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import GatewayError, UsageError
from gateway.store.store import Store
from gateway.vocabulary.records import Event, EventKind
from gateway.workspace.listing import tree_bytes
from gateway.workspace.removal import remove_tree

LEAST_AGE_S = 86_400
"""Longer than anything waits for evidence that control files could still bring."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """What went, or would go.

    Parameters
    ----------
    submissions
        Keys of the submissions.
    freed
        Bytes that they take, or took, on the disk.
    kept
        How many directories stay.
    failed
        Why a directory could not be removed, by its path.
    """

    submissions: list[str]
    freed: int
    kept: int
    failed: dict[str, str] = field(default_factory=dict)


class JobFiles:
    """Control directories of submissions that are over, of all users.

    Parameters
    ----------
    root
        Directory of control directories.
    """

    def __init__(self, store: Store, root: Path, clock: Callable[[], float]) -> None:
        self._store = store
        self._root = root
        self._clock = clock

    def tidy(self, older_than_s: float, *, dry_run: bool = False) -> Tidied:
        """Remove those whose workflows have all ended so many seconds ago.

        What the database does not know is left alone: it may be another gateway's.

        Raises
        ------
        UsageError
            If that is less than a day.
        """
        if older_than_s < LEAST_AGE_S:
            raise UsageError(
                "what ended less than a day ago is kept", hint="give --older-than 1d or more"
            )
        there = self._names()
        with self._store.read() as transaction:
            over = transaction.submissions.over(there, self._clock() - older_than_s)
        gone: list[str] = []
        failed: dict[str, str] = {}
        freed = 0
        for key in over:
            try:
                freed += tree_bytes(self._root / key) if dry_run else self._remove(key)
            except (GatewayError, OSError) as error:
                failed[str(self._root / key)] = str(error)
            else:
                gone.append(key)
        if gone and not dry_run:
            self._note(gone)
        return Tidied(gone, freed, len(there) - len(gone), failed)

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._root))
        except FileNotFoundError:
            return []

    def _remove(self, key: str) -> int:
        """Remove a directory; return the allocated bytes.

        The job script goes first: a copy of the job that comes all the same runs nothing.
        """
        (self._root / key / "job.sh").unlink(missing_ok=True)
        return remove_tree(self._root, key)

    def _note(self, keys: Collection[str]) -> None:
        words = "scripts, records and logs of its jobs were removed (gateway tidy)"
        with self._store.write() as transaction:
            for workflow_id in transaction.submissions.workflows(keys):
                transaction.events.add(Event(self._clock(), EventKind.REQUEST, words, workflow_id))
