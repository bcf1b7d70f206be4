"""Requests that an HTCondor pool cannot honour, in words for the user; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from gateway.vocabulary.resources import Resources
from gateway.vocabulary.units import MIB, show_bytes, show_seconds

_GROUP = re.compile(r"[A-Za-z0-9_.@-]+")
_OF_SLURM = ("partition", "account", "qos", "constraint")
_AMOUNTS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "cpus": ("cores", str),
    "memory_mib": ("memory", lambda value: show_bytes(value * MIB)),
    "disk_mib": ("scratch disk", lambda value: show_bytes(value * MIB)),
    "walltime_s": ("run time", show_seconds),
    "gpus": ("GPUs", str),
}


def refusal(wanted: Resources, maximum: Resources) -> str | None:
    """Say all reasons why a request cannot be honoured, or ``None``."""
    reasons = chain(_foreign(wanted), _not_a_group(wanted), _too_much(wanted, maximum))
    return "; ".join(reasons) or None


def _foreign(wanted: Resources) -> Iterator[str]:
    for field in _OF_SLURM:
        value = getattr(wanted, field)
        if value:
            yield f"{field} {value!r} is a word of Slurm, which HTCondor does not understand"


def _not_a_group(wanted: Resources) -> Iterator[str]:
    group = wanted.accounting_group
    if group is not None and not _GROUP.fullmatch(group):
        yield f"accounting_group {group!r} is not a name that HTCondor can have"


def _too_much(wanted: Resources, maximum: Resources) -> Iterator[str]:
    for field, (noun, show) in _AMOUNTS.items():
        value, most = getattr(wanted, field), getattr(maximum, field)
        if value is not None and most is not None and value > most:
            yield f"{show(value)} of {noun} asked for, and this pool gives at most {show(most)}"
