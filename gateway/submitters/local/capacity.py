"""How many more tasks this host takes; pure but for looks at the host's size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.submitters.local.task_process import TaskProcess
from gateway.vocabulary.resources import Resources

_MEMORY_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Capacity:
    """Cores and memory, of a whole host, of a task or of what is left."""

    cpus: int
    memory_mib: int

    def minus(self, other: Capacity) -> Capacity:
        """Return what is left; never below nothing."""
        return Capacity(max(0, self.cpus - other.cpus), max(0, self.memory_mib - other.memory_mib))

    def fits(self, task: Capacity) -> int:
        """Return how many tasks of one shape fit."""
        by_cpus = self.cpus // max(1, task.cpus)
        return min(by_cpus, self.memory_mib // task.memory_mib) if task.memory_mib else by_cpus


def needed(resources: Resources) -> Capacity:
    """Return what one task takes: a core at least; memory only if it says how much."""
    return Capacity(resources.cpus or 1, resources.memory_mib or 0)


def in_use(tasks: Iterable[TaskProcess], cluster: str) -> Capacity:
    """Return what the running tasks of a cluster take.

    A job script shows up more than once while it has subshells; a task counts once.
    """
    once = {(task.control_dir, task.index): task for task in tasks if task.cluster == cluster}
    return Capacity(
        sum(task.cpus for task in once.values()), sum(task.memory_mib for task in once.values())
    )


def host_capacity(
    cpus: int | None, memory_mib: int | None, meminfo: Path = Path("/proc/meminfo")
) -> Capacity:
    """Return what the site allows; default: the cores that we may use, 80 % of the memory."""
    if memory_mib is None:
        memory_mib = int(total_memory_mib(meminfo.read_text()) * _MEMORY_SHARE)
    return Capacity(cpus or len(os.sched_getaffinity(0)), memory_mib)


def total_memory_mib(meminfo: str) -> int:
    """Read ``MemTotal`` of ``/proc/meminfo``, which is in KiB (proc(5))."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def scratch_mib() -> int:
    """Return the size of the filesystem on which jobs have their scratch directories."""
    room = os.statvfs(tempfile.gettempdir())
    return room.f_blocks * room.f_frsize // (1024 * 1024)
