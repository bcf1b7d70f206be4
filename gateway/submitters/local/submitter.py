"""The local adapter: jobs are sessions of this host and outlive the gateway."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.site.model import LocalCluster
from gateway.submitters import control
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    ActOutcome,
    Backpressure,
    FindOutcome,
    Found,
    Limits,
    Observed,
    ObserveOutcome,
    Submission,
    SubmitOutcome,
    Submitted,
    TaskKey,
    Unclear,
    Unreachable,
)
from gateway.submitters.local import launcher
from gateway.submitters.local.capacity import host_capacity, in_use, needed
from gateway.submitters.local.observation import Life, Seen, observe_task
from gateway.submitters.local.process_table import Host, ProcessId, ProcessTable
from gateway.submitters.local.refusal import refusal
from gateway.submitters.local.task_process import task_processes
from gateway.submitters.local.termination import end, read_ending
from gateway.transport.base import Failure
from gateway.vocabulary.evidence import Claim, Observation
from gateway.vocabulary.resources import Resources


class LocalSubmitter:
    """One host as a cluster.

    Cores and memory are counted, so that tasks wait for room; the walltime is enforced by the job
    script. Memory and disk are not enforced: a task that takes more than it asked for is not
    stopped. Jobs live as long as the host lets a user's processes live: a service manager must
    be told not to end them with the gateway (systemd: ``KillMode=process``).

    Parameters
    ----------
    name
        Of the cluster in the site file. Gateways that share a host and a name share the room.
    clock
        Seconds since the epoch.
    table
        The processes of this host.
    environ
        What the environment of jobs is chosen from; default: that of this process.
    """

    def __init__(
        self,
        name: str,
        site: LocalCluster,
        clock: Callable[[], float],
        *,
        table: ProcessTable | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._site = site
        self._clock = clock
        self._table = table or ProcessTable()
        self._environ = os.environ if environ is None else environ
        self._here = self._table.host
        self._capacity = host_capacity(site.cpus, site.memory)

    def submit(self, submission: Submission) -> SubmitOutcome:
        """Start all tasks if there is room for all of them."""
        room = self._fitting(submission.resources)
        if room < len(submission.tasks):
            return Backpressure(f"{self._here.node} has room for {room} such tasks now", room)
        try:
            launcher.write_started(submission.control_dir, self._here)
        except OSError as error:
            return Backpressure(f"cannot write {submission.control_dir}: {error.strerror}")
        result = launcher.start(submission, self._name, self._environ)
        if result.failure is Failure.NOT_ATTEMPTED or result.exit_status == launcher.NO_SETSID:
            return Backpressure(f"jobs cannot be started on {self._here.node}: {result.complaint}")
        if not result.ok:
            return Unclear(result.complaint)
        return Submitted(submission.key, where=self._here.node)

    def find(self, submission: Submission, since: float) -> FindOutcome:
        """Look for records of its tasks, then for its processes on the host that started it."""
        directory = submission.control_dir
        try:
            started = launcher.read_started(directory)
            # The process table comes first: who is gone by then has left a record.
            starting = any(str(directory) in argv for _, argv in self._table.commands())
            recorded = _has_records(directory)
        except OSError as error:
            return Unreachable(f"cannot read {directory}: {error.strerror}")
        if recorded:
            where = started.node if started else ""
            return Found(submission.key, where, said="a job script has claimed a task")
        if starting:
            return Unreachable(f"{submission.key} is being started")
        if started and started.is_apart_from(self._here):
            return Unreachable(
                f"{submission.key} was started on {started.node}, "
                f"whose processes cannot be seen from {self._here.node}"
            )
        return Absent()

    def glance(self, active: Sequence[ActiveSubmission]) -> Mapping[TaskKey, Observation]:
        """Return what records and the process table say."""
        seen: dict[TaskKey, Observation] = {}
        now = self._clock()
        for submission in active:
            # What cannot be read now is read later.
            with suppress(OSError):
                for index, task in self._look(submission):
                    observation = observe_task(task, self._here, now)
                    if observation:
                        seen[submission.open_tasks[index]] = observation
        return seen

    def observe(self, active: Sequence[ActiveSubmission]) -> ObserveOutcome:
        """As ``glance``; the process table is all there is to ask."""
        return Observed(self.glance(active), absence_counts=all(map(_readable, active)))

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        """Send TERM; in a later call, 10 s after the first, KILL."""
        out_of_reach: set[str] = set()
        try:
            for submission in active:
                out_of_reach |= self._end_tasks(submission)
        except OSError as error:
            return Unreachable(f"cannot write down what is ended: {error}")
        if out_of_reach:
            hosts = ", ".join(sorted(out_of_reach))
            return Unreachable(f"runs on {hosts}, out of reach from {self._here.node}")
        return Acknowledged()

    def submission_id(self, task_id: str) -> str:
        """Return nothing: all copies of a task go by the submission's key."""
        del task_id
        return ""

    def limits(self) -> Limits:
        """Return the number of cores: every task takes one at least."""
        most = min(self._site.max_tasks_per_submission, self._capacity.cpus)
        return Limits(tasks_per_submission=max(1, most))

    def room(self, resources: Resources) -> int:
        """Return how many such tasks could start now."""
        return self._fitting(resources)

    def refusal(self, resources: Resources) -> str | None:
        """Refuse what is larger than the host, and the words of batch systems."""
        return refusal(resources, self._capacity, self._here.node)

    def _fitting(self, resources: Resources) -> int:
        used = in_use(task_processes(self._table), self._name)
        return self._capacity.minus(used).fits(needed(resources))

    def _look(self, submission: ActiveSubmission) -> Iterator[tuple[int, Seen]]:
        """Read processes before exit records: who is gone by then has written his."""
        directory, wanted = submission.control_dir, submission.open_tasks
        claims = control.read_claims(directory, wanted)
        starting = set[int]()
        if len(claims) < len(wanted):
            starting = self._starting(submission)
            claims = control.read_claims(directory, wanted)
        alive = {index for index, claim in claims.items() if self._lives(claim)}
        records = control.read_exit_records(directory, wanted)
        started_on = self._started_on(submission)
        for index in wanted:
            claim, record = claims.get(index), records.get(index)
            life = (
                Life.ALIVE if index in alive else Life.STARTING if index in starting else Life.GONE
            )
            if claim and record is None and life is not Life.ALIVE:
                life = self._left_behind(claim)
            if claim and not claim.native_id:
                # Claimed, by whom cannot be read yet.
                life = Life.STARTING
            killed = life is Life.GONE and _killed_by_us(directory, index)
            yield index, Seen(claim, record, started_on, life, killed)

    def _starting(self, submission: ActiveSubmission) -> set[int]:
        tasks = task_processes(self._table)
        return {task.index for task in tasks if task.control_dir == str(submission.control_dir)}

    def _lives(self, claim: Claim) -> bool:
        process = ProcessId.parse(claim.native_id)
        return process is not None and self._table.is_alive(process)

    def _left_behind(self, claim: Claim) -> Life:
        process = ProcessId.parse(claim.native_id)
        return Life.ORPHANED if process and self._table.session(process) else Life.GONE

    def _started_on(self, submission: ActiveSubmission) -> Host | None:
        try:
            return launcher.read_started(submission.control_dir)
        except OSError:
            return Host(submission.where, "") if submission.where else None

    def _end_tasks(self, submission: ActiveSubmission) -> set[str]:
        """End the open tasks; return the hosts of those that are out of reach."""
        directory, wanted = submission.control_dir, submission.open_tasks
        for index in wanted.keys() - control.read_claims(directory, wanted).keys():
            control.forbid_start(directory, index)
        claims = control.read_claims(directory, wanted)
        records = control.read_exit_records(directory, wanted)
        hosts = set[str]()
        for index, claim in claims.items():
            process = ProcessId.parse(claim.native_id)
            if process is None or index in records:
                continue
            if process.host.is_apart_from(self._here):
                hosts.add(process.host.node)
            else:
                end(self._table, process, directory, index, self._clock())
        return hosts


def _killed_by_us(control_dir: Path, index: int) -> bool:
    ending = read_ending(control_dir, index)
    return ending is not None and ending.killed_at is not None


def _has_records(control_dir: Path) -> bool:
    names = os.listdir(control_dir / "claims") + os.listdir(control_dir / "exits")
    return any(not name.startswith(".") for name in names)


def _readable(submission: ActiveSubmission) -> bool:
    """Say whether the records can be read at all now, so that none means that there is none."""
    try:
        _has_records(submission.control_dir)
    except OSError:
        return False
    return True
