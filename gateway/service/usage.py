"""What a user has used: processor time and disk.

Asked at every ``ping`` of a client, so nothing is measured while it waits: workspaces are measured
in the background, those of ended runs once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import GatewayError
from gateway.store.store import Store
from gateway.workspace.listing import tree_bytes

ROUND_S = 60.0
MOVING_S = 600.0
SETTLED_S = 6 * 3600.0
"""Ages of a size at which it is measured again, of a run under way and of an ended one, where
only a person changes files."""
PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Used:
    """What a user has used."""

    cpu_s: float = 0.0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Size:
    bytes: int
    at: float
    moves: bool

    def is_fresh(self, now: float, *, moves: bool) -> bool:
        """Say whether it need not be measured again: the end of a run is a reason to."""
        age = now - self.at
        return age < (MOVING_S if self.moves else SETTLED_S) and moves == self.moves


class UsageBook:
    """Figures of all users, kept in memory; safe for threads."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: dict[str, dict[str, _Size]] = {}
        self._cpu_s: dict[str, float] = {}
        self._rounds: dict[str, float] = {}
        self._busy: dict[str, threading.Thread] = {}

    def of(self, owner: str) -> Used:
        """Return what is known of a user now, and see to it that more will be."""
        with self._lock:
            round_ = self._start_round(owner)
        if round_ is not None:
            round_.join(PATIENCE_S)
        with self._lock:
            sizes = self._sizes.get(owner, {}).values()
            return Used(self._cpu_s.get(owner, 0.0), sum(size.bytes for size in sizes))

    def sizes(self, owner: str) -> dict[str, int]:
        """Return the known sizes of a user's workspaces in bytes, by their paths."""
        self.of(owner)
        with self._lock:
            return {path: size.bytes for path, size in self._sizes.get(owner, {}).items()}

    def _start_round(self, owner: str) -> threading.Thread | None:
        now = self._clock()
        if owner in self._busy or now - self._rounds.get(owner, -ROUND_S) < ROUND_S:
            return None
        self._rounds[owner] = now
        round_ = threading.Thread(target=self._round, args=(owner,), name="usage", daemon=True)
        self._busy[owner] = round_
        round_.start()
        return round_

    def _round(self, owner: str) -> None:
        try:
            self.measure(owner)
        except GatewayError:
            pass
        finally:
            with self._lock:
                del self._busy[owner]

    def measure(self, owner: str) -> int:
        """Bring the figures of a user up to date; return how many workspaces were measured."""
        with self._store.read() as transaction:
            cpu_s = transaction.usage.cpu_s(owner)
            workspaces = transaction.usage.workspaces(owner)
        with self._lock:
            self._cpu_s[owner] = cpu_s
            known = {path: size for path, size in self._sizes.get(owner, {}).items()
                     if path in workspaces}  # fmt: skip
            self._sizes[owner] = known
        measured = 0
        for path, moves in workspaces.items():
            size = known.get(path)
            if size is not None and size.is_fresh(self._clock(), moves=moves):
                continue
            found = _bytes(Path(path))
            measured += 1
            with self._lock:
                known[path] = _Size(found, self._clock(), moves)
        return measured


def _bytes(root: Path) -> int:
    """Return the allocated bytes of a workspace; one that is being removed has none."""
    try:
        return tree_bytes(root)
    except (GatewayError, OSError):
        return 0


def show_cpu_time(seconds: float) -> str:
    """Write processor time as REANA does: ``2h 3m 4s``, ``0s``."""
    minutes, secs = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (secs, "s")]
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
