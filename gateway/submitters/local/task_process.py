"""The processes that run tasks, found by their command lines.

Every job script is started with words that say what it was given. So what is in use is read from
the process table itself: there is no index that could be stale after a crash, and gateways that
share a host see each other's jobs of the same cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.submitters.local.process_table import ProcessTable
from gateway.vocabulary.resources import Resources


@dataclass(frozen=True, slots=True)
class TaskProcess:
    """A process that is, or in the next moment becomes, the job script of a task."""

    pid: int
    control_dir: str
    index: int
    cluster: str
    cpus: int
    memory_mib: int


def marks(cluster: str, resources: Resources) -> tuple[str, str, str]:
    """Return the words after the restart count, for ``parse_task`` and for readers of ``ps``."""
    return (
        f"cluster={cluster}",
        f"cpus={resources.cpus or 1}",
        f"memory_mib={resources.memory_mib or 0}",
    )


def parse_task(pid: int, argv: Sequence[str]) -> TaskProcess | None:
    """Recognise a job script, also one that ``setsid`` has not reached yet."""
    try:
        script, control_dir, index, native, restart, cluster, cpus, memory = argv[-8:]
        if (script, native, restart) != (f"{control_dir}/job.sh", "local", "0"):
            return None
        return TaskProcess(
            pid,
            control_dir,
            int(index),
            cluster.removeprefix("cluster="),
            int(cpus.removeprefix("cpus=")),
            int(memory.removeprefix("memory_mib=")),
        )
    except ValueError:
        return None


def task_processes(table: ProcessTable) -> Iterator[TaskProcess]:
    """Yield the job scripts of this host that we started, on any cluster."""
    for pid, argv in table.commands():
        if task := parse_task(pid, argv):
            yield task
