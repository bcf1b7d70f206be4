"""Rules about how long files of workspaces are kept, and the pass that applies them.

``created`` until the run has finished or failed, then ``active`` with a day; ``pending`` while
files go, then ``applied``. A restart makes those of earlier runs ``inactive``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.errors import ConflictError, GatewayError, NotFoundError, UsageError
from gateway.service.views import Views
from gateway.store.retention import ACTIVE, APPLIED, CREATED, INACTIVE, PENDING
from gateway.store.store import Store, Transaction
from gateway.vocabulary.records import Event, EventKind, Lease, RetentionRule, Workflow
from gateway.vocabulary.units import show_bytes
from gateway.workspace.expiry import expire
from gateway.workspace.patterns import matcher
from gateway.workspace.removal import Removal

logger = logging.getLogger(__name__)

LONGEST_DAYS = 36_500
INTERVAL_S = 3600.0


class RetentionRules:
    """The rules of workflows, to look at."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store = store
        self._views = views

    def of(self, asked: str) -> tuple[Workflow, list[RetentionRule]]:
        """Return a workflow with its rules."""
        workflow = self._views.find(asked)
        with self._store.read() as transaction:
            return workflow, transaction.retention.of(workflow.id)


def retention_days(specification: Mapping[str, Any]) -> dict[str, int]:
    """Return the days of each pattern.

    Raises
    ------
    UsageError
        If a rule could not be applied.
    """
    days = (specification.get("workspace") or {}).get("retention_days") or {}
    for pattern, number in days.items():
        matcher(pattern)
        if number > LONGEST_DAYS:
            raise UsageError(
                f"workspace.retention_days: {pattern!r}: {number} days are more than {LONGEST_DAYS}"
            )
    return dict(days)


def retire(transaction: Transaction, runs: Sequence[Workflow]) -> None:
    """End the rules of earlier runs of a workspace, before another run uses it.

    Raises
    ------
    ConflictError
        If files are just being removed.
    """
    for run in runs:
        rules = transaction.retention.of(run.id)
        if any(rule.status == PENDING for rule in rules):
            raise ConflictError(
                f"files of workflow {run.full_name} are being removed by its retention rules",
                hint="try again in a minute",
            )
        ids = [rule.id for rule in rules]
        transaction.retention.move(ids, (CREATED, ACTIVE), INACTIVE)


class RetentionPass:
    """Applies rules that are due, once an hour."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._last: float | None = None

    def make(self, lease: Lease) -> int:
        """Make the pass of this hour as the driver; return how many rules it was about."""
        now = self._clock()
        if self._last is not None and 0 <= now - self._last < INTERVAL_S:
            return 0
        self._last = now
        with self._store.read() as transaction:
            due = transaction.retention.due(now)
        return sum(self._apply(lease, rule, now) for rule in due)

    def _apply(self, lease: Lease, rule: RetentionRule, now: float) -> bool:
        """Write ``pending``, remove, write ``applied``: what is cut short is done again."""
        with self._store.drive(lease) as transaction:
            workflow = transaction.workflows.get(rule.workflow_id)
            if not transaction.retention.move([rule.id], (ACTIVE, PENDING), PENDING):
                return False
        assert workflow is not None
        try:
            removal = expire(Path(workflow.workspace), rule.pattern, _declared(workflow))
        except NotFoundError:
            removal = Removal()
        except (GatewayError, OSError) as error:
            removal = Removal(failed={"": str(error)})
        with self._store.drive(lease) as transaction:
            if removal.failed:
                again = {"apply_on": now + INTERVAL_S}
                transaction.retention.move([rule.id], (PENDING,), ACTIVE, **again)
            else:
                transaction.retention.move([rule.id], (PENDING,), APPLIED)
            words = _words(rule, removal)
            transaction.events.add(Event(now, EventKind.DECISION, words, workflow.id))
        logger.info("%s: %s", workflow.full_name, words)
        return True


def _declared(workflow: Workflow) -> list[str]:
    """Return the inputs and outputs of a workflow: no rule removes them."""
    sections = [workflow.specification.get(name) or {} for name in ("inputs", "outputs")]
    return [
        name
        for section in sections
        for key in ("files", "directories")
        for name in section.get(key) or []
    ]


def _words(rule: RetentionRule, removal: Removal) -> str:
    words = (
        f"retention rule {rule.pattern!r} ({rule.days} days): removed {len(removal.deleted)} "
        f"files and directories, {show_bytes(sum(removal.deleted.values()))}"
    )
    if not removal.failed:
        return words
    path, why = next(iter(removal.failed.items()))
    return f"{words}; {len(removal.failed)} failed, will try again: {path}: {why}"
