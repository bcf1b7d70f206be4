"""HTCondor as a submitter: which calls are made, and what their answers add up to."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence

from gateway.site.model import HTCondorCluster
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
    TaskKey,
    Unreachable,
    open_keys,
)
from gateway.submitters.htcondor import answers, classad, parse, queries, submit_file
from gateway.submitters.htcondor.event_log import LogTrace
from gateway.submitters.htcondor.log_reader import LogReader
from gateway.submitters.htcondor.queries import Facts
from gateway.submitters.htcondor.refusal import refusal
from gateway.submitters.htcondor.seen import all_in, by_schedd, from_ads, from_log, year_of
from gateway.transport.base import CallKind, CommandResult, Gate
from gateway.vocabulary.evidence import Observation, Source
from gateway.vocabulary.resources import Resources

_LET_GO_EVERY_S = 10.0
_SCHEDD = "schedd"
"""File of the control directory that names the schedd a submission was sent to."""
_ASK_AGAIN_S = 60


class HTCondorSubmitter:
    """One HTCondor pool.

    A login node talks to a schedd of its own choice, so the schedd is remembered with every
    submission. What a job is doing is read from the event log in the control directory; the
    queue is asked for all submissions at once, the history for tasks that neither of them knows.

    Parameters
    ----------
    name
        Of the cluster in the site file.
    clock
        Seconds since the epoch.
    user
        Owner of the jobs, as the schedd knows them.
    """

    def __init__(
        self, name: str, site: HTCondorCluster, gate: Gate, clock: Callable[[], float], user: str
    ) -> None:
        self.name = name
        self.user = user
        self._site = site
        self._gate = gate
        self._clock = clock
        self._logs = LogReader()
        self._facts = Facts()
        self._ask_after = 0.0
        self._learned: int | None = None
        self._is_crowded = False
        self._let_go_at: float | None = None
        self._history_works: set[str] = set()

    def submit(self, submission: Submission) -> SubmitOutcome:
        """See ``Submitter``. One cluster, with one process for each task."""
        where = self._site.schedd or self._known().schedd
        directory = submission.control_dir
        try:
            self._write(submission, where)
        except OSError as error:
            return Backpressure(f"cannot write {directory}: {error.strerror}")
        base = self._tool("condor_submit", where)
        argv = queries.submit_argv(base, directory / submit_file.DESCRIPTION)
        outcome = answers.submit_outcome(
            self._call(CallKind.SUBMIT, argv), len(submission.tasks), where
        )
        if isinstance(outcome, Backpressure) and outcome.limit:
            self._learned = outcome.limit
        if answers.counts_jobs(outcome):
            self._is_crowded = True
            self._let_go(where)
        return outcome

    def find(self, submission: Submission, since: float) -> FindOutcome:
        """See ``Submitter``. Event log and claims cost nothing: they are read first and last.

        Absent is sound even where the history is lost: a job that is not in the queue has not been
        accepted, or is over; the schedd writes the log when it accepts a job, and a job that ever
        started has left its claim.
        """
        where = self._sent_to(submission)
        found = self._look_on_disk(submission, where)
        if not isinstance(found, Absent):
            return found
        queue = self._ads(CallKind.FIND, self._queue_argv(where, submission.key))
        if isinstance(queue, Unreachable):
            return queue
        ads = queue or self._ads(CallKind.FIND, self._history_argv(where, submission, since))
        if isinstance(ads, Unreachable):
            return ads
        clusters = sorted(filter(None, map(parse.cluster_of, ads)))
        if clusters:
            return Found(str(clusters[0]), where, said=f"the schedd knows {submission.key}")
        return self._look_on_disk(submission, where)

    def glance(self, active: Sequence[ActiveSubmission]) -> Mapping[TaskKey, Observation]:
        """See ``Submitter``. Reads what the event logs have gained."""
        now = self._clock()
        seen: dict[TaskKey, Observation] = {}
        for submission in active:
            trace = self._trace(submission, now)
            if submission.native_id.isdecimal():
                seen |= from_log(trace, submission, now)
        return seen

    def observe(self, active: Sequence[ActiveSubmission]) -> ObserveOutcome:
        """See ``Submitter``. One call, or two when tasks have left the queue, for each schedd."""
        self._logs.keep({each.control_dir / submit_file.EVENT_LOG for each in active})
        tasks: dict[TaskKey, Observation] = {}
        troubles: list[str] = []
        unheard: set[TaskKey] = set()
        for where, group in by_schedd(active).items():
            queue = self._ads(CallKind.STATUS, self._queue_argv(where))
            if isinstance(queue, Unreachable):
                troubles.append(queue.reason)
                unheard |= open_keys(group)
            else:
                troubles += self._observe_schedd(where, group, queue, tasks)
        if troubles and not tasks:
            return Unreachable(troubles[0])
        absent = bool(active) and not troubles
        return Observed(tasks, absence_counts=absent, unheard=frozenset(unheard))

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        """See ``Submitter``."""
        outcome: ActOutcome = Acknowledged()
        for where, group in by_schedd(active).items():
            for constraint in classad.open_tasks(group):
                argv = queries.act_argv(self._tool("condor_rm", where), constraint)
                outcome = answers.act_outcome(self._call(CallKind.CANCEL, argv))
                if isinstance(outcome, Unreachable):
                    return outcome
        return outcome

    def submission_id(self, task_id: str) -> str:
        """See ``Submitter``."""
        cluster = task_id.partition(".")[0]
        return cluster if cluster.isdecimal() else ""

    def limits(self) -> Limits:
        """See ``Submitter``."""
        site = self._site.max_tasks_per_submission
        known = (site, self._known().jobs_per_submission, self._learned)
        return Limits(min(number for number in known if number))

    def room(self, resources: Resources) -> int | None:
        """See ``Submitter``. What a pool would start now cannot be known without a call."""
        return None

    def refusal(self, resources: Resources) -> str | None:
        """See ``Submitter``."""
        return refusal(resources, self._site.maximum.resources())

    def _call(self, kind: CallKind, argv: Sequence[str]) -> CommandResult:
        return self._gate.call(kind, argv, timeout_s=self._site.command_timeout)

    def _tool(self, name: str, where: str) -> tuple[str, ...]:
        """Name the schedd only where it is not the tools' own choice."""
        named = "" if where == self._known().schedd and not self._site.schedd else where
        return queries.tool(name, named, self._site.pool)

    def _known(self) -> Facts:
        """Return what the configuration says; what was no answer is asked again after a while."""
        if self._facts == Facts() and self._clock() >= self._ask_after:
            self._ask_after = self._clock() + _ASK_AGAIN_S
            result = self._call(CallKind.QUERY, queries.FACTS_ARGV)
            self._facts = queries.parse_facts(result.stdout) if result.ok else Facts()
        return self._facts

    def _write(self, submission: Submission, where: str) -> None:
        directory = submission.control_dir
        launcher = submit_file.launcher_text(directory)
        control.write_whole(directory / submit_file.LAUNCHER, launcher)
        description = submit_file.description_text(
            submission, self._site, stays=not self._is_crowded
        )
        control.write_whole(directory / submit_file.DESCRIPTION, description)
        control.write_whole(directory / _SCHEDD, where)

    def _let_go(self, where: str) -> None:
        """Have ended jobs make room: those that are left in the queue count in its limits.

        The schedd drops them when it next looks at periodic expressions, after a minute or so.
        """
        now = self._clock()
        if self._let_go_at is not None and abs(now - self._let_go_at) < _LET_GO_EVERY_S:
            return
        self._let_go_at = now
        # That it fails where there are none is no trouble: the submission goes out again anyway.
        self._call(CallKind.CANCEL, queries.let_go_argv(self._tool("condor_qedit", where)))

    def _sent_to(self, submission: Submission) -> str:
        try:
            return (submission.control_dir / _SCHEDD).read_text(encoding="utf-8")
        except OSError:
            return self._site.schedd or self._known().schedd

    def _on_disk(self, submission: Submission, where: str) -> Found | None:
        log = submission.control_dir / submit_file.EVENT_LOG
        for cluster in self._logs.read(log, year_of(self._clock())).clusters():
            return Found(str(cluster), where, said="the event log knows it")
        control.claimed(submission.control_dir)
        claims = control.read_claims(submission.control_dir).values()
        for claim in claims:
            cluster_id = self.submission_id(claim.native_id)
            if cluster_id:
                return Found(cluster_id, where, said=f"{claim.native_id} has claimed a task")
        if any(not claim.key for claim in claims):
            raise OSError(errno.EAGAIN, "a claim cannot be read yet")
        return None

    def _look_on_disk(self, submission: Submission, where: str) -> FindOutcome:
        try:
            return self._on_disk(submission, where) or Absent()
        except OSError as error:
            return Unreachable(f"cannot read {submission.control_dir}: {error.strerror}")

    def _trace(self, submission: ActiveSubmission, now: float) -> LogTrace:
        try:
            return self._logs.read(submission.control_dir / submit_file.EVENT_LOG, year_of(now))
        except OSError:
            return LogTrace()

    def _queue_argv(self, where: str, key: str | None = None) -> tuple[str, ...]:
        constraint = classad.is_submission(key) if key else classad.ANY_OF_OURS
        return queries.ads_argv(self._tool("condor_q", where), constraint)

    def _ads(self, kind: CallKind, argv: Sequence[str]) -> list[parse.Ad] | Unreachable:
        result = self._call(kind, argv)
        ads = parse.parse_ads(result.stdout) if result.ok else None
        if ads is not None:
            return ads
        return Unreachable(f"{argv[0]}: unreadable answer" if result.ok else result.complaint)

    def _history_argv(self, where: str, submission: Submission, since: float) -> tuple[str, ...]:
        keys = [task.key for task in submission.tasks]
        return queries.history_argv(self._history_tool(where), keys, since, self.user)

    def _history(
        self, where: str, missing: Mapping[TaskKey, ActiveSubmission]
    ) -> list[parse.Ad] | Unreachable:
        base = self._history_tool(where)
        since = min(each.submitted_at for each in missing.values())
        argv = queries.history_argv(base, sorted(missing), since, self.user)
        ads = self._ads(CallKind.STATUS, argv)
        if ads or isinstance(ads, Unreachable) or self._history_speaks(base):
            return ads
        return Unreachable("condor_history knows no job at all: its file may be elsewhere")

    def _history_tool(self, where: str) -> tuple[str, ...]:
        """Name a remote schedd always: without a name, local files are read."""
        if self._known().remote:
            return queries.tool("condor_history", where, self._site.pool)
        return self._tool("condor_history", where)

    def _history_speaks(self, base: tuple[str, ...]) -> bool:
        """Say whether the history can be believed when it has nothing.

        For a file that does not exist, condor_history answers with no jobs and status 0.
        """
        where = " ".join(base)
        if where not in self._history_works:
            ads = self._ads(CallKind.QUERY, queries.ads_argv(base, "true", "-limit", "1"))
            if not ads or isinstance(ads, Unreachable):
                return False
            self._history_works.add(where)
        return True

    def _observe_schedd(
        self,
        where: str,
        group: Sequence[ActiveSubmission],
        queue: list[parse.Ad],
        into: dict[TaskKey, Observation],
    ) -> list[str]:
        """Add what one schedd knows; return what went wrong."""
        wanted = {key: each for each in group for key in each.open_tasks.values()}
        now = self._clock()
        seen = from_ads(queue, wanted, Source.QUEUE, now)
        logged = self.glance([each for each in group if not all_in(each, seen)])
        seen = {key: it for key, it in logged.items() if it.state.is_terminal} | seen
        into |= seen
        missing = {key: wanted[key] for key in wanted.keys() - seen.keys()}
        if not missing:
            return []
        history = self._history(where, missing)
        if isinstance(history, Unreachable):
            return [history.reason]
        into |= from_ads(history, missing, Source.ACCOUNTING, now)
        return []
