"""Requests that a Slurm cluster cannot honour, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

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
    """Say all reasons why a request cannot be honoured, or ``None``."""
    reasons = chain(_foreign(wanted), _not_a_name(wanted), _too_much(wanted, maximum))
    return "; ".join(reasons) or None


def _foreign(wanted: Resources) -> Iterator[str]:
    for field, meaning in _OF_HTCONDOR.items():
        value = getattr(wanted, field)
        if value:
            yield f"{field} {value!r} is {meaning}, which Slurm does not understand"


def _not_a_name(wanted: Resources) -> Iterator[str]:
    """Refuse what cannot be a Slurm name, before it is an argument of a command."""
    for field in ("partition", "account", "qos"):
        value = getattr(wanted, field)
        if value is not None and not _NAME.fullmatch(value):
            yield f"{field} {value!r} is not a name that Slurm can have"
    if wanted.constraint is not None and not _CONSTRAINT.fullmatch(wanted.constraint):
        yield f"constraint {wanted.constraint!r} is not a Slurm feature expression"


def _too_much(wanted: Resources, maximum: Resources) -> Iterator[str]:
    for field, show in _AMOUNTS.items():
        value, most = getattr(wanted, field), getattr(maximum, field)
        if value is not None and most is not None and value > most:
            yield f"asks for {show(value)}, and this cluster gives at most {show(most)}"
