"""Find out about submissions without an answer, and send again what is provably absent.

A submission that was only prepared was never sent. One that was being sent, by a driver that
was killed or to a scheduler that did not answer, is looked up by its key.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.dispatch import Dispatch
from gateway.core.each import for_each
from gateway.core.parts import Parts
from gateway.core.submissions import entry, submission_of
from gateway.crash_points import CrashPoint, crash_point
from gateway.submitters.base import Absent, Backpressure, Found
from gateway.vocabulary.records import Attempt, EventKind, Lease, SubmissionRecord
from gateway.vocabulary.states import SubmissionState

FIND_INTERVAL_S = 10.0
CLOCK_SLACK_S = 600.0
"""How far the clocks of this host and of the scheduler may be apart."""


class Settlement:
    """Settles submissions whose fate is not known."""

    def __init__(self, parts: Parts, lease: Lease, dispatch: Dispatch) -> None:
        self._parts = parts
        self._lease = lease
        self._dispatch = dispatch
        self._looked_at: dict[str, float] = {}

    def settle_all(self) -> int:
        """Find out about submissions without an answer; return how many were settled."""
        with self._parts.store.read() as transaction:
            unsettled = transaction.submissions.unsettled()
        known = [record for record in unsettled if record.cluster in self._parts.clusters]
        return for_each(known, self._settle)

    def _settle(self, record: SubmissionRecord) -> bool:
        if record.state is SubmissionState.PREPARED:
            return self._dispatch.send(record)
        now = self._parts.clock()
        cluster = self._parts.clusters[record.cluster]
        resend_at = (record.called_at or record.prepared_at) + cluster.settings.resend_after
        if not self._is_due(record.key, now, resend_at):
            return False
        self._looked_at[record.key] = now
        with self._parts.store.read() as transaction:
            attempts = transaction.jobs.attempts_in(record.key)
            jobs = transaction.jobs.many({attempt.job_id for attempt in attempts})
            stopping = {workflow.id for workflow in transaction.workflows.stopping()}
        submission = submission_of(record, attempts, jobs)
        found = cluster.submitter.find(submission, record.prepared_at - CLOCK_SLACK_S)
        crash_point(CrashPoint.LOOKED_UP)
        if isinstance(found, Found):
            self._dispatch.adopt(record, found, "found by its key in the scheduler as")
            return True
        if not isinstance(found, Absent) or now < resend_at:
            return False
        if all(jobs[attempt.job_id].workflow_id in stopping for attempt in attempts):
            if not self._dispatch.take_back(record, attempts):
                return False
            self._dispatch.withdraw(record, Backpressure("stopped before the scheduler had it"))
            return True
        self._say_resent(record, attempts, now)
        crash_point(CrashPoint.RESEND_WRITTEN)
        return self._dispatch.send(record)

    def _is_due(self, key: str, now: float, resend_at: float) -> bool:
        """Whether to look a submission up: now and then, and when it may be sent again."""
        last = self._looked_at.get(key)
        return last is None or abs(now - last) >= FIND_INTERVAL_S or last < resend_at <= now

    def _say_resent(
        self, record: SubmissionRecord, attempts: Sequence[Attempt], now: float
    ) -> None:
        with self._parts.store.drive(self._lease) as transaction:
            transaction.submissions.set(record.key, absent_since=now)
            words = "provably not in the scheduler: sent again under the same key"
            transaction.events.add(
                *[entry(attempt, EventKind.DECISION, words, now) for attempt in attempts]
            )
