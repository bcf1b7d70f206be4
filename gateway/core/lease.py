"""Take, keep and give back the right to drive.

One process drives at a time. A dead one on this host is replaced at once, one elsewhere when its
lease has run out. A driver that was paused finds at its next write that it is no longer the one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import GatewayError
from gateway.store.store import Store, TakenError
from gateway.vocabulary.records import Lease

LEASE_S = 30.0
HEARTBEAT_S = 5.0


def boot_id() -> str:
    """Return the identity of this boot of the host, and of the space that process numbers are of.

    A container may have the name of its host: a number of one says nothing about the other.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return boot


def take(
    store: Store, purpose: str, now: float, *, host: str, boot: str, token: str
) -> Lease | None:
    """Take the lease if it is free; ``None`` if another process drives.

    Parameters
    ----------
    purpose
        ``serve``, ``tick`` or ``run``: shown to others who want to drive.
    token
        Identity of the new holder.
    """
    try:
        with store.write() as transaction:
            current = transaction.leases.current()
            if current is not None and _is_alive(current, now, host, boot):
                return None
            lease = Lease(
                holder=token,
                host=host,
                pid=os.getpid(),
                boot_id=boot,
                purpose=purpose,
                generation=(current.generation if current else 0) + 1,
                heartbeat_at=now,
                expires_at=now + LEASE_S,
            )
            transaction.leases.take(lease)
    except TakenError:
        # The first lease of a database has no row to lock: another process has just inserted it.
        return None
    crash_point(CrashPoint.LEASE_TAKEN)
    return lease


def _is_alive(lease: Lease, now: float, host: str, boot: str) -> bool:
    if lease.pid == 0:
        return False
    if lease.host == host:
        then, _, space_then = lease.boot_id.partition("/")
        today, _, space_now = boot.partition("/")
        if then != today:
            return False
        if space_then == space_now:
            return _may_still_drive(lease, now)
    # A heartbeat from the future means that a clock was set back: wait one lease, no longer.
    return now < min(lease.expires_at, now + LEASE_S) and lease.heartbeat_at <= now + LEASE_S


def _may_still_drive(lease: Lease, now: float) -> bool:
    """Whether the process lives and has shown itself lately; it may hang or be paused."""
    try:
        state = Path(f"/proc/{lease.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    if state in "ZX":
        return False
    return lease.expires_at - LEASE_S - 60 <= now < lease.expires_at


class Heartbeat:
    """Renews a lease from a thread of its own, because a scheduler may take long to answer."""

    def __init__(self, store: Store, lease: Lease, clock: Callable[[], float]) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with self._store.write() as transaction:
            transaction.leases.give_back(self._lease, self._clock())

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            try:
                with self._store.write() as transaction:
                    now = self._clock()
                    if not transaction.leases.renew(self._lease, now, now + LEASE_S):
                        return
            except GatewayError:
                # A database that is away now may be back before the lease has run out.
                continue
