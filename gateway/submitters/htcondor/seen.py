"""Putting what was read beside the tasks that were asked for; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from gateway.submitters.base import ActiveSubmission, TaskKey
from gateway.submitters.htcondor import parse
from gateway.submitters.htcondor.event_log import JobTrace, LogTrace
from gateway.vocabulary.evidence import Observation, Source

NEWS_S = 120.0
"""How long the last event of a living job is news."""


def year_of(now: float) -> int:
    """Return the year of a moment where we are."""
    return datetime.fromtimestamp(now).year


def by_schedd(active: Iterable[ActiveSubmission]) -> dict[str, list[ActiveSubmission]]:
    """Group submissions by the schedd that has them."""
    groups: dict[str, list[ActiveSubmission]] = {}
    for submission in active:
        groups.setdefault(submission.where, []).append(submission)
    return groups


def all_in(submission: ActiveSubmission, seen: Mapping[TaskKey, Observation]) -> bool:
    """Say whether every open task was seen."""
    return all(key in seen for key in submission.open_tasks.values())


def from_log(
    trace: LogTrace, submission: ActiveSubmission, now: float
) -> dict[TaskKey, Observation]:
    """Return what a log says of a submission's open tasks; task ``i`` is process ``i``.

    An end is always news. What a living job did last is news only for a while: a log that nobody
    writes any more, because the schedd has lost the job, must not keep it alive.
    """
    cluster = int(submission.native_id)
    seen: dict[TaskKey, Observation] = {}
    for index, key in submission.open_tasks.items():
        job = trace.jobs.get((cluster, index))
        if job and (job.state.is_terminal or _is_news(job, now)):
            seen[key] = job.observation(now)
    return seen


def _is_news(job: JobTrace, now: float) -> bool:
    return job.last_at is not None and abs(now - job.last_at) <= NEWS_S


def from_ads(
    ads: Iterable[parse.Ad],
    wanted: Mapping[TaskKey, ActiveSubmission],
    source: Source,
    now: float,
) -> dict[TaskKey, Observation]:
    """Take the ads of wanted tasks; one of the cluster that we know goes before any other."""
    seen: dict[TaskKey, Observation] = {}
    for ad in ads:
        key = str(ad.get("GatewayKey"))
        submission = wanted.get(key)
        if submission is None or ad.get("GatewaySubmission") != submission.key:
            continue
        ours = str(parse.cluster_of(ad)) == submission.native_id
        if ours or key not in seen:
            seen[key] = parse.observation(ad, source, now)
    return seen
