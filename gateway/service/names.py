"""REANA's names of runs: ``name``, ``name.3``, ``name.3.1``, uuid."""

from __future__ import annotations

import re
import uuid

from gateway.errors import UsageError
from gateway.store.store import Transaction
from gateway.vocabulary.records import RunNumber, Workflow

LONGEST_NAME = 200
MOVES = "move_files"
"""Stands where a workflow's name stands in paths of REANA's API."""
_RUN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")


def check_name(name: str) -> str:
    """Return a name that a new workflow may have; empty means ``workflow``.

    Raises
    ------
    UsageError
        If the name cannot be used.
    """
    name = name.strip() or "workflow"
    if "." in name:
        raise UsageError(
            f"the name {name!r} has a dot, which separates a name from its run number",
            hint=f"try {name.replace('.', '-')!r}",
        )
    if name == MOVES:
        raise UsageError(f"the name {name!r} is a word of REANA's API", hint="choose another name")
    if _as_uuid(name):
        raise UsageError(f"the name {name!r} looks like a workflow id", hint="choose another name")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"the name {name[:20]!r}... is too long: {len(name)} characters",
            hint=f"a name has at most {LONGEST_NAME} characters",
        )
    if not name.isprintable() or "/" in name:
        raise UsageError(
            f"the name {name[:60]!r} cannot be used",
            hint=f"a name is one line of at most {LONGEST_NAME} characters without '/'",
        )
    return name


def find(transaction: Transaction, owner: str, asked: str) -> Workflow | None:
    """Return the workflow that a user means, by REANA's rules; those of others do not exist.

    A bare name is its latest run, deleted ones included; ``name.3`` is exactly run 3, never 3.1;
    what is no run number is part of the name (reana-db, ``_get_workflow_with_uuid_or_name``).
    """
    if not asked:
        return None
    known_id = _as_uuid(asked)
    if known_id:
        workflow = transaction.workflows.get(known_id)
        return workflow if workflow and workflow.owner == owner else None
    name, _, rest = asked.partition(".")
    number = _RUN.fullmatch(rest)
    if number:
        run = RunNumber(int(number[1]), int(number[2] or 0))
        return transaction.workflows.by_run(owner, name, run)
    return transaction.workflows.latest(owner, asked if rest else name)


def _as_uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
