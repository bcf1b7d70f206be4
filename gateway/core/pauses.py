"""How long a cluster is left alone that has no room."""

from __future__ import annotations

from gateway.vocabulary.records import ClusterState

FIRST_S = 2.0
LONGEST_S = 120.0
AFTER_AN_END_S = 10.0


def length_s(refusals: int) -> float:
    """Return the pause after a refusal; ``refusals`` is how many came before it in a row."""
    return min(LONGEST_S, FIRST_S * 2.0**refusals)


class Pauses:
    """Says whether a cluster may be asked again.

    Limits of schedulers count the user's jobs: an end of one of ours makes room, and is not waited
    for longer than a moment. That is remembered in this process only; without it, the pause holds.
    """

    def __init__(self) -> None:
        self._full: dict[str, tuple[int, float]] = {}

    def refused(self, cluster: str, there: int, now: float) -> None:
        """Remember how many attempts the cluster had when it took no more."""
        self._full[cluster] = (there, now)

    def holds(self, known: ClusterState, there: int, now: float) -> bool:
        """Whether to wait; a time further off than any pause means that a clock was set back."""
        until = known.blocked_until
        if until is None or not now < until <= now + LONGEST_S:
            return False
        most, since = self._full.get(known.name, (0, now))
        return not (there < most and now - since >= AFTER_AN_END_S)
