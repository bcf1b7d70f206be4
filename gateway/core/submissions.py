"""A submission as submitters see it, and what the time lines of its attempts say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.core.ledger import Standing
from gateway.submitters.base import Submission, Task
from gateway.vocabulary.records import Attempt, Event, EventKind, Job, SubmissionRecord


def detours(
    group: Sequence[Attempt], excluded: Sequence[str], standing: Standing, now: float
) -> list[Event]:
    """Return what the time lines say about nodes that are avoided for the sake of all jobs."""
    nodes = [standing.avoided[node] for node in excluded if node in standing.avoided]
    words = ", ".join(f"node {each.node} ({each.words})" for each in nodes)
    if not words:
        return []
    return [entry(each, EventKind.DECISION, f"stays away from {words}", now) for each in group]


def label_of(jobs: Sequence[Job]) -> str:
    """Return what a person sees in the queue."""
    names = sorted({job.step for job in jobs})
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def submission_of(
    record: SubmissionRecord, attempts: Sequence[Attempt], jobs: Mapping[str, Job]
) -> Submission:
    """Return a submission as submitters see it."""
    return Submission(
        key=record.key,
        label=record.label,
        control_dir=Path(record.control_dir),
        resources=record.resources,
        exclude_nodes=record.exclude_nodes,
        tasks=tuple(
            Task(attempt.key, attempt.task_index or 0, jobs[attempt.job_id].step)
            for attempt in attempts
        ),
    )


def entry(attempt: Attempt, kind: EventKind, text: str, now: float) -> Event:
    """Return an entry of the time line of an attempt."""
    return Event(now, kind, text, None, attempt.job_id, attempt.key)
