"""Write a verdict down: what it means for the attempt, its job, and the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.core.nodes import is_fault
from gateway.core.parts import Cluster
from gateway.core.policy import GiveUp, Past, Retry, decide
from gateway.crash_points import CrashPoint, crash_point
from gateway.site.model import LocalCluster
from gateway.store.store import Transaction
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.records import Attempt, Event, EventKind, Job, Purpose
from gateway.vocabulary.states import AttemptState, JobState

FETCH_IS_VAIN = 3
"""Exit code of a fetch job whose image can never be had."""


def attempt_key(job_id: str, number: int) -> str:
    """Return the idempotency key of an attempt: the job's id without dashes, and a count."""
    return f"{job_id.replace('-', '')}.{number}"


def first_attempt(job: Job, cluster: Cluster, now: float) -> Attempt:
    """Return the first attempt of a job, with the site's defaults filled in."""
    defaults = cluster.settings.defaults.resources()
    return Attempt(
        key=attempt_key(job.id, 1),
        job_id=job.id,
        number=1,
        state=AttemptState.READY,
        cluster=job.cluster,
        resources=job.resources.over(defaults),
        ready_at=now,
        waits_for="its turn to be sent",
    )


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt has ended.

    Parameters
    ----------
    stopping
        Whether the user wants its workflow stopped.
    ran_for_s
        From the start of the job script to its exit record, ``None`` without one.
    seen_at, ended_at
        By our clock, and by that of the node, which may not agree with ours.
    """

    outcome: Outcome
    reason: str
    seen_at: float
    ended_at: float
    stopping: bool = False
    ran_for_s: float | None = None


def conclude(
    transaction: Transaction, job: Job, attempt: Attempt, cluster: Cluster, end: End
) -> None:
    """End a job whose last attempt has just ended, or prepare its next attempt."""
    # A local cluster has no other nodes to go to.
    elsewhere = attempt.node and not isinstance(cluster.settings, LocalCluster)
    if elsewhere and is_fault(end.outcome, end.ran_for_s):
        transaction.nodes.add_fault(attempt, end.outcome, end.seen_at)
    result: dict[str, Any] = {"outcome": end.outcome.value, "finished_at": end.ended_at}
    if end.outcome is Outcome.SUCCESS:
        transaction.jobs.end(job.id, JobState.FINISHED, reason=end.reason, exit_code=0, **result)
        return
    if end.stopping:
        transaction.jobs.end(job.id, JobState.STOPPED, reason=end.reason, **result)
        return
    decision = _decide(transaction, job, cluster)
    if isinstance(decision, Retry):
        _retry(transaction, job, attempt, decision, end.seen_at)
        return
    words = f"{end.reason}; {decision.reason}" if decision.reason else end.reason
    last = transaction.jobs.attempts_of(job.id)[-1]
    transaction.jobs.end(job.id, JobState.FAILED, reason=words, exit_code=last.exit_code, **result)
    _note(transaction, job, attempt, f"job failed: {words}", end.seen_at)


def _decide(transaction: Transaction, job: Job, cluster: Cluster) -> Retry | GiveUp:
    ended = [a for a in transaction.jobs.attempts_of(job.id) if a.outcome is not None]
    past = [Past(a.outcome, a.resources, a.node) for a in ended if a.outcome is not None]
    vain = job.purpose is Purpose.IMAGE and ended[-1].exit_code == FETCH_IS_VAIN
    alone = isinstance(cluster.settings, LocalCluster)
    return decide(past, 0 if vain else job.retries, cluster.maximum, one_node=alone)


def _retry(transaction: Transaction, job: Job, attempt: Attempt, retry: Retry, now: float) -> None:
    following = Attempt(
        key=attempt_key(job.id, attempt.number + 1),
        job_id=job.id,
        number=attempt.number + 1,
        state=AttemptState.READY,
        cluster=attempt.cluster,
        resources=retry.resources,
        ready_at=now + retry.delay_s,
        exclude_nodes=retry.exclude_nodes,
        reason=retry.reason,
        waits_for=f"{retry.delay_s:.0f} s to pass" if retry.delay_s else "its turn to be sent",
    )
    transaction.jobs.add_attempts([following])
    crash_point(CrashPoint.RETRY_HALF)
    away = f", away from {', '.join(retry.exclude_nodes)}" if retry.exclude_nodes else ""
    words = f"attempt {following.number} follows: {retry.reason}{away}"
    _note(transaction, job, attempt, words, now)


def _note(transaction: Transaction, job: Job, attempt: Attempt, text: str, now: float) -> None:
    event = Event(now, EventKind.DECISION, text, job.workflow_id, job.id, attempt.key)
    transaction.events.add(event)
