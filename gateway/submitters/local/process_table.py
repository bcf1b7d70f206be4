"""What the process table of this host says; knows nothing of jobs.

A process number alone names nothing for long. Number, start time (in clock ticks since the boot),
boot id and space of numbers together name one process for ever (proc(5), ``/proc/pid/stat``, field
22).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GONE = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Host:
    """The place where a process number means something.

    Parameters
    ----------
    boot_id
        The boot, and after a slash the space of process numbers (pid_namespaces(7)), if known: a
        container may have the name of its host, and sees none of its processes.
    """

    node: str
    boot_id: str

    def is_same(self, other: Host) -> bool:
        """Whether what is seen here is what was seen there."""
        return not (self.is_apart_from(other) or self.was_restarted(other))

    def is_apart_from(self, other: Host) -> bool:
        """Whether processes of one cannot be seen from the other while both may live."""
        (boot, _, space), (their_boot, _, their_space) = (
            each.boot_id.partition("/") for each in (self, other)
        )
        other_space = bool(space and their_space) and space != their_space
        return self.node != other.node or (boot == their_boot and other_space)

    def was_restarted(self, other: Host) -> bool:
        """Whether one is the other before or after a boot."""
        boots = {each.boot_id.partition("/")[0] for each in (self, other)}
        return self.node == other.node and len(boots) > 1


@dataclass(frozen=True, slots=True)
class Stat:
    """The part of ``/proc/pid/stat`` that says who a process is and whether it lives."""

    pid: int
    session: int
    start_ticks: int
    alive: bool


def parse_stat(text: str) -> Stat | None:
    """Read ``/proc/pid/stat``; the command's name in it may hold blanks and brackets."""
    number, _, _ = text.partition(" ")
    fields = text.rpartition(")")[2].split()
    try:
        return Stat(int(number), int(fields[3]), int(fields[19]), fields[0] not in _GONE)
    except (ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of one boot of one host, as ``job.sh`` writes it into its claim."""

    host: Host
    pid: int
    start_ticks: int

    @classmethod
    def parse(cls, text: str) -> ProcessId | None:
        """Read ``node:pid:ticks:boot``."""
        node, *numbers = text.split(":")
        try:
            pid, ticks, boot = numbers
            return cls(Host(node, boot), int(pid), int(ticks))
        except ValueError:
            return None


class ProcessTable:
    """The processes of this host that we may look at."""

    def __init__(self, root: Path = Path("/proc"), node: str | None = None) -> None:
        self._root = root
        boot_id = (root / "sys/kernel/random/boot_id").read_text().strip()
        with suppress(OSError):
            boot_id += f"/{(root / 'self/ns/pid').stat().st_ino}"
        self.host = Host(node or os.uname().nodename, boot_id)

    def stat(self, pid: int) -> Stat | None:
        """Return what a process is, or ``None`` if there is none of that number."""
        try:
            return parse_stat((self._root / str(pid) / "stat").read_text(errors="replace"))
        except OSError:
            return None

    def is_alive(self, process: ProcessId) -> bool:
        """Say whether exactly this process lives."""
        if not process.host.is_same(self.host):
            return False
        stat = self.stat(process.pid)
        return stat is not None and stat.alive and stat.start_ticks == process.start_ticks

    def session(self, leader: ProcessId) -> list[int]:
        """Return the living processes of a session, also of one whose leader is gone.

        While a session lives, the kernel gives its number to no other process (credentials(7)).
        """
        now = self.stat(leader.pid)
        if not leader.host.is_same(self.host) or (now and now.start_ticks != leader.start_ticks):
            return []
        stats = (self.stat(pid) for pid in self._pids())
        return [stat.pid for stat in stats if stat and stat.alive and stat.session == leader.pid]

    def commands(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield number and argv of every process that shows its argv."""
        for pid in self._pids():
            try:
                text = (self._root / str(pid) / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if text:
                yield pid, tuple(text.rstrip("\0").split("\0"))

    def _pids(self) -> Iterator[int]:
        return (int(name) for name in os.listdir(self._root) if name.isdecimal())
