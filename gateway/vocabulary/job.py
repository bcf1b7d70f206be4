"""Jobs as engines ask for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import JobState


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One container command that an engine wants to have run.

    Parameters
    ----------
    key
        Pure function of the workflow and the job's place in it: asking again under the same key
        returns the same job.
    step
        Name of the step, as the user wrote it.
    command
        Shell text, run in the workspace.
    image
        Image reference, as the user wrote it.
    backend
        The user's ``compute_backend``, or ``None`` for the site's default.
    retries
        How often an application error may be tried again.
    """

    key: str
    step: str
    command: str
    image: str
    backend: str | None = None
    resources: Resources = field(default_factory=Resources)
    cvmfs: bool = False
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """What an engine learns of a job that it asked for."""

    key: str
    state: JobState
    reason: str = ""
