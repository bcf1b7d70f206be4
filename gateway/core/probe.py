"""One job outside of any workflow that shows whether a cluster works from end to end.

It is sent, claimed, run and judged by the same means as any other job, is bounded in time, and
leaves neither a job nor files behind. Knows no scheduler, and not what the job looks at.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.core.parts import Cluster
from gateway.core.verdict import Patience, verdict
from gateway.submitters import control
from gateway.submitters.base import (
    Acknowledged,
    ActiveSubmission,
    Backpressure,
    Found,
    Observed,
    Rejected,
    Submission,
    Submitted,
    Task,
    Unclear,
)
from gateway.vocabulary.evidence import Claim, Evidence, ExitRecord, Observation, Outcome
from gateway.vocabulary.launch import Launch
from gateway.vocabulary.resources import Resources

POLL_S = 0.2
ASK_EVERY_S = 10.0
FIRST_ASKED_S = 3.0
REMOVAL_S = 30.0
REMOVAL_ASKED_S = 3.0
MEMORY_MIB = 512
WALLTIME_S = 300


class Fate(StrEnum):
    """What became of the probe."""

    CAME_BACK = "came back"
    """Claimed, run, and its exit record is here."""
    LATE = "not back in time"
    REFUSED = "refused"
    NO_ROOM = "not taken now"
    NO_ANSWER = "no usable answer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What became of a probe.

    Parameters
    ----------
    words
        Why it is not back, or how it failed, in words for the user.
    called_at, claim_seen_at, record_seen_at
        By our clock, seconds since the epoch.
    output
        What the job wrote to its standard output.
    left
        What could not be removed, in words; empty if nothing is left.
    """

    fate: Fate
    words: str = ""
    native_id: str = ""
    called_at: float = 0.0
    claim: Claim | None = None
    claim_seen_at: float | None = None
    record: ExitRecord | None = None
    record_seen_at: float | None = None
    output: str = ""
    left: str = ""


