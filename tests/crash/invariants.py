"""What must hold after any history, whatever happened."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.testing.fake_cluster import FakeCluster
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.records import Job, Workflow
from gateway.vocabulary.states import AttemptState, JobState, WorkflowStatus, may_follow
from tests.crash.place import Move, Place

JOB = ("created", "queued", "running", "finished failed stopped")
ATTEMPT = ("ready", "submitting", "pending held", "running", "ended")
SUBMISSION = {
    "prepared": "calling withdrawn",
    "calling": "calling unclear sent rejected withdrawn",
    "unclear": "calling sent withdrawn",
}
"""Which state of a submission may follow which; those that are missing are ends."""


def moves_backwards(moves: Sequence[Move], may_go_back: Collection[str]) -> list[str]:
    """Return the changes that a state must never make.

    Parameters
    ----------
    may_go_back
        Attempts that the scheduler put back into its queue.
    """
    return [
        f"{move.kind} {move.name} went from {move.before} to {move.after}"
        for move in moves
        if not _is_legal(move, may_go_back)
    ]


def _is_legal(move: Move, may_go_back: Collection[str]) -> bool:
    if move.kind == "workflows":
        return may_follow(WorkflowStatus(move.before), WorkflowStatus(move.after))
    if move.kind == "submissions":
        return move.after in SUBMISSION.get(move.before, "").split()
    if move.kind == "jobs":
        return _rank(JOB, move.before) < _rank(JOB, move.after)
    if (move.before, move.after) == ("submitting", "ready"):
        return True
    before, after = _rank(ATTEMPT, move.before), _rank(ATTEMPT, move.after)
    requeued = move.name in may_go_back and move.before == "running" and after == 2
    return before < after or (before == after == 2) or requeued


def _rank(order: Sequence[str], state: str) -> int:
    return next(rank for rank, names in enumerate(order) if state in names.split())


def wrong_results(
    place: Place,
    workflows: Sequence[Workflow],
    stopped: Collection[str],
    scheduler: FakeCluster,
    *,
    may_be_refused: bool,
) -> list[str]:
    """Return workflows and jobs whose result is not what happened to them."""
    found = []
    for workflow in workflows:
        status, jobs = place.status(workflow), place.jobs(workflow)
        expected = _expected(workflow, jobs, stopped, may_be_refused=may_be_refused)
        if status not in expected:
            reasons = [f"{job.command}: {job.state}, {job.reason}" for job in jobs]
            found.append(f"{workflow.name} is {status}, not one of {expected}: {reasons}")
        found += [
            f"job {job.id} of {workflow.name} ({job.command}) is {job.state} and has "
            f"{'' if _compact(job) in scheduler.succeeded else 'not '}succeeded: {job.reason}"
            for job in jobs
            if (job.state is JobState.FINISHED) != (_compact(job) in scheduler.succeeded)
            and not (workflow.id in stopped and job.state is JobState.STOPPED)
        ]
    return found


def left_behind(place: Place, workflows: Sequence[Workflow]) -> list[str]:
    """Return what of ended workflows was never brought to an end."""
    found = []
    with place.store.read() as transaction:
        for workflow in workflows:
            found += [
                f"attempt {attempt.key} of {workflow.name} is {attempt.state}"
                for attempt in transaction.jobs.attempts_of_workflow(workflow.id)
                if attempt.state is not AttemptState.ENDED
            ]
    return found


def _expected(
    workflow: Workflow, jobs: Sequence[Job], stopped: Collection[str], *, may_be_refused: bool
) -> set[WorkflowStatus]:
    commands = [step["commands"][0] for step in _steps(workflow)]
    good = {WorkflowStatus.FAILED if "bad" in commands else WorkflowStatus.FINISHED}
    if workflow.id in stopped:
        good.add(WorkflowStatus.STOPPED)
    refusals = (Outcome.REJECTED.value, Outcome.IMAGE.value)
    if may_be_refused and any(job.outcome in refusals for job in jobs):
        good.add(WorkflowStatus.FAILED)
    return good


def _steps(workflow: Workflow) -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = workflow.specification["workflow"]["specification"]["steps"]
    return found


def _compact(job: Job) -> str:
    return job.id.replace("-", "")
