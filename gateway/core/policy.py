"""From an outcome to what happens next: try again with what, where and when, or give up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.resources import Resources


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again.

    ``delay_s`` is the time to wait, ``exclude_nodes`` where not to run.
    """

    resources: Resources
    delay_s: float
    exclude_nodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job has failed; ``reason`` says why it is not tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """What matters of an attempt that has ended."""

    outcome: Outcome
    resources: Resources
    node: str = ""


NODE_FAULTS = frozenset({Outcome.NODE_LOST, Outcome.NODE_BAD})
FREE_RETRIES = {
    Outcome.NODE_LOST: 5,
    Outcome.NODE_BAD: 5,
    Outcome.PREEMPTED: 20,
    Outcome.STAGING: 2,
    Outcome.LOST: 1,
}
"""Outcomes that are not the user's doing, and how often each is tried again."""

FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 600.0
GROWTH = 2
ESCALATIONS = 4


def decide(
    past: Sequence[Past], retries: int, maximum: Resources, *, one_node: bool = False
) -> Retry | GiveUp:
    """Decide what follows the last of the attempts in ``past``.

    Parameters
    ----------
    past
        All ended attempts of the job, first one first; at least one.
    retries
        How often an application error may be tried again.
    maximum
        The site's caps.
    one_node
        Whether the cluster has one node alone: what is wrong with it is tried again only once.
    """
    last = past[-1]
    same = sum(1 for attempt in past if attempt.outcome is last.outcome)
    exclude = tuple(sorted({a.node for a in past if a.outcome in NODE_FAULTS and a.node}))
    if last.outcome in FREE_RETRIES:
        bad = one_node and last.outcome is Outcome.NODE_BAD
        if same > (1 if bad else FREE_RETRIES[last.outcome]):
            return GiveUp(f"tried {same} times")
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (same - 1))
        return Retry(last.resources, delay, exclude, f"{last.outcome.value}: not the job's fault")
    if last.outcome is Outcome.APP_ERROR:
        if same > retries:
            return GiveUp("" if same == 1 else f"tried {same} times")
        return Retry(last.resources, 0.0, exclude, f"retry {same} of {retries} that the step asks")
    if last.outcome is Outcome.OUT_OF_MEMORY:
        return _more(last, "memory_mib", "memory", "MiB", same, exclude, maximum)
    if last.outcome is Outcome.TIMEOUT:
        return _more(last, "walltime_s", "walltime", "s", same, exclude, maximum)
    return GiveUp("")


def _more(
    last: Past,
    field: str,
    word: str,
    unit: str,
    same: int,
    exclude: tuple[str, ...],
    maximum: Resources,
) -> Retry | GiveUp:
    """Ask for more of one resource, up to the site's cap; never for the same again."""
    had: int | None = getattr(last.resources, field)
    cap: int | None = getattr(maximum, field)
    if had is None:
        return GiveUp(f"the step asks for no {word}, so it cannot be raised; ask for some")
    if cap is None:
        return GiveUp(
            f"it asked for {had} {unit} of {word}; this site sets no maximum to raise it to"
        )
    if had >= cap or same > ESCALATIONS:
        return GiveUp(f"it had {had} {unit} of {word}, the site's maximum is {cap} {unit}")
    wants = min(cap, had * GROWTH)
    raised: dict[str, Any] = {field: wants}
    resources = replace(last.resources, **raised)
    return Retry(resources, 0.0, exclude, f"{word} raised from {had} to {wants} {unit}")
