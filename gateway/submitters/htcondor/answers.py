"""What a tool's refusal means: was it sent, and may it be tried again; pure.

A submission is one transaction of the job queue: what fails before its commit has left nothing
behind. So an error can be taken as final where its text shows that it came before.
"""

from __future__ import annotations

import re

from gateway.submitters.base import (
    Acknowledged,
    ActOutcome,
    Backpressure,
    Rejected,
    SubmitOutcome,
    Submitted,
    Unclear,
    Unreachable,
)
from gateway.submitters.htcondor.parse import parse_terse
from gateway.transport.base import CommandResult, Failure

_NOT_SENT = (Failure.NOT_FOUND, Failure.NOT_ATTEMPTED)
_LIMIT = re.compile(r"would exceed (MAX_JOBS_\w+)")
_PER_CALL = "MAX_JOBS_PER_SUBMISSION"
_NO_SCHEDD = re.compile(
    r"Can't find address of|Failed to connect to (local )?queue manager|unknown host|"
    r"Can't find address for schedd",
    re.IGNORECASE,
)
"""condor_submit gives up before it begins a transaction."""
_COMMIT = re.compile(r"Failed to commit job submission into the queue\.?\s*ERROR: *(.+)", re.DOTALL)
"""The schedd's own refusal at the commit: SUBMIT_REQUIREMENT and the like."""
_TROUBLE = re.compile(
    r"SECMAN|AUTHENTICATE|DCSchedd|Failed to|Can't (find|connect)|timed? ?out", re.I
)
_DESCRIPTION = re.compile(r"^\s*ERROR:", re.MULTILINE)
_GONE = re.compile(r"Couldn't find/\w+ all jobs|There are no jobs in the queue|Job \S+ not found")


def submit_outcome(result: CommandResult, tasks: int, where: str) -> SubmitOutcome:
    """Return what became of a submission."""
    if result.was_ended:
        return Unclear(result.complaint)
    if result.failure:
        not_sent = result.failure in _NOT_SENT
        return Backpressure(result.complaint) if not_sent else Unclear(result.complaint)
    if result.ok:
        accepted = parse_terse(result.stdout)
        if accepted is None or accepted.jobs != tasks:
            words = " ".join(result.stdout.split())[:200]
            return Unclear(f"condor_submit said {words!r} for {tasks} tasks")
        return Submitted(str(accepted.cluster), where, result.stdout.strip())
    return _refused(result, tasks)


def counts_jobs(outcome: SubmitOutcome) -> bool:
    """Whether the schedd has as many jobs of the user, or of all, as it may have."""
    limit = _LIMIT.search(outcome.reason) if isinstance(outcome, Backpressure) else None
    return limit is not None and limit[1] != _PER_CALL


def _refused(result: CommandResult, tasks: int) -> SubmitOutcome:
    text = result.stderr or result.stdout
    limit = _LIMIT.search(text)
    if limit:
        per_call = limit[1] == _PER_CALL
        return Backpressure(result.complaint, max(1, tasks // 2) if per_call else None)
    if _NO_SCHEDD.search(text):
        return Backpressure(result.complaint)
    commit = _COMMIT.search(text)
    if commit:
        return Rejected(" ".join(commit[1].split()))
    if _DESCRIPTION.search(text) and not _TROUBLE.search(_without_parse_errors(text)):
        return Rejected(result.complaint)
    return Unclear(result.complaint)


def _without_parse_errors(text: str) -> str:
    """Leave out what may quote the user's own words."""
    text = re.sub(r"Parse error in expression:.*", "", text, flags=re.DOTALL)
    return text.replace("Failed to parse command file", "")


def act_outcome(result: CommandResult) -> ActOutcome:
    """Return whether a removal was taken; a job that is gone needs none."""
    if result.ok:
        return Acknowledged(" ".join(result.stdout.split())[:200])
    text = f"{result.stdout}\n{result.stderr}"
    if result.failure is None and _GONE.search(text) and not _TROUBLE.search(text):
        return Acknowledged(result.complaint)
    return Unreachable(result.complaint)
