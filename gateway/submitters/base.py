"""The contract that every scheduler adapter keeps.

A submitter turns a submission into scheduler calls and scheduler text into facts. It decides
nothing: what a fact means is the verdict's business, what happens next is the policy's.

Every method answers; none raises for what a scheduler says or fails to say. A parser meets
unknown words with ``SchedulerState.UNKNOWN`` and skips lines that it cannot read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.vocabulary.evidence import Observation
from gateway.vocabulary.resources import Resources


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt inside a submission.

    ``index`` counts from 0 and names the task's files in the control directory.
    """

    key: str
    index: int
    label: str


@dataclass(frozen=True, slots=True)
class Submission:
    """Attempts of one shape that go out with one scheduler call.

    Parameters
    ----------
    key
        Idempotency key, ``gw`` and 16 hexadecimal digits: travels into the scheduler.
    label
        What a person sees in the queue: step name, or step name and count.
    control_dir
        Prepared by ``control.prepare``; on the filesystem that nodes share.
    resources
        Complete: the site's defaults are filled in already.
    exclude_nodes
        Nodes to stay away from.
    """

    key: str
    label: str
    control_dir: Path
    resources: Resources
    tasks: tuple[Task, ...]
    exclude_nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActiveSubmission:
    """A submission that the scheduler has, and those of its tasks that have no verdict yet.

    ``native_id`` is the id of the whole (array job, HTCondor cluster), ``where`` the place to ask
    (schedd name, Slurm cluster), empty if there is only one. ``open_tasks`` maps index to key.
    """

    key: str
    native_id: str
    control_dir: Path
    submitted_at: float
    open_tasks: Mapping[int, str]
    where: str = ""


def open_keys(active: Iterable[ActiveSubmission]) -> set[str]:
    """Return the keys of all open tasks."""
    return {key for each in active for key in each.open_tasks.values()}


@dataclass(frozen=True, slots=True)
class Submitted:
    """The scheduler took all tasks under ``native_id``."""

    native_id: str
    where: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The scheduler will never take it: the user's or the site's mistake."""

    reason: str


@dataclass(frozen=True, slots=True)
class Backpressure:
    """The scheduler has no room now. ``limit`` is the number of tasks it would take, if said."""

    reason: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """No usable answer: the submission may or may not be there."""

    reason: str


SubmitOutcome = Submitted | Rejected | Backpressure | Unclear


@dataclass(frozen=True, slots=True)
class Found:
    """The scheduler, or the claim of a job script, knows the submission."""

    native_id: str
    where: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """Every record that could name the submission was asked, answered, and does not."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The scheduler did not answer; nothing follows from that."""

    reason: str


FindOutcome = Found | Absent | Unreachable
TaskKey = str
"""Key of an attempt."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of the open tasks.

    Parameters
    ----------
    tasks
        By attempt key. A task that is not in it was not seen.
    absence_counts
        Whether every record that could name a task was asked and answered, so that a task
        not seen is known to be missing (which still ends nothing).
    alive_elsewhere
        Tasks that are missing where living tasks are listed, while another record takes them for
        alive.
    unheard
        Tasks that were not seen where living tasks are listed, by an answer that was not whole or
        did not come: what they are doing is not known at all.
    """

    tasks: Mapping[TaskKey, Observation] = field(default_factory=dict)
    absence_counts: bool = False
    alive_elsewhere: frozenset[TaskKey] = frozenset()
    unheard: frozenset[TaskKey] = frozenset()


ObserveOutcome = Observed | Unreachable


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The scheduler took the request, or the job was gone already."""

    said: str = ""


ActOutcome = Acknowledged | Unreachable


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may carry, as far as the scheduler tells."""

    tasks_per_submission: int


class Submitter(Protocol):
    """One configured scheduler endpoint."""

    def submit(self, submission: Submission) -> SubmitOutcome:
        """Send all tasks with one scheduler call."""

    def find(self, submission: Submission, since: float) -> FindOutcome:
        """Look for a submission by its key, in everything that could name it.

        ``since`` is a time before the first attempt to send it, seconds since the epoch.
        """

    def glance(self, active: Sequence[ActiveSubmission]) -> Mapping[TaskKey, Observation]:
        """Return what files or the process table say, without any scheduler call."""

    def observe(self, active: Sequence[ActiveSubmission]) -> ObserveOutcome:
        """Ask the scheduler for all tasks at once.

        The number of scheduler calls must not depend on the number of submissions or tasks.
        """

    def cancel(self, active: Sequence[ActiveSubmission]) -> ActOutcome:
        """Ask the scheduler to remove the open tasks, in one call where it can."""

    def submission_id(self, task_id: str) -> str:
        """Return the native id of the submission that a task's id, as a claim has it, is part of.

        Empty if that cannot be told. Makes no call.
        """

    def limits(self) -> Limits:
        """Return the present limits; asks the scheduler at most once in a process."""

    def room(self, resources: Resources) -> int | None:
        """Return how many tasks of this shape would be taken now, ``None`` if that is not known.

        Makes no scheduler call.
        """

    def refusal(self, resources: Resources) -> str | None:
        """Say why the cluster cannot honour a request, or ``None``. Makes no call."""
