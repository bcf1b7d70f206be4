"""Which engine runs which language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.engines.base import Engine
from gateway.engines.serial import serial_engine
from gateway.errors import UsageError
from gateway.spec.languages import not_yet
from gateway.spec.specification import Specification

Plan = Callable[[Specification, Mapping[str, Any], Mapping[str, Any]], Engine]

ENGINES: Mapping[str, Plan] = {"serial": serial_engine}


def engine_for(
    specification: Specification, parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> Engine:
    """Return the engine of a workflow.

    Parameters
    ----------
    parameters, options
        Given at start, or effective: they are laid over those of the specification either way.

    Raises
    ------
    UsageError
        If the language has no engine yet.
    SpecError
        If the workflow cannot be run with these parameters and options.
    """
    plan = ENGINES.get(specification.type)
    if plan is None:
        raise UsageError(not_yet(specification.type) or f"unknown language {specification.type!r}")
    return plan(specification, parameters, options)
