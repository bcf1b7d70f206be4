"""Carry out the wish to stop: written down by the user's command, repeated until it is so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.core.copies import by_copy
from gateway.core.parts import Cluster, Parts
from gateway.core.submissions import entry
from gateway.core.watch import active_submissions
from gateway.crash_points import CrashPoint, crash_point
from gateway.store.store import Transaction
from gateway.submitters import control
from gateway.submitters.base import Acknowledged, ActiveSubmission
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.records import Attempt, Event, EventKind, Job, Lease, Workflow
from gateway.vocabulary.states import AttemptState, JobState

REPEAT_S = 10.0


class Stop:
    """Stops the jobs of workflows that are to be stopped."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        self._asked_at: dict[str, float] = {}

    def carry_out(self) -> int:
        """Make one pass; return how many jobs were ended or asked to end."""
        with self._parts.store.read() as transaction:
            stopping = transaction.workflows.stopping()
        if not stopping:
            self._asked_at.clear()
            return 0
        ended = self._end_unsent(stopping)
        crash_point(CrashPoint.UNSENT_STOPPED)
        return ended + self._cancel_sent(stopping)

    def _end_unsent(self, stopping: list[Workflow]) -> int:
        """End the jobs that no scheduler has heard of."""
        now = self._parts.clock()
        ended = 0
        with self._parts.store.drive(self._lease) as transaction:
            found = transaction.jobs.of_workflows([workflow.id for workflow in stopping])
            jobs = [job for each in found.values() for job in each if not job.state.is_terminal]
            attempts = transaction.jobs.last_attempts([job.id for job in jobs])
            for job in jobs:
                last = attempts.get(job.id)
                if last is None or last.state is AttemptState.READY:
                    _end_unsent_job(transaction, job, last, now)
                    ended += 1
        return ended

    def _cancel_sent(self, stopping: list[Workflow]) -> int:
        """Forbid what has not started, and ask the schedulers to remove the rest."""
        with self._parts.store.read() as transaction:
            jobs = transaction.jobs.ids_of({workflow.id for workflow in stopping})
            attempts = [a for a in transaction.jobs.open_attempts() if a.submission_key]
            wanted = [a for a in attempts if a.job_id in jobs]
            submissions = transaction.submissions.many({a.submission_key or "" for a in wanted})
        for attempt in wanted:
            self._forbid(attempt, Path(submissions[attempt.submission_key or ""].control_dir))
            crash_point(CrashPoint.START_FORBIDDEN)
        asked = 0
        for cluster in self._parts.clusters.values():
            mine = [a for a in wanted if a.cluster == cluster.name]
            active = active_submissions(mine, submissions)
            if active and self._due(cluster.name):
                asked += self._cancel(cluster, _with_copies(cluster, active), mine)
        return asked

    def _forbid(self, attempt: Attempt, control_dir: Path) -> None:
        if attempt.key in self._asked_at:
            return
        self._asked_at[attempt.key] = self._parts.clock()
        # Losing this belt leaves the braces: the scheduler is asked as well.
        try:
            control.forbid_start(control_dir, attempt.task_index or 0)
        except OSError:
            del self._asked_at[attempt.key]

    def _due(self, cluster: str) -> bool:
        now = self._parts.clock()
        if abs(now - self._asked_at.get(cluster, 0.0)) < REPEAT_S:
            return False
        self._asked_at[cluster] = now
        return True

    def _cancel(
        self, cluster: Cluster, active: Sequence[ActiveSubmission], attempts: list[Attempt]
    ) -> int:
        answer = cluster.submitter.cancel(active)
        crash_point(CrashPoint.CANCEL_ASKED)
        if isinstance(answer, Acknowledged):
            words = f"asked cluster {cluster.name} to remove it" + (
                f": {answer.said}" if answer.said else ""
            )
        else:
            words = f"cluster {cluster.name} does not answer, will ask again: {answer.reason}"
        now = self._parts.clock()
        with self._parts.store.drive(self._lease) as transaction:
            transaction.events.add(
                *[entry(attempt, EventKind.CALL, words, now) for attempt in attempts]
            )
        crash_point(CrashPoint.CANCEL_WRITTEN)
        return len(active)


def _with_copies(
    cluster: Cluster, active: Sequence[ActiveSubmission]
) -> Sequence[ActiveSubmission]:
    """Return what to remove: also the copies that run where the scheduler got something twice."""
    claims = {}
    for each in active:
        with suppress(OSError):
            claims[each.key] = control.read_claims(each.control_dir).values()
    running = by_copy(active, claims, cluster.submitter.submission_id)
    return [*active, *[each for each in running if each not in active]]


def _end_unsent_job(transaction: Transaction, job: Job, last: Attempt | None, now: float) -> None:
    words = "stopped on request before it was sent"
    if last is not None:
        transaction.jobs.set_attempt(
            last.key,
            state=AttemptState.ENDED.value,
            outcome=Outcome.CANCELLED.value,
            reason=words,
            waits_for="",
            finished_at=now,
        )
    transaction.jobs.end(
        job.id, JobState.STOPPED, reason=words, outcome=Outcome.CANCELLED.value, finished_at=now
    )
    key = last.key if last else None
    event = Event(now, EventKind.DECISION, words, job.workflow_id, job.id, key)
    transaction.events.add(event)
