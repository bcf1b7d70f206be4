"""Serial workflows: one job per command, strictly one after another, until one fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.engines.base import Decision
from gateway.errors import SpecError
from gateway.spec.options import selected_steps
from gateway.spec.specification import Specification, Step
from gateway.spec.substitution import effective, flaws, substitute
from gateway.vocabulary.job import JobRequest, JobResult
from gateway.vocabulary.states import JobState


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job in its place in the line."""

    request: JobRequest
    label: str
    """What messages call it: ``step 'fit', command 2 of 3``."""


@dataclass(frozen=True, slots=True)
class SerialEngine:
    """The line of all jobs.

    A job is known by its place, never by its text: equal steps and commands all run (REANA ends a
    workflow early when a command equals the last one).
    """

    line: tuple[PlannedJob, ...]

    def advance(self, jobs: Mapping[str, JobResult]) -> Decision:
        """Ask for the first job that does not exist, once all before it are finished."""
        total = len(self.line)
        for planned in self.line:
            result = jobs.get(planned.request.key)
            if result is None:
                return Decision(requests=(planned.request,), total=total)
            if not result.state.is_terminal:
                return Decision(total=total)
            if result.state is not JobState.FINISHED:
                return Decision(total=total, failure=_failure(planned.label, result))
        return Decision(total=total, finished=True)


def serial_engine(
    specification: Specification, parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> SerialEngine:
    """Plan a serial workflow.

    Parameters
    ----------
    parameters, options
        Laid over those of the specification.

    Raises
    ------
    SpecError
        If a command cannot be filled in or the options name no such step.
    """
    values = effective(specification.inputs.parameters, parameters)
    chosen = effective(specification.inputs.options, options)
    steps = selected_steps(specification.steps, chosen)
    problems = tuple(problem for step in steps for problem in _flaws(step, values))
    if problems:
        raise SpecError("the parameters of the workflow cannot be filled in", problems=problems)
    return SerialEngine(tuple(planned for step in steps for planned in _plan(step, values)))


def _flaws(step: Step, values: Mapping[str, Any]) -> Iterator[str]:
    for index, command in enumerate(step.commands):
        for flaw in flaws(command, values):
            yield f"{_label(step, index)}: {flaw}"


def _plan(step: Step, values: Mapping[str, Any]) -> Iterator[PlannedJob]:
    for index, command in enumerate(step.commands):
        request = _request(step, index, substitute(command, values))
        yield PlannedJob(request, _label(step, index))


def _label(step: Step, index: int) -> str:
    return f"step '{step.name}', command {index + 1} of {len(step.commands)}"


def _request(step: Step, index: int, command: str) -> JobRequest:
    return JobRequest(
        key=f"{step.index}.{index}",
        step=step.name,
        command=command,
        image=step.image,
        backend=step.backend,
        resources=step.resources,
        cvmfs=step.cvmfs,
        retries=step.retries,
    )


def _failure(label: str, result: JobResult) -> str:
    end = "was stopped" if result.state is JobState.STOPPED else "failed"
    return f"{label}, {end}: {result.reason}" if result.reason else f"{label}, {end}"
