"""A scheduler in memory that can lose answers, refuse, hold, forget, and run things twice.

It is ``job.sh`` in miniature as well: it claims, looks at the stop file, and writes exit records
where the script would, so that everything above the submitter contract can be tested without
processes. It keeps every copy of a task that it was ever given, counts each start of a command, and
so knows what must never happen.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

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
    Rejected,
    Submission,
    SubmitOutcome,
    Submitted,
    Unclear,
    Unreachable,
)
from gateway.testing.fake_task import Copy, Fault, Truth
from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState
from gateway.vocabulary.resources import Resources

EX_DUPLICATE = 79
"""Exit code of the job script that finds its attempt claimed by another copy."""
EX_NO_SCRIPT = 127
LAST_RECORD_S = 55.0
"""The record of a command that was told to end comes no later."""


@dataclass
class FakeCluster:
    """A submitter whose scheduler is a dictionary.

    A task is named by its key, which stands for the first copy that the scheduler has of it, or
    given as a copy.

    Attributes
    ----------
    calls
        How often each verb of the scheduler was used.
    faults
        What happens to the next submissions, first one first.
    down
        Whether the scheduler answers nothing at all.
    acts_without_answer
        Whether the answers to removals get lost.
    accounting
        Whether there is a record of what has left the queue, so that absence counts.
    lag
        For so many seconds, claims and exit records stay invisible to the gateway's host.
    torn
        Whether their names, with a part of their content, are visible all the same.
    late_s
        So long a late request is under way.
    skew
        By how much the clock of a node is wrong.
    violations
        What must never happen, and did.
    """

    clock: Callable[[], float]
    calls: Counter[str] = field(default_factory=Counter)
    faults: deque[Fault] = field(default_factory=deque)
    down: bool = False
    acts_without_answer: bool = False
    accounting: bool = True
    most_tasks: int = 1000
    free_room: int | None = None
    refuses: str | None = None
    lag: float = 0.0
    torn: bool = False
    late_s: float = 1000.0
    skew: dict[str, float] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    starts: Counter[tuple[str, int]] = field(default_factory=Counter)
    running: dict[str, Copy] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    may_go_back: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    _by_key: dict[str, list[Copy]] = field(default_factory=dict)
    _truth: dict[tuple[Path, int], Truth] = field(default_factory=dict)
    _late: list[tuple[float, Path, str]] = field(default_factory=list)
    _under_way: list[tuple[float, Submission]] = field(default_factory=list)
    _last: int = 100

    # The contract.

    def submit(self, submission: Submission) -> SubmitOutcome:
        """Take all tasks, or do what the next fault says."""
        self.calls["submit"] += 1
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.LATE_REQUEST:
            self.delay(submission)
        if self.down or fault in (Fault.LOST_REQUEST, Fault.LATE_REQUEST):
            return Unclear("no answer in time")
        if fault is Fault.REFUSAL:
            self.refused.update(task.key.partition(".")[0] for task in submission.tasks)
            return Rejected("invalid partition specified")
        if fault is Fault.FULL:
            return Backpressure("job limit reached")
        native_id = self.take(submission)
        return Unclear("no answer in time") if fault is Fault.LOST_ANSWER else Submitted(native_id)

    def take(self, submission: Submission) -> str:
        """Take all tasks, whether or not it has them already; return the native id."""
        self._last += 1
        for task in submission.tasks:
            native = f"{self._last}_{task.index}"
            copy = Copy(
                native,
                submission.key,
                task.key,
                task.index,
                submission.control_dir,
                submission.exclude_nodes,
                label=task.label,
            )
            self.copies[native] = copy
            self._by_key.setdefault(task.key, []).append(copy)
        return str(self._last)

    def delay(self, submission: Submission) -> None:
        """Take a submission later than anybody waits for it."""
        self._under_way.append((self.clock() + self.late_s, submission))

    def find(self, submission: Submission, since: float) -> FindOutcome:
        """Look in the queue and in the claims, as the real adapters do."""
        del since
        self.calls["find"] += 1
        if not self.down:
            for copy in self.copies.values():
                if copy.submission == submission.key:
                    return Found(self.submission_id(copy.native_id))
        for claim in control.read_claims(submission.control_dir).values():
            return Found(self.submission_id(claim.native_id), said="claimed")
        return Absent() if self.accounting and not self.down else Unreachable("no answer in time")

    def glance(self, active: Sequence[ActiveSubmission]) -> Mapping[str, Observation]:
        """See nothing: this scheduler has no event log."""
        del active
        return {}

    def observe(self, active: Sequence[ActiveSubmission]) -> ObserveOutcome:
        """Tell what is known of open tasks, by the native ids that the gateway knows."""
        self.calls["observe"] += 1
        if self.down:
            return Unreachable("no answer in time")
        now = self.clock()
        found = {copy.key: copy.observation(now) for copy in self._known(active)}
        return Observed(found, absence_counts=self.accounting)

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        """Remove open tasks; the answer may get lost."""
        self.calls["cancel"] += 1
        if self.down:
            return Unreachable("no answer in time")
        for copy in self._known(active):
            if copy.state is SchedulerState.RUNNING:
                self.stop_command(copy, "TERM")
            if not copy.state.is_terminal:
                copy.become(SchedulerState.CANCELLED)
        return Unreachable("answer lost") if self.acts_without_answer else Acknowledged()

    def submission_id(self, task_id: str) -> str:
        """Return what stands before the task's index."""
        return task_id.partition("_")[0]

    def limits(self) -> Limits:
        """Return the limits."""
        return Limits(self.most_tasks)

    def room(self, resources: Resources) -> int | None:
        """Return the room that the test has set."""
        del resources
        return self.free_room

    def refusal(self, resources: Resources) -> str | None:
        """Refuse what the test says."""
        del resources
        return self.refuses

    def _known(self, active: Sequence[ActiveSubmission]) -> list[Copy]:
        wanted = [f"{each.native_id}_{index}" for each in active for index in each.open_tasks]
        return [self.copies[native] for native in wanted if native in self.copies]

    # What a test can see.

    @property
    def keys(self) -> list[str]:
        """Keys of all tasks that the scheduler has ever taken."""
        return list(self._by_key)

    def copy(self, task: str | Copy, number: int = 0) -> Copy:
        """Return a copy of the task with this key, in the order in which they were taken."""
        return task if isinstance(task, Copy) else self._by_key[task][number]

    def forbidden(self, task: str | Copy) -> bool:
        """Say whether the job script would refuse to start a task."""
        copy = self.copy(task)
        return (copy.control_dir / "stop" / str(copy.index)).exists()

    # What a test makes happen.

    def change(self, task: str | Copy, state: SchedulerState, **values: object) -> None:
        """Set what the scheduler says of a task, whatever is true."""
        copy = self.copy(task)
        copy.become(state)
        for name, value in values.items():
            setattr(copy, name, value)

    def start(self, task: str | Copy, node: str = "node1") -> bool:
        """Let the job script begin; say whether its command started."""
        copy = self.copy(task)
        truth = self._truth.setdefault((copy.control_dir, copy.index), Truth())
        copy.node = node
        if not (copy.control_dir / "job.sh").exists():
            copy.become(SchedulerState.FAILED, EX_NO_SCRIPT)
            return False
        if truth.clean_end or copy.restart in truth.claims:
            copy.become(SchedulerState.FAILED, EX_DUPLICATE)
            return False
        truth.claims.add(copy.restart)
        self._publish(copy, "claims", "", {"claimed_at": self._time_on(copy), "pid": 1})
        if self.forbidden(copy):
            self.write_record(copy, 143, warned="stop")
            copy.become(SchedulerState.FAILED, 143)
            return False
        copy.become(SchedulerState.RUNNING)
        self._count(copy)
        return True

    def _count(self, copy: Copy) -> None:
        self.starts[copy.key, copy.restart] += 1
        if self.starts[copy.key, copy.restart] > 1:
            self.violations.append(f"{copy.key} restart {copy.restart} ran twice")
        for other in self.running.values():
            if other.job == copy.job:
                self.violations.append(f"{copy.key} runs beside {other.key}")
        if copy.job in self.succeeded:
            self.violations.append(f"{copy.key} ran after its job had succeeded")
        self.running[copy.native_id] = copy

    def end(
        self,
        task: str | Copy,
        exit_code: int = 0,
        *,
        warned: str = "",
        runtime_error: str = "",
    ) -> None:
        """End a command by itself, with an exit record; the scheduler knows it as well."""
        copy = self.copy(task)
        self.write_record(copy, exit_code, warned=warned, runtime_error=runtime_error)
        state = SchedulerState.FAILED if exit_code else SchedulerState.COMPLETED
        copy.become(state, exit_code)

    def write_record(
        self, task: str | Copy, exit_code: int, *, warned: str = "", runtime_error: str = ""
    ) -> None:
        """End a command with an exit record; the scheduler says what it said before."""
        copy = self.copy(task)
        now = self._time_on(copy)
        self.running.pop(copy.native_id, None)
        if not warned:
            self._truth.setdefault((copy.control_dir, copy.index), Truth()).clean_end = True
            if exit_code == 0:
                self.succeeded.add(copy.job)
        record = {
            "exit_code": exit_code,
            "signal": exit_code - 128 if exit_code > 128 else None,
            "started_at": now - 1,
            "finished_at": now,
            "warned": warned,
            "runtime_error": runtime_error,
        }
        self._publish(copy, "exits", ".json", record)

    def lose_node(self, task: str | Copy) -> None:
        """End a command without a trace."""
        copy = self.copy(task)
        self.running.pop(copy.native_id, None)
        copy.become(SchedulerState.NODE_FAILED)

    def preempt(self, task: str | Copy) -> None:
        """End a command for another job."""
        copy = self.copy(task)
        self.stop_command(copy, "TERM")
        copy.become(SchedulerState.PREEMPTED)

    def requeue(self, task: str | Copy, *, traceless: bool) -> None:
        """Put a running task back into the queue."""
        copy = self.copy(task)
        if traceless:
            self.running.pop(copy.native_id, None)
        else:
            self.stop_command(copy, "TERM")
        self.may_go_back.add(copy.key)
        copy.become(SchedulerState.PENDING)
        copy.restart, copy.node = copy.restart + 1, ""

    def put_on_hold(self, task: str | Copy, code: int) -> None:
        """Hold a task that waits or runs."""
        copy = self.copy(task)
        self.may_go_back.add(copy.key)
        if copy.state is SchedulerState.RUNNING:
            self.stop_command(copy, "TERM")
            copy.restart += 1
        copy.become(SchedulerState.HELD)
        copy.hold = HoldCode(code)

    def let_go(self, task: str | Copy) -> None:
        """Release a held task."""
        copy = self.copy(task)
        if copy.state is SchedulerState.HELD:
            copy.become(SchedulerState.PENDING)
            copy.hold = None

    def forget(self, task: str | Copy) -> None:
        """Purge a task from every record of the scheduler; what ran is killed."""
        copy = self.copy(task)
        self.running.pop(copy.native_id, None)
        del self.copies[copy.native_id]

    def show_late_files(self) -> None:
        """Let arrive what has been under way long enough: files, and requests."""
        now = self.clock()
        for at, path, text in [each for each in self._late if each[0] <= now]:
            _write(path, text)
            self._late.remove((at, path, text))
        for request in [each for each in self._under_way if each[0] <= now and not self.down]:
            self._under_way.remove(request)
            self.take(request[1])

    def _time_on(self, copy: Copy) -> float:
        return self.clock() + self.skew.get(copy.node, 0.0)

    def stop_command(self, task: str | Copy, warned: str) -> None:
        """End a command by a signal from outside; its record is there in time."""
        self.lag = min(self.lag, LAST_RECORD_S)
        self.write_record(task, 143, warned=warned)

    def start_ids_at(self, number: int) -> None:
        """Give the next submission the id after this one."""
        self._last = number

    def _publish(self, copy: Copy, folder: str, suffix: str, data: Mapping[str, object]) -> None:
        about = {
            "key": copy.key,
            "restart": copy.restart,
            "native_id": copy.native_id,
            "node": copy.node,
        }
        path = copy.control_dir / folder / f"{copy.index}.{copy.restart}{suffix}"
        text = json.dumps({**about, **data})
        if self.lag and self.torn:
            _write(path, text[: len(text) // 2 * (len(text) % 2)])
        if self.lag:
            self._late.append((self.clock() + self.lag, path, text))
        else:
            _write(path, text)


def _write(path: Path, text: str) -> None:
    """Write as a node does: what is wrong with the disk of the gateway's host is not its trouble.

    A directory that was given up takes nothing any more.
    """
    with suppress(FileNotFoundError):
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
