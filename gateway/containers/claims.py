"""One conversion of an image at a time, over all nodes that share the store.

A claim is a hard link: each contender writes a file of its own and links it to the claim's name;
whose file the name holds is the owner, whatever the answer of ``link(2)`` was (on NFS it can get
lost). The owner touches its file; a claim that was not touched for a while belongs to nobody. All
times are the file server's: they are compared with a file that was touched just now.

The claim only saves work: two owners at once would convert the same image twice, into files of
their own, and the later rename would replace a file by an equal one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.crash_points import CrashPoint, crash_point

HEARTBEAT_S = 10.0
STALE_S = 60.0
_SETTLE_S = 0.2
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a claim; host, boot and pid namespace make ``pid`` unique."""

    node: str
    pid: int
    started: str
    boot: str
    namespace: str

    @classmethod
    def this(cls) -> Owner:
        """Describe this process."""
        pid = os.getpid()
        return cls(os.uname().nodename, pid, _start_ticks(pid), _boot_id(), _pid_namespace())

    @property
    def is_known_dead(self) -> bool:
        """Whether the process is certainly gone; only its own host can tell."""
        if (self.boot, self.namespace) != (_boot_id(), _pid_namespace()) or not self.boot:
            return False
        return _start_ticks(self.pid) != self.started


class Claim:
    """The wish of one process to be the one that converts an image."""

    def __init__(self, store: Path, name: str, *, pause: Callable[[float], None]) -> None:
        self.token = f"{os.uname().nodename}.{os.getpid()}.{secrets.token_hex(4)}"
        self._folder = store / "claims"
        self._path = self._folder / name
        self._own = self._folder / f".{self.token}"
        self._pause = pause
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claim", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._own.write_text(json.dumps(asdict(Owner.this())), encoding="utf-8")
        except OSError:
            self._own.unlink(missing_ok=True)
            raise
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self.held:
            self._path.unlink(missing_ok=True)
            crash_point(CrashPoint.CLAIM_RELEASED)
        self._own.unlink(missing_ok=True)

    @property
    def held(self) -> bool:
        """Whether the claim's name holds our file."""
        return _inode(self._path) == _inode(self._own) is not None

    def take(self) -> bool:
        """Try to become the owner: of a free claim, or of one whose owner is dead.

        Where the file system has no hard links everybody is an owner: work is done twice, not
        wrongly.
        """
        try:
            os.link(self._own, self._path)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return True
        if self.held:
            return True
        if not self._is_abandoned():
            return False
        # Renaming another link of our file over the claim replaces it in one step; of several
        # processes that do so the last one wins, and the others see it after a moment.
        other = self._folder / f".{self.token}.taking"
        os.link(self._own, other)
        crash_point(CrashPoint.CLAIM_REPLACING)
        other.replace(self._path)
        self._pause(_SETTLE_S)
        return self.held

    def owner(self) -> Owner | None:
        """Return who holds the claim, if that can be read."""
        return _read_owner(self._path)

    def _is_abandoned(self) -> bool:
        owner = self.owner()
        if owner and owner.is_known_dead:
            return True
        age = _age(self._path, self._own)
        return age is not None and age > STALE_S

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self._own)


def dead_tokens(store: Path, own: Claim) -> Iterator[str]:
    """Yield the tokens of processes that left something in the store and will not come back."""
    folder, probe = store / "claims", store / "claims" / f".{own.token}"
    if _age(probe, probe) is None:
        return
    tokens = {entry.name for entry in _entries(store / "partial")}
    tokens |= {entry.name[1:] for entry in _entries(folder) if entry.name.startswith(".")}
    for token in sorted(tokens - {own.token}):
        path = folder / f".{token}"
        owner, age = _read_owner(path), _age(path, probe)
        if age is None or age > 10 * STALE_S or (owner is not None and owner.is_known_dead):
            yield token


def _age(path: Path, probe: Path) -> float | None:
    """Return how many seconds ago a file was touched, by the file server's clock."""
    try:
        os.utime(probe)
        return _touched(probe) - _touched(path)
    except OSError:
        return None


def _touched(path: Path) -> float:
    # Opening makes a NFS client ask the server; a bare stat may be answered from a cache.
    with path.open("rb") as handle:
        return os.fstat(handle.fileno()).st_mtime


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        with path.open("rb") as handle:
            status = os.fstat(handle.fileno())
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read_owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _start_ticks(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, or nothing if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
