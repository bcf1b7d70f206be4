"""A Slurm cluster as its own commands describe it: version, partitions, accounting, limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.service.doctor.check import Check, Level, fail, ok, warn
from gateway.service.doctor.limits import seconds_of, walltime
from gateway.service.doctor.slurm_limits import slurm_limits
from gateway.service.doctor.tools import Endpoint, Run, absent, first_line
from gateway.site.model import SlurmCluster
from gateway.vocabulary.units import show_seconds

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
PARTITIONS = ("sinfo", "--noheader", "--format=%P|%a|%l|%F")
ACCOUNTING = ("sacct", "--noheader", "--starttime=now-60seconds", "--format=JobID")
_LOAD = "load the scheduler's module, or set `ssh` to a login node that has it"
_OFF = ("accounting storage is disabled", "supported accounting_storage")


def slurm(name: str, settings: SlurmCluster, endpoint: Endpoint) -> Iterator[Check]:
    """Examine one cluster; about ten calls, all through its gate."""
    missing = absent(endpoint.run, COMMANDS)
    if missing:
        found = missing if isinstance(missing, str) else f"not on PATH: {', '.join(missing)}"
        yield fail(f"cluster {name}", found, _LOAD)
        return
    yield ok(f"cluster {name}", first_line(endpoint.run(("sbatch", "--version"))))
    answer = endpoint.run(PARTITIONS)
    if not answer.ok:
        fix = "try `sinfo` by hand; is the controller up?"
        yield fail(f"cluster {name}: controller", answer.complaint, fix)
        return
    yield partitions(name, settings, parse_partitions(answer.stdout))
    yield _accounting(name, settings, endpoint.run)
    yield _limits(name, settings, endpoint)
    yield from slurm_limits(name, settings, endpoint.run)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its longest walltime in seconds, ``None`` for any, and its nodes."""

    name: str
    is_default: bool
    up: bool
    longest_s: int | None
    nodes: str

    def __str__(self) -> str:
        limit = f"up to {show_seconds(self.longest_s)}" if self.longest_s else "any walltime"
        return f"{self.name} ({limit})"


def parse_partitions(stdout: str) -> list[Partition]:
    """Read ``sinfo``: name with ``*`` at the default one, state, walltime, nodes A/I/O/T."""
    found = []
    for line in stdout.splitlines():
        fields = line.strip().split("|")
        if len(fields) != 4:
            continue
        name, state, limit, nodes = fields
        found.append(
            Partition(name.rstrip("*"), name.endswith("*"), state == "up", seconds_of(limit), nodes)
        )
    return found


def partitions(name: str, settings: SlurmCluster, known: list[Partition]) -> Check:
    """Compare what the site file asks for with what there is."""
    title = f"cluster {name}: partitions"
    wanted = settings.partition
    chosen = [p for p in known if (p.name == wanted if wanted else p.is_default)]
    names = ", ".join(map(str, known[:8])) or "none"
    if not chosen:
        missing = f"no partition {wanted!r}" if wanted else "no default partition"
        return fail(title, f"{missing}; there is: {names}", f"set `partition` of cluster {name}")
    mine = chosen[0]
    if not mine.up:
        return warn(title, f"{mine.name} is down; there is: {names}", "choose another, or wait")
    judged = walltime(title, str(mine), mine.longest_s, settings, name)
    return ok(title, names) if judged.level is Level.OK else judged


def _accounting(name: str, settings: SlurmCluster, run: Run) -> Check:
    title = f"cluster {name}: accounting"
    if settings.accounting is False:
        return ok(title, "not asked: `accounting: false`")
    answer = run(ACCOUNTING)
    if answer.ok:
        return ok(title, "sacct answers")
    words = answer.stderr + answer.stdout
    off = answer.exit_status in (None, 126, 127) or any(each in words for each in _OFF)
    if off and settings.accounting is None:
        return ok(title, "there is none; ends of jobs are known from exit records and the queue")
    if off:
        return fail(title, answer.complaint, "remove `accounting: true` from the site file")
    fix = "while it does not answer, a job that has left the queue without a record stays open"
    return warn(title, answer.complaint, fix)


def _limits(name: str, settings: SlurmCluster, endpoint: Endpoint) -> Check:
    title = f"cluster {name}: limits"
    most = endpoint.cluster.submitter.limits().tasks_per_submission
    wanted = settings.max_tasks_per_submission
    if most < wanted:
        return ok(title, f"{most} tasks in one array, by Slurm's MaxArraySize")
    return ok(title, f"{most} tasks in one array, by the site file; Slurm allows as many")
