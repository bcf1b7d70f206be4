"""What is known of the nodes of clusters: the ledger of faults, and where commands have run."""

from __future__ import annotations

from sqlalchemy import Connection, case, distinct, func, select

from gateway.store.tables import attempts, jobs, node_faults
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.nodes import NodeFault, NodeWork
from gateway.vocabulary.records import Attempt, Purpose
from gateway.vocabulary.states import AttemptState

_RAN = [
    Outcome.SUCCESS.value,
    Outcome.APP_ERROR.value,
    Outcome.OUT_OF_MEMORY.value,
    Outcome.TIMEOUT.value,
]
"""Outcomes after which the node is known to have run the command."""


class Nodes:
    """Everything that is read and written about nodes, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_fault(self, attempt: Attempt, outcome: Outcome, at: float) -> None:
        """Write down that an attempt was lost on its node; once for each attempt."""
        known = select(node_faults.c.id).where(node_faults.c.attempt_key == attempt.key)
        if self._connection.execute(known).first() is not None:
            return
        self._connection.execute(
            node_faults.insert(),
            {
                "cluster": attempt.cluster,
                "node": attempt.node,
                "at": at,
                "outcome": outcome.value,
                "attempt_key": attempt.key,
            },
        )

    def faults(self, cluster: str, since: float) -> list[NodeFault]:
        """Return the faults of a cluster's nodes since a time, oldest first."""
        query = (
            select(
                node_faults.c.node,
                node_faults.c.at,
                node_faults.c.outcome,
                attempts.c.job_id,
                jobs.c.image,
            )
            .join(attempts, attempts.c.key == node_faults.c.attempt_key)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(node_faults.c.cluster == cluster, node_faults.c.at >= since)
            .order_by(node_faults.c.at)
        )
        return [
            NodeFault(row.node, row.at, Outcome(row.outcome), row.job_id, row.image)
            for row in self._connection.execute(query)
        ]

    def work(self, cluster: str, since: float, lately: float) -> list[NodeWork]:
        """Return where commands ran to their end since a time, and how many since a later one."""
        recent = case((attempts.c.finished_at >= lately, attempts.c.job_id))
        query = (
            select(
                attempts.c.node,
                jobs.c.image,
                func.max(attempts.c.finished_at).label("last_at"),
                func.count(distinct(recent)).label("lately"),
            )
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(
                attempts.c.cluster == cluster,
                attempts.c.state == AttemptState.ENDED.value,
                attempts.c.outcome.in_(_RAN),
                attempts.c.finished_at >= since,
                attempts.c.node != "",
                # The job that fetches an image does not run it.
                jobs.c.purpose == Purpose.STEP.value,
            )
            .group_by(attempts.c.node, jobs.c.image)
        )
        return [
            NodeWork(row.node, row.image, row.last_at, row.lately)
            for row in self._connection.execute(query)
        ]
