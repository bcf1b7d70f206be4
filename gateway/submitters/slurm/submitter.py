"""Slurm as a submitter: which calls are made, and what their answers add up to.

Identity of a job is its id together with our key in its name, never the id alone: ids start
again when a controller loses its state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.site.model import SlurmCluster
from gateway.submitters import control
from gateway.submitters.base import (
    Absent,
    Acknowledged,
    ActiveSubmission,
    ActOutcome,
    FindOutcome,
    Found,
    Limits,
    Observed,
    ObserveOutcome,
    Rejected,
    Submission,
    SubmitOutcome,
    TaskKey,
    Unreachable,
    open_keys,
)
from gateway.submitters.slurm import answers, commands, parse
from gateway.submitters.slurm.daemon_log import explained
from gateway.submitters.slurm.ids import array_of, write_tasks
from gateway.submitters.slurm.refusal import refusal
from gateway.transport.base import CallKind, CommandResult, Gate
from gateway.vocabulary.evidence import Observation
from gateway.vocabulary.resources import Resources

_SLACK_S = 3600.0
"""How much earlier than a submission accounting is asked about."""

_ARRAYS_PER_CALL = 1000
"""Most ids in one accounting call; the rest is asked next time."""


class SlurmSubmitter:
    """One Slurm cluster, or several under one controller's ``--clusters``.

    Parameters
    ----------
    name
        Of the cluster in the site file.
    clock
        Seconds since the epoch.
    user
        Whose jobs these are. Slurm is asked for "my" jobs, so that a wrong name can never
        make jobs look absent.
    """

    def __init__(
        self, name: str, site: SlurmCluster, gate: Gate, clock: Callable[[], float], user: str
    ) -> None:
        self.name = name
        self.user = user
        self._site = site
        self._gate = gate
        self._clock = clock
        self._clusters = commands.chosen_clusters(site.extra_arguments)
        self._accounting = site.accounting is not False
        self._limits: Limits | None = None

    def submit(self, submission: Submission) -> SubmitOutcome:
        """See ``Submitter``.

        Nodes to stay away from are a wish: what Slurm refuses with it (a name it does not know,
        no node left) goes out again without it.
        """
        outcome = self._send(submission, submission.exclude_nodes)
        if submission.exclude_nodes and isinstance(outcome, Rejected):
            return self._send(submission, ())
        return outcome

    def find(self, submission: Submission, since: float) -> FindOutcome:
        """See ``Submitter``.

        Absent is sound even where accounting is off and ``MinJobAge`` is short: a job that is
        not in the queue has not been accepted, or is over; if it is over and has ever started
        its command, its claim is there. So the claims are read again at the end.
        """
        for look in (self._claimed, self._queued, self._accounted):
            for where in self._clusters:
                outcome = look(submission, where, since)
                if outcome:
                    return outcome
        return self._claimed(submission, "", since) or Absent()

    def glance(self, active: Sequence[ActiveSubmission]) -> Mapping[TaskKey, Observation]:
        """See ``Submitter``. Slurm leaves no files; claims and exit records are read elsewhere."""
        return {}

    def observe(self, active: Sequence[ActiveSubmission]) -> ObserveOutcome:
        """See ``Submitter``. One call, or two when tasks have left the queue, for each cluster."""
        tasks: dict[TaskKey, Observation] = {}
        alive: set[TaskKey] = set()
        unheard: set[TaskKey] = set()
        complete, trouble = bool(active), ""
        for where, group in _by_place(active).items():
            answer = self._queue(CallKind.STATUS, where)
            if isinstance(answer, Unreachable):
                complete, trouble = False, answer.reason
                unheard |= open_keys(group)
                continue
            seen = _tasks_seen(answer.rows, group)
            unheard |= set() if answer.whole else open_keys(group) - seen.keys()
            missing = [each for each in group if not seen.keys() >= set(each.open_tasks.values())]
            older, living, all_asked = self._from_accounting(where, missing)
            tasks |= older | seen
            alive |= living - tasks.keys()
            complete = complete and answer.whole and all_asked
        if trouble and not tasks:
            return Unreachable(trouble)
        return Observed(
            tasks,
            absence_counts=complete,
            alive_elsewhere=frozenset(alive),
            unheard=frozenset(unheard - tasks.keys()),
        )

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        """See ``Submitter``.

        ``scancel`` takes ids alone, and an id may by now be that of another job: the queue is asked
        first, once, whose they are.
        """
        said = []
        for where, group in _by_place(active).items():
            answer = self._queue(CallKind.FIND, where)
            if isinstance(answer, Unreachable):
                return answer
            strangers = _strangers(answer.rows, group)
            targets = (
                _cancel_target(each)
                for each in group
                if each.open_tasks and each.native_id not in strangers
            )
            for portion in commands.portions(targets):
                result = self._call(CallKind.CANCEL, commands.cancel_argv(where, portion))
                if not result.ok and not answers.only_says_gone(result):
                    return Unreachable(answers.complaint(result))
                said.append(" ".join(result.stderr.split()))
        return Acknowledged(" ".join(filter(None, said)))

    def submission_id(self, task_id: str) -> str:
        """See ``Submitter``."""
        array = array_of(task_id)
        return array if array.isdecimal() else ""

    def limits(self) -> Limits:
        """See ``Submitter``."""
        if self._limits is None:
            most = self._site.max_tasks_per_submission
            result = self._call(CallKind.QUERY, commands.config_argv(self._clusters[0]))
            theirs = parse.largest_array(result.stdout) if result.ok else None
            self._limits = Limits(most if theirs is None else max(1, min(most, theirs)))
        return self._limits

    def room(self, resources: Resources) -> None:
        """Return nothing: what Slurm would take now, only Slurm knows."""

    def refusal(self, resources: Resources) -> str | None:
        """See ``Submitter``."""
        return refusal(resources, self._site.maximum.resources())

    def _send(self, submission: Submission, exclude: Sequence[str]) -> SubmitOutcome:
        argv = commands.submit_argv(submission, self._site, exclude)
        result = self._call(
            CallKind.SUBMIT, argv, commands.batch_script(submission), answers.TRIES_AGAIN
        )
        known = self._limits or Limits(self._site.max_tasks_per_submission)
        return answers.read_submit(result, len(submission.tasks), known.tasks_per_submission)

    def _call(
        self, kind: CallKind, argv: tuple[str, ...], stdin: str = "", enough: str = ""
    ) -> CommandResult:
        seconds = float(self._site.command_timeout)
        return self._gate.call(kind, argv, stdin=stdin, timeout_s=seconds, enough=enough)

    def _claimed(
        self, submission: Submission, where: str, since: float
    ) -> Found | Unreachable | None:
        """Look for a job script that runs, or has run, a task of this submission."""
        keys = {task.index: task.key for task in submission.tasks}
        try:
            control.claimed(submission.control_dir)
            claims = control.read_claims(submission.control_dir)
        except OSError as error:
            return Unreachable(f"cannot read {submission.control_dir}: {error.strerror}")
        for index, claim in claims.items():
            array = array_of(claim.native_id)
            if claim.key == keys.get(index) and array.isdecimal():
                where = self._clusters[0] if len(self._clusters) == 1 else ""
                return Found(array, where, f"claimed by job {claim.native_id} on {claim.node}")
        unread = any(not claim.key for claim in claims.values())
        return Unreachable("a claim cannot be read yet") if unread else None

    def _queued(
        self, submission: Submission, where: str, since: float
    ) -> Found | Unreachable | None:
        answer = self._queue(CallKind.FIND, where, commands.job_name(submission))
        return _found(answer, submission, where)

    def _accounted(
        self, submission: Submission, where: str, since: float
    ) -> Found | Unreachable | None:
        if not self._accounting:
            return None
        seconds = self._clock() - since + _SLACK_S
        name = commands.job_name(submission)
        answer = self._accounting_rows(
            CallKind.FIND, commands.accounting_argv(where, seconds, name=name)
        )
        return _found(answer, submission, where)

    def _queue(
        self, kind: CallKind, where: str, name: str | None = None
    ) -> parse.Listing | Unreachable:
        result = self._call(kind, commands.queue_argv(where, name))
        if not result.ok:
            return Unreachable(answers.complaint(result))
        return parse.parse_queue(result.stdout, self._clock())

    def _accounting_rows(
        self, kind: CallKind, argv: tuple[str, ...]
    ) -> parse.Listing | Unreachable:
        """Ask accounting; learns here whether there is any."""
        result = self._call(kind, argv)
        if result.ok:
            return parse.parse_accounting(result.stdout, self._clock())
        if answers.accounting_is_off(result):
            self._accounting = False
            return parse.Listing([])
        return Unreachable(answers.complaint(result))

    def _from_accounting(
        self, where: str, missing: Sequence[ActiveSubmission]
    ) -> tuple[dict[TaskKey, Observation], set[TaskKey], bool]:
        """Return the ends that accounting knows, what it takes for alive, and whether that is all.

        That it shows a job as waiting or running proves no life: it may have missed the end
        ("runaway jobs", sacctmgr), and what lives is in the queue.
        """
        if not missing or not self._accounting:
            return {}, set(), True
        asked = sorted(missing, key=lambda each: each.submitted_at)[:_ARRAYS_PER_CALL]
        seconds = self._clock() - asked[0].submitted_at + _SLACK_S
        arrays = list(dict.fromkeys(each.native_id for each in asked))
        answer = self._accounting_rows(
            CallKind.STATUS, commands.accounting_argv(where, seconds, arrays=arrays)
        )
        if isinstance(answer, Unreachable):
            return {}, set(), False
        said = _tasks_seen(answer.rows, asked)
        ends = {key: each for key, each in said.items() if each.state.is_terminal}
        whole = answer.whole and len(asked) == len(missing)
        return ends, said.keys() - ends.keys(), whole


def _strangers(rows: Iterable[parse.Row], active: Iterable[ActiveSubmission]) -> set[str]:
    """Return the ids of ours that other jobs have now."""
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(row.job.array, []).append(row.name)
    return {
        each.native_id
        for each in active
        if (names := named.get(each.native_id))
        and not any(commands.carries_key(name, each.key) for name in names)
    }


def _by_place(active: Iterable[ActiveSubmission]) -> dict[str, list[ActiveSubmission]]:
    places: dict[str, list[ActiveSubmission]] = {}
    for each in active:
        places.setdefault(each.where, []).append(each)
    return places


def _found(
    answer: parse.Listing | Unreachable, submission: Submission, where: str
) -> Found | Unreachable | None:
    """Return the job that carries the key, or ``None`` if an answer that is whole has none.

    A refused sbatch can leave a record too, of a job that failed without a node: it comes last.
    """
    if isinstance(answer, Unreachable):
        return answer
    mine = [row for row in answer.rows if commands.carries_key(row.name, submission.key)]
    for row in sorted(mine, key=lambda row: row.said.state.is_terminal and not row.said.node):
        return Found(row.job.array, where, f"{row.said.source.value}: {row.said.raw}")
    return None if answer.whole else Unreachable("the answer of Slurm is not whole")


def _tasks_seen(
    rows: Iterable[parse.Row], active: Iterable[ActiveSubmission]
) -> dict[TaskKey, Observation]:
    by_array: dict[str, list[parse.Row]] = {}
    for row in rows:
        by_array.setdefault(row.job.array, []).append(row)
    seen: dict[TaskKey, Observation] = {}
    for each in active:
        mine = [
            row
            for row in by_array.get(each.native_id, ())
            if commands.carries_key(row.name, each.key)
        ]
        for index, said in parse.by_task(mine, each.open_tasks).items():
            seen[each.open_tasks[index]] = explained(said, each.control_dir, index)
    return seen


def _cancel_target(each: ActiveSubmission) -> str:
    """Return the whole array where every task of it is to go.

    Slurm forgets waiting tasks that are cancelled one by one at once, without any record; of
    an array that is cancelled as a whole it keeps one.
    """
    some = write_tasks(each.native_id, each.open_tasks)
    try:
        tasks = sum(1 for path in (each.control_dir / "tasks").iterdir() if path.suffix == ".sh")
    except OSError:
        return some
    return each.native_id if tasks == len(each.open_tasks) else some
