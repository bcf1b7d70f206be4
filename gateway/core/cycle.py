"""One idempotent pass over everything: the whole state machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.advance import Advance
from gateway.core.dispatch import Dispatch
from gateway.core.images import ImageResolution
from gateway.core.parts import Parts
from gateway.core.settle import Settlement
from gateway.core.stop import Stop
from gateway.core.tidy import Tidying
from gateway.core.watch import Watch
from gateway.errors import GatewayError
from gateway.store.store import LeaseLostError
from gateway.vocabulary.records import Lease

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did: changes made, and the phases that met trouble.

    ``mistakes`` counts the phases that a mistake of the gateway itself has ended.
    """

    changes: int
    troubles: tuple[str, ...]
    mistakes: int = 0


class Cycle:
    """The phases of a pass, in their order, for the holder of the lease.

    A phase that meets trouble (a filesystem that is away, a scheduler that talks nonsense) leaves
    the others to do their work; it is tried again at the next pass.
    """

    def __init__(self, parts: Parts, lease: Lease) -> None:
        self._parts = parts
        self._lease = lease
        images = ImageResolution(parts, lease)
        dispatch = Dispatch(parts, lease)
        self._phases: tuple[tuple[str, Callable[[], int]], ...] = (
            ("stop", Stop(parts, lease).carry_out),
            ("settle", Settlement(parts, lease, dispatch).settle_all),
            ("watch", Watch(parts, lease).look),
            ("images", images.learn),
            ("advance", Advance(parts, lease, images).move_all),
            ("dispatch", dispatch.send_ready),
            ("tidy", Tidying(parts).remove_secrets),
            ("chores", lambda: parts.chores(lease)),
        )

    def tick(self) -> Pass:
        """Make one pass.

        Raises
        ------
        LeaseLostError
            If another driver has taken over.
        """
        changes, mistakes, troubles = 0, 0, []
        for name, phase in self._phases:
            try:
                changes += phase()
            except LeaseLostError:
                raise
            except (GatewayError, OSError) as error:
                logger.warning("%s: %s", name, error)
                troubles.append(f"{name}: {error}")
            except Exception as error:
                logger.exception("%s: a mistake of the gateway", name)
                troubles.append(f"{name}: a mistake of the gateway: {error!r}")
                mistakes += 1
        self._count_calls()
        return Pass(changes, tuple(troubles), mistakes)

    def _count_calls(self) -> None:
        made = {name: tuple(c.calls.drain()) for name, c in self._parts.clusters.items()}
        if not any(made.values()):
            return
        with self._parts.store.drive(self._lease) as transaction:
            for name, calls in made.items():
                for call in calls:
                    minute = int(call.at // 60)
                    transaction.clusters.count_call(name, call.kind, minute, call.ok, call.seconds)
                if calls:
                    known = transaction.clusters.get(name).gate
                    gate = self._parts.clusters[name].calls.state(known)
                    transaction.clusters.set(name, gate=gate)
