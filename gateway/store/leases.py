"""Who drives: one row, taken, renewed, given back, and checked before every driver's write."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from gateway.store import rows
from gateway.store.tables import leases
from gateway.vocabulary.records import Lease

_DRIVER = "driver"
_CURRENT = select(leases).where(leases.c.name == _DRIVER).with_for_update()


class Leases:
    """The lease of the driver, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current(self) -> Lease | None:
        """Return the lease, also an expired one; locks the row where the database can."""
        row = self._connection.execute(_CURRENT).first()
        return rows.lease(row) if row else None

    def take(self, lease: Lease) -> None:
        """Write a new owner over the one of the generation before.

        Where there was no lease yet, no row was locked when that was read: another process may
        have inserted one since, and then this ends as a ``TakenError``.
        """
        values = {
            "holder": lease.holder,
            "host": lease.host,
            "pid": lease.pid,
            "boot_id": lease.boot_id,
            "purpose": lease.purpose,
            "generation": lease.generation,
            "heartbeat_at": lease.heartbeat_at,
            "expires_at": lease.expires_at,
        }
        former = lease.generation - 1
        changed = self._connection.execute(
            update(leases)
            .where(leases.c.name == _DRIVER, leases.c.generation == former)
            .values(**values)
        )
        if changed.rowcount == 0:
            self._connection.execute(leases.insert().values(name=_DRIVER, **values))

    def renew(self, lease: Lease, now: float, expires_at: float) -> bool:
        """Move the expiry; say whether the lease is still ours."""
        statement = (
            update(leases)
            .where(
                leases.c.name == _DRIVER,
                leases.c.holder == lease.holder,
                leases.c.generation == lease.generation,
            )
            .values(heartbeat_at=now, expires_at=expires_at)
        )
        return self._connection.execute(statement).rowcount == 1

    def give_back(self, lease: Lease, now: float) -> None:
        """Let the lease expire at once; the generation stays, so that it only ever grows."""
        statement = (
            update(leases)
            .where(leases.c.name == _DRIVER, leases.c.holder == lease.holder)
            .values(expires_at=now, pid=0)
        )
        self._connection.execute(statement)
