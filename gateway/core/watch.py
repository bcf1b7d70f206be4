"""Gather evidence and write down what follows.

Files are read at every pass, the scheduler is asked with one bulk call per cluster and interval.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from gateway.core.conclude import End, conclude
from gateway.core.copies import by_copy
from gateway.core.each import for_each
from gateway.core.parts import Cluster, Parts
from gateway.core.remains import Remains
from gateway.core.sighting import (
    Watched,
    columns,
    entries,
    if_changed,
    is_known,
    latest,
    record_since,
    said_since,
    with_memory,
)
from gateway.core.verdict import verdict
from gateway.crash_points import CrashPoint, crash_point
from gateway.store.store import Transaction
from gateway.submitters import control
from gateway.submitters.base import ActiveSubmission, Observed, Submitter
from gateway.vocabulary.evidence import (
    Claim,
    Evidence,
    ExitRecord,
    Observation,
    SchedulerState,
)
from gateway.vocabulary.records import Attempt, Lease, SubmissionRecord
from gateway.vocabulary.states import AttemptState, SubmissionState

logger = logging.getLogger(__name__)

YOUNG_S = 300.0
"""Jobs younger than this are asked about at the shorter interval."""

BATCH = 500
"""Attempts that are written in one transaction: nobody else may write meanwhile."""


class Watch:
    """Follows every attempt that a scheduler has."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        self._remains = Remains(parts, lease)
        self._claims: dict[str, dict[str, Claim]] = {}

    def look(self) -> int:
        """Make one pass over all open attempts; return how many changed."""
        with self._parts.store.read() as transaction:
            attempts = [a for a in transaction.jobs.open_attempts() if a.submission_key]
            submissions = transaction.submissions.many({a.submission_key or "" for a in attempts})
            workflows = transaction.workflows.stopping()
            stopping = transaction.jobs.ids_of({workflow.id for workflow in workflows})
        self._claims = {key: self._claims.get(key, {}) for key in submissions}

        def look_at(cluster: Cluster) -> int:
            mine = [a for a in attempts if a.cluster == cluster.name]
            return self._look_at(cluster, mine, submissions, stopping) if mine else 0

        return for_each(self._parts.clusters.values(), look_at)

    def _look_at(
        self,
        cluster: Cluster,
        attempts: Sequence[Attempt],
        submissions: Mapping[str, SubmissionRecord],
        stopping: Collection[str],
    ) -> int:
        # Whatever is seen from here on is at least as new as this: a driver may be paused anywhere.
        now = self._parts.clock()
        folders = _with_files(attempts, submissions)
        active = active_submissions(attempts, submissions)
        due = self._is_due(cluster, active, now)
        if due:
            self._learn_claims(folders)
        claims = {key: known.values() for key, known in self._claims.items()}
        active = by_copy(active, claims, cluster.submitter.submission_id)
        seen = dict(cluster.submitter.glance(active))
        asked = self._ask(cluster, active, now) if due else None
        if asked is not None:
            # An end in the event log is final; of living states the answer just given is newer.
            ends = {key: each for key, each in seen.items() if each.state.is_terminal}
            seen = {**seen, **asked.tasks, **ends}
        files = {folder.key: self._read_files(folder) for folder in folders}
        crash_point(CrashPoint.EVIDENCE_SEEN)
        listed = {submission.key for submission in active}
        answers = {key: asked if key in listed else None for key in files}
        watched = [
            self._judge(cluster, attempt, files, seen, answers, stopping, now)
            for attempt in attempts
        ]
        news = [w for w in watched if w is not None]
        return self._write(cluster, self._remains.drop(cluster, news, active, now), now)

    def _read_files(self, folder: _Folder) -> _Files | None:
        """Return claims and exit records; ``None`` while the filesystem does not answer."""
        known = self._claims.setdefault(folder.key, {})
        try:
            return _Files(
                control.read_claims(folder.control_dir, folder.open_indices, known),
                control.read_exit_records(folder.control_dir, folder.open_indices),
            )
        except OSError as error:
            logger.warning("control files cannot be read: %s", error)
            return None

    def _learn_claims(self, folders: Iterable[_Folder]) -> None:
        """Read who has claimed what: under its id the scheduler knows the copy that runs."""
        for folder in folders:
            with suppress(OSError):
                known = self._claims.setdefault(folder.key, {})
                control.read_claims(folder.control_dir, folder.open_indices, known)

    def _is_due(self, cluster: Cluster, active: Sequence[ActiveSubmission], now: float) -> bool:
        """Whether it is time for the bulk status call."""
        if not active:
            return False
        with self._parts.store.read() as transaction:
            last = transaction.clusters.get(cluster.name).status_at
        youngest = max(submission.submitted_at for submission in active)
        young = now - youngest < YOUNG_S
        settings = cluster.settings
        interval = settings.status_interval if young else settings.status_interval_max
        due = max(min(s.submitted_at for s in active), last or 0.0) + interval
        # A clock that was set back must not silence the gateway.
        return now >= due or (last is not None and last > now)

    def _ask(
        self, cluster: Cluster, active: Sequence[ActiveSubmission], now: float
    ) -> Observed | None:
        """Make the bulk status call; ``None`` if nobody answers."""
        with self._parts.store.drive(self._lease) as transaction:
            transaction.clusters.set(cluster.name, status_at=now)
        crash_point(CrashPoint.STATUS_DUE)
        answer = cluster.submitter.observe(active)
        return answer if isinstance(answer, Observed) else None

    def _judge(
        self,
        cluster: Cluster,
        attempt: Attempt,
        files: Mapping[str, _Files | None],
        seen: Mapping[str, Observation],
        answers: Mapping[str, Observed | None],
        stopping: Collection[str],
        now: float,
    ) -> Watched | None:
        found = files[attempt.submission_key or ""]
        if found is None:
            return None
        asked = answers[attempt.submission_key or ""]
        index = attempt.task_index or 0
        fresh = seen.get(attempt.key)
        claim = found.claims.get(index)
        last = latest(attempt.observed, fresh)
        if last and claim and _is_of_another_copy(last, claim, cluster.submitter):
            fresh = last = None
        missing = attempt.missing_since
        if claim is not None and not is_known(attempt.observed, claim):
            # It was not this start that was missing before it was claimed.
            missing = None
        if fresh is not None:
            missing = None
        elif asked is not None and asked.absence_counts:
            missing = missing or now
        since = said_since(attempt.observed, last, now)
        record = found.records.get(index)
        evidence = Evidence(
            submitted_at=attempt.submitted_at or now,
            claim=claim,
            exit_record=record,
            observation=last,
            said_since=since,
            missing_since=missing,
            held_since=since if last and last.state is SchedulerState.HELD else None,
            stop_requested=attempt.job_id in stopping,
            answered=asked is not None and attempt.key not in asked.unheard,
            record_since=record_since(attempt.observed, record, now),
            alive_elsewhere=asked is not None and attempt.key in asked.alive_elsewhere,
        )
        if attempt.state is AttemptState.SUBMITTING and not (
            evidence.claim or evidence.exit_record or fresh
        ):
            return None
        given = verdict(evidence, now, cluster.patience)
        return if_changed(Watched(attempt, evidence, with_memory(attempt, evidence, given)))

    def _write(self, cluster: Cluster, news: Sequence[Watched], now: float) -> int:
        for start in range(0, len(news), BATCH):
            with self._parts.store.drive(self._lease) as transaction:
                _write_batch(transaction, cluster, news[start : start + BATCH], now)
            crash_point(CrashPoint.VERDICT_WRITTEN)
        return len(news)