class Probe:
    """One probe of one cluster.

    Parameters
    ----------
    control_dir
        Does not exist yet; its name is the submission's key.
    timeout_s
        How long to wait for the exit record.
    clock
        Seconds since the epoch.
    told_to_end
        Says whether the user wants to wait no longer.
    rest
        Lets seconds pass.
    """

    def __init__(
        self,
        cluster: Cluster,
        control_dir: Path,
        launch: Launch,
        timeout_s: float,
        *,
        clock: Callable[[], float] = time.time,
        told_to_end: Callable[[], bool] = lambda: False,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._submitter = cluster.submitter
        self._launch = launch
        self._timeout_s = timeout_s
        self._clock = clock
        self._told_to_end = told_to_end
        self._rest = rest
        self._directory = control_dir
        self._task = Task(f"{control_dir.name}.1", 0, "doctor")
        self._submission = Submission(
            key=control_dir.name,
            label="doctor",
            control_dir=control_dir,
            resources=small(cluster.settings.defaults.resources()),
            tasks=(self._task,),
        )
        self._called_at = 0.0
        self._active: ActiveSubmission | None = None
        self._seen: Observation | None = None
        self._said_since: float | None = None
        self._asked_at = 0.0
        self._claim: tuple[Claim, float] | None = None
        self._record: tuple[ExitRecord, float] | None = None

    def run(self) -> ProbeReport:
        """Send the probe, wait for it, and remove what is left of it."""
        try:
            control.prepare(self._submission, {self._task.key: self._launch})
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            return ProbeReport(Fate.FAILED, f"{self._directory}: {error.strerror}")
        unclear = True
        try:
            fate, words = self._send()
            unclear = fate is Fate.NO_ANSWER
            output = self._output()
        finally:
            left = self._remove(unclear)
        claim, claim_seen_at = self._claim or (None, None)
        record, record_seen_at = self._record or (None, None)
        return ProbeReport(
            fate,
            words,
            self._active.native_id if self._active else "",
            self._called_at,
            claim,
            claim_seen_at,
            record,
            record_seen_at,
            output,
            left,
        )

    def _send(self) -> tuple[Fate, str]:
        self._called_at = self._asked_at = self._clock()
        match self._submitter.submit(self._submission):
            case Submitted(native_id=native_id, where=where):
                self._take(native_id, where)
                return self._wait()
            case Rejected(reason=reason):
                return Fate.REFUSED, reason
            case Backpressure(reason=reason):
                return Fate.NO_ROOM, reason
            case Unclear(reason=reason):
                return Fate.NO_ANSWER, reason

    def _take(self, native_id: str, where: str) -> None:
        self._active = ActiveSubmission(
            key=self._submission.key,
            native_id=native_id,
            control_dir=self._directory,
            submitted_at=self._called_at,
            open_tasks={0: self._task.key},
            where=where,
        )

    def _wait(self) -> tuple[Fate, str]:
        deadline = self._called_at + self._timeout_s
        patience = Patience(settle_s=min(30.0, self._timeout_s / 2), lost_after_s=self._timeout_s)
        while True:
            late = self._clock() >= deadline or self._told_to_end()
            self._look()
            given = verdict(self._evidence(), self._clock(), patience)
            if given.outcome is Outcome.SUCCESS:
                return Fate.CAME_BACK, given.reason
            if given.outcome is not None:
                return Fate.FAILED, given.reason
            if late:
                return Fate.LATE, f"{given.reason}; waits for {given.waits_for}"
            self._ask_now_and_then(deadline)
            self._rest(POLL_S)

    def _evidence(self) -> Evidence:
        return Evidence(
            submitted_at=self._called_at,
            claim=self._claim[0] if self._claim else None,
            exit_record=self._record[0] if self._record else None,
            observation=self._seen,
            said_since=self._said_since,
        )

    def _look(self) -> None:
        """Read the files that the job script writes, and those of the scheduler."""
        assert self._active is not None
        try:
            claim = control.read_claims(self._directory).get(0)
            record = control.read_exit_records(self._directory).get(0)
        except OSError:
            # The filesystem does not answer now; the probe looks again.
            return
        now = self._clock()
        if claim and self._claim is None:
            self._claim = claim, now
        if record and self._record is None:
            self._record = record, now
        self._notice(self._submitter.glance([self._active]).get(self._task.key))

    def _ask_now_and_then(self, deadline: float) -> None:
        """Ask the scheduler seldom while the job is late, and a last time before the deadline."""
        now = self._clock()
        pause = FIRST_ASKED_S if self._seen is None else ASK_EVERY_S
        last = self._asked_at < deadline - 2.0 <= now
        if now - self._asked_at >= pause or last:
            self._ask()

    def _ask(self) -> bool:
        """Ask the scheduler; say whether it proved that the job is over."""
        assert self._active is not None
        self._asked_at = self._clock()
        answer = self._submitter.observe([self._active])
        if not isinstance(answer, Observed):
            return False
        self._notice(answer.tasks.get(self._task.key))
        if self._task.key not in answer.tasks:
            return answer.absence_counts
        return self._is_over()

    def _notice(self, seen: Observation | None) -> None:
        if seen is None:
            return
        if self._seen is None or self._seen.raw != seen.raw:
            self._said_since = seen.observed_at
        self._seen = seen

    def _is_over(self) -> bool:
        return self._seen is not None and self._seen.state.is_terminal

    def _output(self) -> str:
        restart = self._claim[0].restart if self._claim else 0
        try:
            return control.log_paths(self._directory, 0, restart)[0].read_text(errors="replace")
        except OSError:
            return ""

    def _remove(self, unclear: bool) -> str:
        """End the job, wait until the scheduler is done with it, and remove its files.

        A scheduler that still writes its log would fail, or hold the job, without the directory.
        """
        if self._active is None and unclear:
            self._find()
        if self._active is None:
            if unclear:
                return self._abandoned()
        elif not self._ended():
            return self._abandoned()
        else:
            # Some queues show what has ended for a while; this empties them.
            self._submitter.cancel([self._active])
        shutil.rmtree(self._directory, ignore_errors=True)
        return f"{self._directory} could not be removed" if self._directory.exists() else ""

    def _find(self) -> None:
        found = self._submitter.find(self._submission, self._called_at - WALLTIME_S)
        if isinstance(found, Found):
            self._take(found.native_id, found.where)

    def _ended(self) -> bool:
        """Remove the job if it has not ended by itself; say whether that is confirmed."""
        assert self._active is not None
        deadline = self._clock() + REMOVAL_S
        asked = self._clock() - REMOVAL_ASKED_S
        removed = self._record is not None
        while not self._is_over():
            if not removed:
                self._forbid()
                removed = isinstance(self._submitter.cancel([self._active]), Acknowledged)
            self._look()
            if self._clock() - asked >= REMOVAL_ASKED_S:
                asked = self._clock()
                if self._ask():
                    return True
            if self._clock() >= deadline:
                return False
            self._rest(POLL_S)
        return True

    def _forbid(self) -> None:
        try:
            control.forbid_start(self._directory, 0)
        except OSError:
            return

    def _abandoned(self) -> str:
        """Keep the files: a job that comes late then finds that it must not start."""
        self._forbid()
        native = f"job {self._active.native_id}" if self._active else "a job"
        return (
            f"the scheduler did not confirm that {native} named {self._submission.key} is gone; "
            f"it can no longer run its command; its files stay in {self._directory}"
        )


def small(defaults: Resources) -> Resources:
    """Return what the probe asks for: the site's defaults, cut down to next to nothing."""
    memory, walltime = defaults.memory_mib, defaults.walltime_s
    return Resources(
        cpus=1,
        memory_mib=memory and min(memory, MEMORY_MIB),
        walltime_s=min(walltime or WALLTIME_S, WALLTIME_S),
    )
