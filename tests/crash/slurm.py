"""The commands of Slurm over the scheduler in memory: text in, text out, and the text may lie.

The real adapter reads it. So what it believes of a cut answer, of an id that another job has now,
or of accounting that is behind, is part of the history.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.submitters.base import Submission, Task
from gateway.submitters.slurm.commands import ACCOUNTING_FIELDS, QUEUE_FIELDS, SEPARATOR
from gateway.testing.fake_cluster import FakeCluster
from gateway.testing.fake_task import Copy, Fault
from gateway.transport.base import CallKind, CommandResult, Failure
from gateway.vocabulary.evidence import SchedulerState
from gateway.vocabulary.resources import Resources

WORDS = {
    SchedulerState.HELD: "PENDING",
    SchedulerState.NODE_FAILED: "NODE_FAIL",
}
REFUSED = "sbatch: error: Batch job submission failed: "
NO_CONTROLLER = "Unable to contact slurm controller (connect failure)"
TIMED_OUT = "Socket timed out on send/recv operation"
GARBAGE = "<html><body>502 Bad Gateway</body></html>\n"
LIES = ("cut", "garbage", "empty")
QUEUE_TITLES = SEPARATOR.join(("JOBID", *QUEUE_FIELDS[1:], "\n"))
ACCOUNTING_TITLES = SEPARATOR.join(ACCOUNTING_FIELDS) + "\n"
_KEY = re.compile(r"^GATEWAY_KEY='?([0-9a-f.]+)", re.MULTILINE)
_TARGET = re.compile(r"(\d+)(?:_\[([\d,-]+)\])?")
Row = tuple[str, str, str, str, str]
"""Id, state, exit code, node and name, as accounting has them."""


@dataclass
class Stranger:
    """A job of the same user that the gateway knows nothing of, under an id that it knows."""

    native_id: str
    state: str = "RUNNING"


@dataclass
class FakeSlurm:
    """A gate behind which the commands of Slurm answer.

    Attributes
    ----------
    purge_after
        So long the queue shows what has ended (``MinJobAge``).
    accounting
        ``there``, ``off`` for good, or ``silent`` for now.
    behind
        By so many seconds accounting is late.
    lies
        By program, what happens to its answer: status 0 all the same.
    """

    cluster: FakeCluster
    random: random.Random
    purge_after: float = 300.0
    accounting: str = "there"
    behind: float = 0.0
    lies: dict[str, str] = field(default_factory=dict)
    strangers: dict[str, Stranger] = field(default_factory=dict)
    _ended: dict[tuple[str, str], float] = field(default_factory=dict)
    _book: list[tuple[float, Row]] = field(default_factory=list)
    _known: dict[tuple[str, str], Row] = field(default_factory=dict)
    _without_record: set[str] = field(default_factory=set)

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        """Answer one command."""
        del kind, stdin, timeout_s, enough
        self.keep_books()
        words = [word for word in argv if word != "env" and not word.startswith("SLURM_")]
        verbs: dict[str, Callable[[Sequence[str]], str | CommandResult]] = {
            "sbatch": self._sbatch,
            "squeue": self._squeue,
            "sacct": self._sacct,
            "scancel": self._scancel,
            "scontrol": lambda _: "MaxArraySize            = 1001\n",
        }
        program = words[0]
        if self.cluster.down and program != "sacct":
            return _result(argv, error=NO_CONTROLLER)
        said = verbs[program](words[1:])
        if isinstance(said, CommandResult):
            return said
        return _result(argv, self._spoilt(program, said))

    def _spoilt(self, program: str, said: str) -> str:
        lie = self.lies.get(program)
        if lie == "cut":
            return said[: self.random.randrange(len(said))] if said else said
        return {"garbage": GARBAGE, "empty": ""}.get(lie or "", said)

    # The commands.

    def _sbatch(self, words: Sequence[str]) -> str | CommandResult:
        given = dict(word[2:].partition("=")[::2] for word in words)
        submission = _submission(given)
        faults = self.cluster.faults
        fault = faults.popleft() if faults else None
        if fault is Fault.LATE_REQUEST:
            self.cluster.delay(submission)
        if fault in (Fault.LATE_REQUEST, Fault.LOST_REQUEST):
            return self._silence(words)
        if fault is Fault.REFUSAL:
            self.cluster.refused.update(task.key.partition(".")[0] for task in submission.tasks)
            return _result(words, error=f"{REFUSED}Invalid partition name specified")
        if fault is Fault.FULL:
            return _result(words, error=f"{REFUSED}Slurm job queue full, sleeping and retrying.")
        native_id = self.cluster.take(submission)
        self.keep_books()
        return self._silence(words) if fault is Fault.LOST_ANSWER else f"{native_id}\n"

    def _silence(self, words: Sequence[str]) -> CommandResult:
        if self.random.random() < 0.5:
            return CommandResult(tuple(words), None, "", "", 60.0, Failure.TIMEOUT)
        return _result(words, error=f"{REFUSED}{TIMED_OUT}")

    def _squeue(self, words: Sequence[str]) -> str:
        name = next((word[7:] for word in words if word.startswith("--name=")), None)
        rows = (self._queue_row(row) for row in self._queue() if name in (None, row[4]))
        return QUEUE_TITLES + "".join(rows)

    def _queue(self) -> Iterator[Row]:
        now = self.cluster.clock()
        for copy in self.cluster.copies.values():
            ended = self._ended.get((copy.native_id, copy.key), now)
            if copy.native_id not in self._without_record and now <= ended + self.purge_after:
                yield _row(copy)
        for each in self.strangers.values():
            yield (each.native_id, each.state, "0:0", "node9", "other")

    def _queue_row(self, row: Row) -> str:
        copy = self.cluster.copies.get(row[0])
        fields = {
            "JobArrayID": row[0],
            "State": row[1],
            "Reason": "JobHeldUser" if copy and copy.state is SchedulerState.HELD else "None",
            "NodeList": row[3],
            "StartTime": "N/A",
            "EndTime": "N/A",
            "exit_code": row[2],
            "RestartCnt": str(copy.restart if copy else 0),
            "Name": row[4],
        }
        return "".join(fields[name] + SEPARATOR for name in QUEUE_FIELDS) + "\n"

    def _sacct(self, words: Sequence[str]) -> str | CommandResult:
        if self.accounting == "off":
            return _result(words, error="Slurm accounting storage is disabled")
        if self.accounting == "silent":
            error = "sacct: error: Problem talking to the database: Connection refused"
            return _result(words, error=error)
        until = self.cluster.clock() - self.behind
        given = dict(word[2:].partition("=")[::2] for word in words)
        latest: dict[tuple[str, str], Row] = {}
        for at, row in self._book:
            if at <= until:
                latest.pop((row[0], row[4]), None)
                latest[row[0], row[4]] = row
        if "name" in given:
            chosen = [row for row in latest.values() if row[4] == given["name"]]
        else:
            # Of jobs that had the same id, the last alone is shown.
            by_id = {row[0]: row for row in latest.values()}
            arrays = given["jobs"].split(",")
            chosen = [row for row in by_id.values() if row[0].partition("_")[0] in arrays]
        return ACCOUNTING_TITLES + "".join(map(_accounting_row, chosen))

    def _scancel(self, words: Sequence[str]) -> str | CommandResult:
        errors = [
            f"scancel: error: Kill job error on job id {word}: Invalid job id specified"
            for word in words
            if not self._cancel_named(word)
        ]
        self.keep_books()
        if self.cluster.acts_without_answer:
            return CommandResult(tuple(words), None, "", "", 60.0, Failure.TIMEOUT)
        return _result(words, error="\n".join(errors)) if errors else ""

    def _cancel_named(self, word: str) -> bool:
        match = _TARGET.fullmatch(word)
        assert match is not None, word
        array, tasks = match.groups()
        wanted = None if tasks is None else set(_indices(tasks))
        found = False
        for copy in self.cluster.copies.values():
            mine = self.cluster.submission_id(copy.native_id) == array
            if mine and (wanted is None or copy.index in wanted):
                found = found or not copy.state.is_terminal
                self._cancel(copy, alone=wanted is not None)
        stranger = self.strangers.get(array)
        if stranger is not None and stranger.state == "RUNNING":
            stranger.state, found = "CANCELLED", True
            self.cluster.violations.append(f"{word} of a stranger was cancelled")
        return found

    def _cancel(self, copy: Copy, *, alone: bool) -> None:
        if copy.state is SchedulerState.RUNNING:
            self.cluster.stop_command(copy, "TERM")
        elif alone and not copy.state.is_terminal:
            self._without_record.add(copy.native_id)
        if not copy.state.is_terminal:
            copy.become(SchedulerState.CANCELLED)

    # What happens to it.

    def keep_books(self) -> None:
        """Have accounting write down what has changed."""
        now = self.cluster.clock()
        for copy in self.cluster.copies.values():
            row, name = _row(copy), (copy.native_id, copy.key)
            if self._known.get(name) == row or copy.native_id in self._without_record:
                continue
            self._known[name] = row
            self._book.append((now, row))
            if copy.state.is_terminal:
                self._ended.setdefault(name, now)
            else:
                self._ended.pop(name, None)

    def reset(self) -> list[Copy]:
        """Have the controller lose its state, so that ids start again; return what ran.

        Other jobs of the user get the first of them.
        """
        self.keep_books()
        lost = list(self.cluster.copies.values())
        arrays = sorted({int(self.cluster.submission_id(copy.native_id)) for copy in lost})
        self.cluster.start_ids_at(arrays[0] - 1 if arrays else 100)
        self._without_record.clear()
        self.strangers.clear()
        for copy in lost:
            self.cluster.copies.pop(copy.native_id)
        for array in arrays:
            if self.random.random() < 0.5:
                self.strangers[str(array)] = Stranger(f"{array}_0")
                self.cluster.start_ids_at(array)
            else:
                break
        return [copy for copy in lost if copy.state is SchedulerState.RUNNING]

    def forget(self, copy: Copy) -> None:
        """Have accounting forget a job as well."""
        row = _row(copy)
        self._book = [each for each in self._book if each[1][::4] != row[::4]]
        self._known.pop((copy.native_id, copy.key), None)

    def end_strangers(self) -> None:
        """Have the other jobs end in some way."""
        for each in self.strangers.values():
            if each.state == "RUNNING":
                each.state = self.random.choice(("COMPLETED", "FAILED", "TIMEOUT"))
                row = (each.native_id, each.state, "0:0", "node9", "other")
                self._book.append((self.cluster.clock(), row))


def _row(copy: Copy) -> Row:
    state = WORDS.get(copy.state, copy.state.name)
    code = copy.exit_code if copy.state.is_terminal and copy.exit_code is not None else 0
    return (copy.native_id, state, f"{code}:0", copy.node, f"{copy.submission}-{copy.label}")


def _accounting_row(row: Row) -> str:
    fields = {
        "JobID": row[0],
        "State": row[1],
        "NodeList": row[3],
        "ExitCode": row[2],
        "JobName": row[4],
    }
    return SEPARATOR.join(fields.get(name, "") for name in ACCOUNTING_FIELDS) + "\n"


def _submission(given: dict[str, str]) -> Submission:
    directory = Path(given["chdir"])
    tasks = []
    for index in _indices(given["array"]):
        match = _KEY.search((directory / "tasks" / f"{index}.sh").read_text())
        assert match is not None
        tasks.append(Task(match[1], index, given["job-name"].partition("-")[2]))
    excluded = tuple(filter(None, given.get("exclude", "").split(",")))
    return Submission(
        given["comment"], tasks[0].label, directory, Resources(), tuple(tasks), excluded
    )


def _indices(text: str) -> Iterator[int]:
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _result(argv: Sequence[str], said: str = "", error: str = "") -> CommandResult:
    return CommandResult(tuple(argv), int(bool(error)), said, error, 0.0)