def _write_batch(
    transaction: Transaction, cluster: Cluster, news: Sequence[Watched], now: float
) -> None:
    not_ended = transaction.jobs.not_ended([each.attempt.key for each in news])
    news = [each for each in news if each.attempt.key in not_ended]
    jobs = transaction.jobs.many({each.attempt.job_id for each in news})
    values = {each.attempt.key: columns(each, now) for each in news}
    transaction.jobs.set_attempts(values.items())
    told = [entries(each, jobs[each.attempt.job_id], now) for each in news]
    transaction.events.add(*chain.from_iterable(told))
    transaction.jobs.start_all(
        {
            each.attempt.job_id: values[each.attempt.key]["started_at"] or now
            for each in news
            if each.verdict.state is AttemptState.RUNNING or each.evidence.claim
        }
    )
    for each in news:
        if each.verdict.outcome is None:
            continue
        found, record = values[each.attempt.key], each.evidence.exit_record
        ended = replace(each.attempt, state=AttemptState.ENDED, node=found["node"])
        end = End(
            each.verdict.outcome,
            each.verdict.reason,
            seen_at=now,
            ended_at=found["finished_at"],
            stopping=each.evidence.stop_requested,
            ran_for_s=record.finished_at - record.started_at if record else None,
        )
        crash_point(CrashPoint.VERDICT_HALF)
        conclude(transaction, jobs[ended.job_id], ended, cluster, end)


def _is_of_another_copy(said: Observation, claim: Claim, submitter: Submitter) -> bool:
    ours, theirs = (submitter.submission_id(id_) for id_ in (claim.native_id, said.native_id))
    return bool(ours and theirs) and ours != theirs


@dataclass(frozen=True, slots=True)
class _Files:
    claims: Mapping[int, Claim]
    records: Mapping[int, ExitRecord]


@dataclass(frozen=True, slots=True)
class _Folder:
    key: str
    control_dir: Path
    open_indices: frozenset[int]


def _with_files(
    attempts: Iterable[Attempt], submissions: Mapping[str, SubmissionRecord]
) -> list[_Folder]:
    indices: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        indices.setdefault(attempt.submission_key or "", []).append(attempt)
    return [
        _Folder(
            key,
            Path(submissions[key].control_dir),
            frozenset(a.task_index or 0 for a in group),
        )
        for key, group in indices.items()
    ]


def active_submissions(
    attempts: Iterable[Attempt], submissions: Mapping[str, SubmissionRecord]
) -> list[ActiveSubmission]:
    """Group open attempts by the submissions that the scheduler has."""
    tasks: dict[str, dict[int, str]] = {}
    for attempt in attempts:
        key = attempt.submission_key or ""
        if submissions[key].state is SubmissionState.SENT:
            tasks.setdefault(key, {})[attempt.task_index or 0] = attempt.key
    return [
        ActiveSubmission(
            key=key,
            native_id=submissions[key].native_id,
            control_dir=Path(submissions[key].control_dir),
            submitted_at=submissions[key].called_at or submissions[key].prepared_at,
            open_tasks=open_tasks,
            where=submissions[key].where,
        )
        for key, open_tasks in tasks.items()
    ]
