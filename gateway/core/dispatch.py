"""Send attempts: write the intent, call the scheduler once, write down the answer.

The state ``prepared`` is committed before any call and ``calling`` before each, so whatever is
killed, the next driver knows which submissions the scheduler cannot have and which it may have.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from gateway.core.conclude import End, conclude
from gateway.core.each import for_each
from gateway.core.launches import launches_of, say_secrets
from gateway.core.ledger import Ledger, Standing
from gateway.core.parts import Cluster, Parts
from gateway.core.pauses import Pauses, length_s
from gateway.core.submissions import detours, entry, label_of, submission_of
from gateway.crash_points import CrashPoint, crash_point
from gateway.store.store import Transaction
from gateway.submitters import control
from gateway.submitters.base import (
    Backpressure,
    Found,
    Rejected,
    SubmitOutcome,
    Submitted,
    Unclear,
)
from gateway.vocabulary import waits
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.records import (
    Attempt,
    ClusterState,
    EventKind,
    Job,
    Lease,
    SubmissionRecord,
)
from gateway.vocabulary.states import AttemptState, SubmissionState


class Dispatch:
    """Sends ready attempts."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        self._ledger = Ledger()
        self._pauses = Pauses()

    def send_ready(self) -> int:
        """Send what may be sent now; return how many submissions were made."""
        return for_each(self._parts.clusters.values(), self._send_ready_to)

    def _send_ready_to(self, cluster: Cluster) -> int:
        now = self._parts.clock()
        with self._parts.store.read() as transaction:
            ready = transaction.jobs.ready_attempts(cluster.name, now)
            known = transaction.clusters.get(cluster.name)
            there = transaction.jobs.in_scheduler(cluster.name) if ready else 0
            standing = (
                self._ledger.standing(transaction, cluster.name, now) if ready else Standing()
            )
        if not ready:
            return 0
        if self._pauses.holds(known, there, now):
            self._say_waiting(ready, waits.not_taken(cluster.name, known.blocked_reason))
            return 0
        sent = 0
        left = {attempt.key for attempt in ready}
        for group in self._groups(cluster, known, ready, there, standing):
            left -= {attempt.key for attempt in group}
            able = self._refuse_unable(cluster, group)
            sent += 1
            if able and not self.send(self._prepare(cluster, able, standing)):
                return sent
        waiting = [attempt for attempt in ready if attempt.key in left]
        self._say_waiting(waiting, waits.room_on(cluster.name))
        return sent

    def _say_waiting(self, attempts: Sequence[Attempt], words: str) -> None:
        """Let users see what attempts wait for, once."""
        news = [attempt for attempt in attempts if attempt.waits_for != words]
        if not news:
            return
        with self._parts.store.drive(self._lease) as transaction:
            transaction.jobs.set_attempts([(each.key, {"waits_for": words}) for each in news])

    def _refuse_unable(self, cluster: Cluster, group: Sequence[Attempt]) -> list[Attempt]:
        """End attempts whose command line cannot be made; return the others."""
        with self._parts.store.read() as transaction:
            jobs = transaction.jobs.many({attempt.job_id for attempt in group})
            bad = launches_of(self._parts, transaction, group, jobs).bad
        if bad:
            now = self._parts.clock()
            with self._parts.store.drive(self._lease) as transaction:
                for attempt in group:
                    if attempt.key in bad:
                        job = jobs[attempt.job_id]
                        self._end(transaction, cluster, job, attempt, bad[attempt.key].message, now)
        return [attempt for attempt in group if attempt.key not in bad]

    def _groups(
        self,
        cluster: Cluster,
        known: ClusterState,
        ready: Sequence[Attempt],
        there: int,
        standing: Standing,
    ) -> Iterator[list[Attempt]]:
        """Yield attempts of one shape, no more at once than the cluster takes."""
        free = (cluster.settings.max_active_tasks or there + len(ready)) - there

        def shape(attempt: Attempt) -> str:
            """Return what attempts must have in common to go out with one call."""
            return repr((sorted(attempt.resources.to_json().items()), standing.excluded(attempt)))

        by_shape = sorted(ready, key=shape)
        for _, same in groupby(by_shape, key=shape):
            group = list(same)
            room = cluster.submitter.room(group[0].resources)
            allowed = min(len(group), free, len(group) if room is None else room)
            most = self._most_at_once(cluster, known) if allowed > 1 else 1
            for start in range(0, max(0, allowed), most):
                yield group[start : min(start + most, allowed)]
            free -= max(0, allowed)

    def _most_at_once(self, cluster: Cluster, known: ClusterState) -> int:
        """Return how many tasks one submission may have; asks the scheduler once."""
        return min(
            cluster.settings.max_tasks_per_submission,
            cluster.submitter.limits().tasks_per_submission,
            known.limit or cluster.settings.max_tasks_per_submission,
        )

    def _prepare(
        self, cluster: Cluster, group: Sequence[Attempt], standing: Standing
    ) -> SubmissionRecord:
        key = f"gw{secrets.token_hex(8)}"
        now = self._parts.clock()
        with self._parts.store.drive(self._lease) as transaction:
            jobs = transaction.jobs.many({attempt.job_id for attempt in group})
            record = SubmissionRecord(
                key=key,
                cluster=cluster.name,
                label=label_of([jobs[attempt.job_id] for attempt in group]),
                state=SubmissionState.PREPARED,
                resources=group[0].resources,
                exclude_nodes=standing.excluded(group[0]),
                control_dir=str(self._parts.control_dir(key)),
                prepared_at=now,
            )
            transaction.submissions.add(record)
            submitting = {
                "state": AttemptState.SUBMITTING.value,
                "submission_key": key,
                "waits_for": "the scheduler to take it",
            }
            transaction.jobs.set_attempts(
                [(each.key, {**submitting, "task_index": n}) for n, each in enumerate(group)]
            )
            transaction.events.add(*detours(group, record.exclude_nodes, standing, now))
        crash_point(CrashPoint.INTENT_WRITTEN)
        return record

    def send(self, record: SubmissionRecord) -> bool:
        """Make the call for a submission; say whether the cluster takes more."""
        with self._parts.store.read() as transaction:
            attempts = transaction.jobs.attempts_in(record.key)
            jobs = transaction.jobs.many({attempt.job_id for attempt in attempts})
            launches = launches_of(self._parts, transaction, attempts, jobs)
        for error in launches.bad.values():
            return self._put_back(record, attempts, error.message)
        submission = submission_of(record, attempts, jobs)
        try:
            control.prepare(submission, launches.good)
        except OSError as error:
            words = f"{waits.NOT_WRITTEN}: {error.strerror}: {error.filename}"
            return self._put_back(record, attempts, words)
        crash_point(CrashPoint.FILES_WRITTEN)
        with self._parts.store.drive(self._lease) as transaction:
            transaction.submissions.set(
                record.key, state=SubmissionState.CALLING.value, called_at=self._parts.clock()
            )
            transaction.events.add(*say_secrets(attempts, launches, self._parts.clock()))
        crash_point(CrashPoint.CALL_WRITTEN)
        outcome = self._parts.clusters[record.cluster].submitter.submit(submission)
        crash_point(CrashPoint.CALL_MADE)
        again = record.called_at is not None and isinstance(outcome, Backpressure | Rejected)
        if again and not self.take_back(record, attempts):
            outcome = Unclear("an earlier call may have reached the scheduler")
        takes_more = self._write_down(record, attempts, jobs, outcome)
        crash_point(CrashPoint.ANSWER_WRITTEN)
        return takes_more

    def _put_back(self, record: SubmissionRecord, attempts: Sequence[Attempt], words: str) -> bool:
        """Put attempts back that cannot be sent now, unless an earlier call may have sent them."""
        if record.called_at is None or self.take_back(record, attempts):
            self.withdraw(record, Backpressure(words, limit=len(attempts)))
        else:
            self._leave_unclear(record, words)
        return False

    def _write_down(
        self,
        record: SubmissionRecord,
        attempts: Sequence[Attempt],
        jobs: Mapping[str, Job],
        outcome: SubmitOutcome,
    ) -> bool:
        match outcome:
            case Submitted(native_id=native_id, where=where, said=said):
                self.adopt(record, Found(native_id, where, said), "the scheduler took it as")
                return True
            case Rejected(reason=reason):
                self._reject(record, attempts, jobs, reason)
                return True
            case Backpressure():
                self.withdraw(record, outcome)
                return False
            case Unclear(reason=reason):
                self._leave_unclear(record, reason)
                return False

    def adopt(self, record: SubmissionRecord, found: Found, words: str) -> None:
        """Write down that the scheduler has a submission."""
        now = self._parts.clock()
        with self._parts.store.drive(self._lease) as transaction:
            transaction.submissions.set(
                record.key,
                state=SubmissionState.SENT.value,
                native_id=found.native_id,
                where=found.where,
                absent_since=None,
                reason="",
            )
            attempts = transaction.jobs.attempts_in(record.key)
            known = {"native_id": found.native_id, "submitted_at": record.called_at or now}
            sent = {
                "state": AttemptState.PENDING.value,
                "reason": "sent",
                "waits_for": "the scheduler to start it",
            }
            # Its claim may have been seen before the answer of the scheduler.
            transaction.jobs.set_attempts(
                (each.key, known | (sent if each.state is AttemptState.SUBMITTING else {}))
                for each in attempts
            )
            said = f"{words} {found.native_id}"
            transaction.events.add(*[entry(each, EventKind.CALL, said, now) for each in attempts])
            limit = transaction.clusters.get(record.cluster).limit
            settings = self._parts.clusters[record.cluster].settings
            doubled = limit * 2 if limit else settings.max_tasks_per_submission
            transaction.clusters.set(
                record.cluster,
                blocked_until=None,
                blocked_reason="",
                blocked_times=0,
                limit=doubled if doubled < settings.max_tasks_per_submission else None,
            )

    def _reject(
        self,
        record: SubmissionRecord,
        attempts: Sequence[Attempt],
        jobs: Mapping[str, Job],
        reason: str,
    ) -> None:
        now = self._parts.clock()
        cluster = self._parts.clusters[record.cluster]
        words = f"cluster {record.cluster} refuses it: {reason}"
        with self._parts.store.drive(self._lease) as transaction:
            transaction.submissions.set(
                record.key, state=SubmissionState.REJECTED.value, reason=reason
            )
            for attempt in attempts:
                self._end(transaction, cluster, jobs[attempt.job_id], attempt, words, now)

    def _end(
        self,
        transaction: Transaction,
        cluster: Cluster,
        job: Job,
        attempt: Attempt,
        words: str,
        now: float,
    ) -> None:
        """End an attempt that will never be taken, and its job."""
        transaction.jobs.set_attempt(
            attempt.key,
            state=AttemptState.ENDED.value,
            outcome=Outcome.REJECTED.value,
            reason=words,
            waits_for="",
            finished_at=now,
        )
        transaction.events.add(entry(attempt, EventKind.CALL, words, now))
        end = End(Outcome.REJECTED, words, seen_at=now, ended_at=now)
        conclude(transaction, job, attempt, cluster, end)

    def take_back(self, record: SubmissionRecord, attempts: Sequence[Attempt]) -> bool:
        """Make sure that no late copy of an earlier call ever starts; say whether that is so.

        A driver that slept in the middle of its call may wake up and make it. The job script claims
        before it looks whether it may start: who has not claimed by now will see that it may not.
        """
        directory = Path(record.control_dir)
        try:
            for attempt in attempts:
                control.forbid_start(directory, attempt.task_index or 0)
        except OSError:
            return False
        crash_point(CrashPoint.RESEND_FORBIDDEN)
        try:
            return not control.claimed(directory)
        except OSError:
            return False

    def withdraw(self, record: SubmissionRecord, outcome: Backpressure) -> None:
        """Put the attempts back: the scheduler has no room, or cannot be asked, for now."""
        now = self._parts.clock()
        with self._parts.store.drive(self._lease) as transaction:
            known = transaction.clusters.get(record.cluster)
            refused = waits.not_taken(record.cluster, outcome.reason)
            transaction.submissions.set(
                record.key, state=SubmissionState.WITHDRAWN.value, reason=outcome.reason
            )
            attempts = transaction.jobs.attempts_in(record.key)
            ready = {
                "state": AttemptState.READY.value,
                "submission_key": None,
                "task_index": None,
                "waits_for": refused,
            }
            transaction.jobs.set_attempts((attempt.key, ready) for attempt in attempts)
            there = transaction.jobs.in_scheduler(record.cluster)
            self._pauses.refused(record.cluster, there, now)
            if known.blocked_reason != outcome.reason:
                said = f"not taken: {refused}"
                transaction.events.add(
                    *[entry(attempt, EventKind.CALL, said, now) for attempt in attempts]
                )
            transaction.clusters.set(
                record.cluster,
                blocked_until=now + length_s(known.blocked_times),
                blocked_reason=outcome.reason,
                blocked_times=min(known.blocked_times + 1, 10),
                # A refusal that names no number is answered with half as many.
                limit=outcome.limit or max(1, len(attempts) // 2),
            )
        if record.called_at is None:
            control.discard(Path(record.control_dir))

    def _leave_unclear(self, record: SubmissionRecord, reason: str) -> None:
        now = self._parts.clock()
        with self._parts.store.drive(self._lease) as transaction:
            transaction.submissions.set(
                record.key, state=SubmissionState.UNCLEAR.value, reason=reason
            )
            attempts = transaction.jobs.attempts_in(record.key)
            unsure = {"waits_for": f"{waits.UNSURE} ({reason})"}
            transaction.jobs.set_attempts((attempt.key, unsure) for attempt in attempts)
            said = f"no usable answer: {reason}"
            transaction.events.add(
                *[entry(attempt, EventKind.CALL, said, now) for attempt in attempts]
            )
