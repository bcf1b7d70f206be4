"""Requests that a Slurm cluster cannot honour, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gateway.vocabulary.resources import Resources
from gateway.vocabulary.units import MIB, show_bytes, show_seconds

_NAME = re.compile(r"[A-Za-z0-9_.,+@:/=-]+")
_CONSTRAINT = re.compile(r"[A-Za-z0-9_.,+@:/=&|*()\[\]{}-]+")
_OF_HTCONDOR = {
    "requirements": "an HTCondor ClassAd expression",
    "accounting_group": "HTCondor's accounting group",
}
_AMOUNTS: Mapping[str, Callable[[int], str]] = {
    "cpus": "{} cores".format,
    "memory_mib": lambda value: f"{show_bytes(value * MIB)} of memory",
    "disk_mib": lambda value: f"{show_bytes(value * MIB)} of scratch disk",
    "walltime_s": lambda value: f"{show_seconds(value)} of run time",
    "gpus": "{} GPUs".format,
}


def refusal(wanted: Resources, maximum: Resources) -> str | None:
    """Say why a request cannot be honoured, or ``None``."""
    return _foreign(wanted) or _not_a_name(wanted) or _too_much(wanted, maximum)


def _foreign(wanted: Resources) -> str | None:
    for field, meaning in _OF_HTCONDOR.items():
        value = getattr(wanted, field)
        if value:
            return f"{field} {value!r} is {meaning}, which Slurm does not understand"
    return None


def _not_a_name(wanted: Resources) -> str | None:
    """Refuse what cannot be a Slurm name, before it is an argument of a command."""
    for field in ("partition", "account", "qos"):
        value = getattr(wanted, field)
        if value is not None and not _NAME.fullmatch(value):
            return f"{field} {value!r} is not a name that Slurm can have"
    if wanted.constraint is not None and not _CONSTRAINT.fullmatch(wanted.constraint):
        return f"constraint {wanted.constraint!r} is not a Slurm feature expression"
    return None


def _too_much(wanted: Resources, maximum: Resources) -> str | None:
    for field, show in _AMOUNTS.items():
        value, most = getattr(wanted, field), getattr(maximum, field)
        if value is not None and most is not None and value > most:
            return f"asks for {show(value)}, and this cluster gives at most {show(most)}"
    return None
