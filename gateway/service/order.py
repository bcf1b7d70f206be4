"""What a user asks for when creating a workflow, and whether it is what was asked for before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import ConflictError, UsageError
from gateway.spec.load import LoadedSpec
from gateway.vocabulary.records import Workflow


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for when creating a workflow.

    Parameters
    ----------
    name
        Of the workflow, without run number.
    key
        Idempotency key: the same order again returns the same workflow.
    parameters, options
        Over those of the specification.
    cluster
        For steps that name no backend.
    launcher_url
        Where the specification was fetched from, if it was.
    """

    loaded: LoadedSpec
    name: str = ""
    key: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    launcher_url: str | None = None

    def __post_init__(self) -> None:
        if self.key is not None and not self.key.strip():
            raise UsageError(
                "the key is empty",
                hint="a script may have used a variable that is not set; without a key every call "
                "makes a new workflow",
            )


def require_same(workflow: Workflow, order: Order, *, started: bool = False) -> None:
    """Refuse a key that belongs to a workflow that was ordered otherwise.

    Returning that workflow would give its outputs for those of another one.

    Parameters
    ----------
    started
        Whether the order is for creation and start in one, so that it names all parameters; a start
        of its own may have added others.

    Raises
    ------
    ConflictError
        With what differs.
    """
    different = list(_differences(workflow, order))
    if started and not different and workflow.parameters != dict(order.parameters):
        different.append("other parameters")
    if different:
        raise other_order(workflow.full_name, order.key or "", different)


def other_order(full_name: str, key: str, different: list[str]) -> ConflictError:
    """Return the refusal of a key, with what differs."""
    return ConflictError(
        f"key {key!r} belongs to {full_name}, which has {' and '.join(different)}",
        hint="one key is for one order: take another key for another one",
    )


def _differences(workflow: Workflow, order: Order) -> Iterator[str]:
    if order.name and order.name != workflow.name:
        yield "another name"
    if dict(order.loaded.specification.raw) != workflow.specification:
        yield "another specification"
    if order.cluster and order.cluster != workflow.cluster:
        yield "another cluster"
    if not _within(order.parameters, workflow.parameters):
        yield "other parameters"
    if not _within(order.options, workflow.options):
        yield "other options"


def _within(some: Mapping[str, Any], all_: Mapping[str, Any]) -> bool:
    return all(name in all_ and all_[name] == value for name, value in some.items())
