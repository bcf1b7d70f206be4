"""See to it that nothing of an attempt can start after it was given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.core.parts import Cluster, Parts
from gateway.core.sighting import Watched
from gateway.crash_points import CrashPoint, crash_point
from gateway.submitters import control
from gateway.submitters.base import Acknowledged, ActiveSubmission
from gateway.vocabulary.evidence import Outcome, SchedulerState
from gateway.vocabulary.records import Lease

REPEAT_S = 10.0
"""So long a scheduler that did not confirm a removal is not asked again."""

_STILL_IN_SCHEDULER = frozenset({Outcome.LOST, Outcome.NODE_LOST, Outcome.PREEMPTED})
"""Outcomes after which a copy could yet start: the scheduler is asked to drop it first."""


class Remains:
    """Forbids and removes what the scheduler might yet start of attempts that are given up."""

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        self._refused_at: dict[tuple[str, str], float] = {}

    def drop(
        self,
        cluster: Cluster,
        news: Sequence[Watched],
        active: Sequence[ActiveSubmission],
        now: float,
    ) -> list[Watched]:
        """Return what may be written down now.

        While the scheduler does not confirm the removal of an attempt, it stays open. All are
        removed with one call for each place, however many they are.
        """
        remains = [each for each in news if _may_remain(each)]
        self._say_why(remains)
        holders = {key: each for each in active for key in each.open_tasks.values()}
        kept: set[str] = set()
        places: dict[str, dict[tuple[str, str], ActiveSubmission]] = {}
        for each in remains:
            submission = holders.get(each.attempt.key)
            if submission is None:
                continue
            if not self._forbid(submission, each):
                kept.add(each.attempt.key)
                continue
            asked = places.setdefault(submission.where, {})
            copy = (submission.key, submission.native_id)
            so_far = asked[copy].open_tasks if copy in asked else {}
            tasks = {**so_far, each.attempt.task_index or 0: each.attempt.key}
            asked[copy] = replace(submission, open_tasks=tasks)
        for where, asked in places.items():
            if not self._remove(cluster, where, list(asked.values()), now):
                kept |= {key for each in asked.values() for key in each.open_tasks.values()}
        kept |= self._claimed_meanwhile([each for each in news if _is_unclaimed(each)], holders)
        kept |= _ended_meanwhile(remains, holders)
        return [each for each in news if each.attempt.key not in kept]

    def _claimed_meanwhile(
        self, unclaimed: Sequence[Watched], holders: Mapping[str, ActiveSubmission]
    ) -> set[str]:
        """Forbid what ended unclaimed, and return what could not be forbidden in time.

        A late copy of an earlier call could yet claim and run it. Who claims at this moment claims
        before it looks whether it may start: it is waited for.
        """
        found: set[str] = set()
        folders: dict[Path, dict[int, str]] = {}
        for each in unclaimed:
            key = each.attempt.key
            if (submission := holders.get(key)) is None:
                continue
            if self._forbid(submission, each):
                folder = folders.setdefault(submission.control_dir, {})
                folder[each.attempt.task_index or 0] = key
            else:
                found.add(key)
        for directory, forbidden in folders.items():
            try:
                claimed = control.claimed(directory)
            except OSError:
                found |= set(forbidden.values())
                continue
            found |= {key for index, key in forbidden.items() if index in claimed}
        return found

    def _say_why(self, remains: Sequence[Watched]) -> None:
        """Write down why attempts are given up, before the scheduler is asked to drop them.

        Whoever finds them removed later must not take that for the work of a stranger.
        """
        new = [
            (each.attempt.key, {"outcome": given.outcome.value, "reason": given.reason})
            for each in remains
            if (given := each.verdict).outcome and each.attempt.outcome is not given.outcome
        ]
        if not new:
            return
        with self._parts.store.drive(self._lease) as transaction:
            transaction.jobs.set_attempts(new)
        crash_point(CrashPoint.GIVEN_UP)

    def _forbid(self, submission: ActiveSubmission, each: Watched) -> bool:
        try:
            control.forbid_start(submission.control_dir, each.attempt.task_index or 0)
        except OSError:
            return False
        crash_point(CrashPoint.REMAINS_FORBIDDEN)
        return True

    def _remove(
        self, cluster: Cluster, where: str, asked: Sequence[ActiveSubmission], now: float
    ) -> bool:
        place = (cluster.name, where)
        if abs(now - self._refused_at.get(place, 0.0)) < REPEAT_S:
            return False
        confirmed = isinstance(cluster.submitter.cancel(asked), Acknowledged)
        crash_point(CrashPoint.REMAINS_REMOVED)
        if not confirmed:
            self._refused_at[place] = now
        return confirmed


def _ended_meanwhile(
    remains: Sequence[Watched], holders: Mapping[str, ActiveSubmission]
) -> set[str]:
    """Return the attempts whose exit record has come since they were looked at.

    The driver may have been paused, and the command may have ended by itself before it was removed.
    """
    found: set[str] = set()
    folders: dict[Path, dict[int, Watched]] = {}
    for each in remains:
        if submission := holders.get(each.attempt.key):
            index = each.attempt.task_index or 0
            folders.setdefault(submission.control_dir, {})[index] = each
    for folder, asked in folders.items():
        try:
            records = control.read_exit_records(folder, asked)
        except OSError:
            found |= {each.attempt.key for each in asked.values()}
            continue
        new = {i for i, record in records.items() if record != asked[i].evidence.exit_record}
        found |= {asked[index].attempt.key for index in new}
    return found


def _is_unclaimed(news: Watched) -> bool:
    evidence = news.evidence
    over = news.verdict.outcome is not None
    return over and evidence.claim is None and evidence.exit_record is None


def _may_remain(news: Watched) -> bool:
    seen = news.evidence.observation
    if news.verdict.outcome is None:
        return False
    held = seen is not None and (seen.state is SchedulerState.HELD or seen.hold is not None)
    if held or news.verdict.outcome in _STILL_IN_SCHEDULER:
        return True
    # Who was told to end, by whomever, can be started again unless the scheduler calls it over: it
    # may have been a requeue, also of what is to be stopped.
    record = news.evidence.exit_record
    over = seen is not None and seen.state.is_terminal
    return record is not None and record.was_told_to_end and not over
