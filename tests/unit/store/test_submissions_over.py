"""Of which submissions nothing is left to do, so that their files may go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.store.store import Store
from gateway.vocabulary.records import (
    Attempt,
    Job,
    Purpose,
    RunNumber,
    SubmissionRecord,
    Workflow,
)
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import AttemptState, JobState, SubmissionState, WorkflowStatus

BEFORE = 1000.0
LONG_AGO, LATELY = BEFORE - 1, BEFORE

SENT = SubmissionRecord(
    "gw1", "local", "fit", SubmissionState.SENT, Resources(), (), "/control/gw1", LONG_AGO
)
DONE = Workflow(
    "w1", "fit", RunNumber(1), WorkflowStatus.FINISHED, {}, {}, {}, "/w1", 0.0, finished_at=LONG_AGO
)
ENDED = Attempt(
    "j1.1", "j1", 1, AttemptState.ENDED, "local", Resources(), 0.0,
    submission_key="gw1", task_index=0, finished_at=LONG_AGO,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A submission with one attempt, of a workflow or of none."""

    submission: SubmissionRecord = SENT
    workflow: Workflow | None = DONE
    attempt: Attempt | None = ENDED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/gateway.db")
    yield opened
    opened.close()


def job(workflow: Workflow | None, number: int = 1) -> Job:
    return Job(
        f"j{number}", workflow.id if workflow else None, f"k{number}", number,
        Purpose.STEP if workflow else Purpose.IMAGE,
        "fit", "true", "img", "local", Resources(), 0, False, JobState.FINISHED, 0.0,
    )  # fmt: skip


def write(store: Store, case: Case) -> None:
    with store.write() as transaction:
        transaction.submissions.add(case.submission)
        if case.workflow:
            transaction.workflows.add(case.workflow)
        if case.attempt:
            transaction.jobs.add([job(case.workflow)])
            transaction.jobs.add_attempts([case.attempt])


def over(store: Store) -> list[str]:
    with store.read() as transaction:
        return transaction.submissions.over(["gw1", "gw-unknown"], BEFORE)


@pytest.mark.parametrize(
    "case",
    [
        Case(),
        Case(workflow=replace(DONE, status=WorkflowStatus.DELETED)),
        Case(workflow=None),
        Case(
            workflow=None, attempt=None, submission=replace(SENT, state=SubmissionState.WITHDRAWN)
        ),
    ],
    ids=["finished", "deleted", "an image", "taken back"],
)
def test_what_ended_long_ago_is_over(store: Store, case: Case) -> None:
    write(store, case)
    assert over(store) == ["gw1"]


@pytest.mark.parametrize(
    "case",
    [
        Case(attempt=replace(ENDED, state=AttemptState.RUNNING, finished_at=None)),
        Case(attempt=replace(ENDED, finished_at=LATELY)),
        Case(workflow=None, attempt=replace(ENDED, state=AttemptState.PENDING, finished_at=None)),
        Case(workflow=None, attempt=replace(ENDED, finished_at=LATELY)),
        Case(workflow=replace(DONE, finished_at=LATELY)),
        Case(workflow=replace(DONE, status=WorkflowStatus.RUNNING, finished_at=None)),
        Case(submission=replace(SENT, prepared_at=LATELY), workflow=None, attempt=None),
        Case(submission=replace(SENT, state=SubmissionState.UNCLEAR), workflow=None, attempt=None),
    ],
    ids=[
        "its attempt runs",
        "its attempt ended lately",
        "an image is fetched",
        "an image was fetched lately",
        "its workflow ended lately",
        "its workflow goes on",
        "written down lately",
        "of unclear fate",
    ],
)
def test_what_may_still_matter_is_not_over(store: Store, case: Case) -> None:
    write(store, case)
    assert over(store) == []


def test_one_workflow_that_goes_on_keeps_the_files_of_all(store: Store) -> None:
    write(store, Case())
    other = replace(
        DONE, id="w2", run=RunNumber(2), status=WorkflowStatus.RUNNING, finished_at=None
    )
    with store.write() as transaction:
        transaction.workflows.add(other)
        transaction.jobs.add([job(other, 2)])
        transaction.jobs.add_attempts([replace(ENDED, key="j2.1", job_id="j2", task_index=1)])
    assert over(store) == []
    with store.read() as transaction:
        assert transaction.submissions.workflows(["gw1"]) == {"w1", "w2"}


def test_an_image_belongs_to_no_workflow(store: Store) -> None:
    write(store, Case(workflow=None))
    with store.read() as transaction:
        assert transaction.submissions.workflows(["gw1"]) == frozenset()
