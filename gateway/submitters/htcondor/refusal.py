"""Requests that an HTCondor pool cannot honour, in words for the user; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

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
    """Say why a request cannot be honoured, or ``None``."""
    return _foreign(wanted) or _not_a_group(wanted) or _too_much(wanted, maximum)


def _foreign(wanted: Resources) -> str | None:
    for field in _OF_SLURM:
        value = getattr(wanted, field)
        if value:
            return f"{field} {value!r} is a word of Slurm, which HTCondor does not understand"
    return None


def _not_a_group(wanted: Resources) -> str | None:
    group = wanted.accounting_group
    if group is not None and not _GROUP.fullmatch(group):
        return f"accounting_group {group!r} is not a name that HTCondor can have"
    return None


def _too_much(wanted: Resources, maximum: Resources) -> str | None:
    for field, (noun, show) in _AMOUNTS.items():
        value, most = getattr(wanted, field), getattr(maximum, field)
        if value is not None and most is not None and value > most:
            return f"{show(value)} of {noun} asked for, and this pool gives at most {show(most)}"
    return None
