"""Tell a person who follows a workflow what holds it up, when that begins, changes and ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.cli.output import shortened
from gateway.errors import UnreachableError
from gateway.service.holdups import Holdup, HoldupKind
from gateway.service.views import WorkflowView

LOOK_S = 1.0


class HoldupNews:
    """Says each thing that is in the way once, as long as it stays there.

    Parameters
    ----------
    look
        Returns what holds a workflow up now.
    quiet
        Say only what does not pass by itself.
    clock
        Seconds, for the pace of looks.
    """

    def __init__(
        self,
        look: Callable[[WorkflowView], tuple[Holdup, ...]],
        *,
        quiet: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._clock = clock
        self._kinds = {HoldupKind.DISK} if quiet else set(HoldupKind) - {HoldupKind.ROOM}
        self._said: set[str] = set()
        self._looked_at = float("-inf")

    def tell(self, view: WorkflowView, say: Callable[[str], None]) -> None:
        """Say what is new; the lines of jobs tell about limits themselves."""
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        try:
            found = self._look(view)
        except UnreachableError:
            return
        name = shortened(view.workflow.full_name)
        present = [each for each in found if each.kind in self._kinds]
        for each in present:
            if each.reason not in self._said:
                say(f"{name} is held up: {each}")
        if self._said and not present and not view.workflow.status.is_terminal:
            say(f"{name} is no longer held up")
        self._said = {each.reason for each in present}
