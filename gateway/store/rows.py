"""Rows of the database to records, and records to column values."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row

from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.records import (
    Attempt,
    ClusterState,
    Event,
    EventKind,
    Job,
    Lease,
    Purpose,
    RunNumber,
    SubmissionRecord,
    Workflow,
    WorkflowImage,
)
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import AttemptState, JobState, SubmissionState, WorkflowStatus

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _columns(record: DataclassInstance) -> dict[str, Any]:
    """Return the fields as they are: ``asdict`` copies all that is in them."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def workflow(row: Row[Any]) -> Workflow:
    """Build a workflow from its row."""
    data = dict(row._mapping)
    data.pop("news")
    data["run"] = RunNumber(data.pop("run_major"), data.pop("run_minor"))
    data["status"] = WorkflowStatus(data["status"])
    return Workflow(**data)


def workflow_values(record: Workflow) -> dict[str, Any]:
    """Return the columns of a new workflow."""
    data = _columns(record)
    del data["run"]
    return data | {"run_major": record.run.major, "run_minor": record.run.minor}


def _outcome(text: str | None) -> Outcome | None:
    return Outcome(text) if text else None


def job(row: Row[Any]) -> Job:
    """Build a job from its row."""
    data = dict(row._mapping)
    return Job(
        **data
        | {
            "purpose": Purpose(data["purpose"]),
            "resources": Resources.from_json(data["resources"]),
            "cvmfs": bool(data["cvmfs"]),
            "state": JobState(data["state"]),
            "outcome": _outcome(data["outcome"]),
        }
    )


def job_values(record: Job) -> dict[str, Any]:
    """Return the columns of a new job."""
    return _columns(record) | {
        "resources": record.resources.to_json(),
        "cvmfs": int(record.cvmfs),
    }


def attempt(row: Row[Any]) -> Attempt:
    """Build an attempt from its row."""
    data = dict(row._mapping)
    return Attempt(
        **data
        | {
            "state": AttemptState(data["state"]),
            "resources": Resources.from_json(data["resources"]),
            "exclude_nodes": tuple(data["exclude_nodes"]),
            "outcome": _outcome(data["outcome"]),
        }
    )


def attempt_values(record: Attempt) -> dict[str, Any]:
    """Return the columns of an attempt."""
    return _columns(record) | {
        "resources": record.resources.to_json(),
        "exclude_nodes": list(record.exclude_nodes),
    }


def submission(row: Row[Any]) -> SubmissionRecord:
    """Build a submission from its row."""
    data = dict(row._mapping)
    return SubmissionRecord(
        **data
        | {
            "state": SubmissionState(data["state"]),
            "resources": Resources.from_json(data["resources"]),
            "exclude_nodes": tuple(data["exclude_nodes"]),
        }
    )


def submission_values(record: SubmissionRecord) -> dict[str, Any]:
    """Return the columns of a submission."""
    return _columns(record) | {
        "resources": record.resources.to_json(),
        "exclude_nodes": list(record.exclude_nodes),
    }


def workflow_image(row: Row[Any]) -> WorkflowImage:
    """Build the image of a workflow from its row."""
    data = dict(row._mapping)
    if data["resolved"] is not None:
        data["resolved"] = ResolvedImage.from_json(data["resolved"])
    return WorkflowImage(**data)


def event(row: Row[Any]) -> Event:
    """Build an event from its row."""
    data = dict(row._mapping)
    data.pop("id")
    return Event(**data | {"kind": EventKind(data["kind"])})


def lease(row: Row[Any]) -> Lease:
    """Build a lease from its row."""
    data = dict(row._mapping)
    data.pop("name")
    return Lease(**data)


def cluster_state(row: Row[Any]) -> ClusterState:
    """Build the state of a cluster from its row."""
    return ClusterState(**dict(row._mapping))
