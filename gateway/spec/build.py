"""From checked models to the records that the rest of the gateway works with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.spec.model import (
    SerialSpecificationModel,
    SpecificationModel,
    StepModel,
)
from gateway.spec.specification import Inputs, Outputs, Specification, Step
from gateway.spec.step_resources import step_resources


def model_for(data: Any) -> type[SpecificationModel]:
    """Return the model that a document must fit, by its language."""
    workflow = data.get("workflow") if isinstance(data, Mapping) else None
    serial = isinstance(workflow, Mapping) and workflow.get("type") == "serial"
    return SerialSpecificationModel if serial else SpecificationModel


def build(model: SpecificationModel, raw: Mapping[str, Any]) -> Specification:
    """Return the specification; ``raw`` is the document that the model was made from."""
    cvmfs = model.workflow.resources.cvmfs
    return Specification(
        type=model.workflow.type,
        raw=raw,
        steps=_steps(model, needs_cvmfs=bool(cvmfs)),
        inputs=Inputs(
            files=model.inputs.files,
            directories=model.inputs.directories,
            parameters=raw.get("inputs", {}).get("parameters", {}),
            options=raw.get("inputs", {}).get("options", {}),
        ),
        outputs=Outputs(files=model.outputs.files, directories=model.outputs.directories),
        tests=model.tests.files,
        retention_days=model.workspace.retention_days,
        root_path=model.workspace.root_path,
        cvmfs=cvmfs,
        file=model.workflow.file,
    )


def _steps(model: SpecificationModel, *, needs_cvmfs: bool) -> tuple[Step, ...]:
    if not isinstance(model, SerialSpecificationModel):
        return ()
    steps = model.workflow.specification.steps
    return tuple(_step(index, step, needs_cvmfs) for index, step in enumerate(steps))


def _step(index: int, model: StepModel, needs_cvmfs: bool) -> Step:
    return Step(
        index=index,
        name=model.name or str(index + 1),
        image=model.environment,
        commands=model.commands,
        backend=model.compute_backend,
        resources=step_resources(dict(model), model.compute_backend),
        retries=model.retries,
        cvmfs=needs_cvmfs,
    )
