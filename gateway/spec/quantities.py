"""Amounts as REANA, Kubernetes, HTCondor and Slurm write them, to cores, MiB and seconds.

Each function takes what stands in the document, text or number, and raises ``ValueError`` with a
message for people when it is no such amount.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from gateway.vocabulary.units import MIB, parse_mib, parse_seconds

CONDOR_FLAVOURS = {
    "espresso": 20 * 60,
    "microcentury": 3600,
    "longlunch": 2 * 3600,
    "workday": 8 * 3600,
    "tomorrow": 86400,
    "testmatch": 3 * 86400,
    "nextweek": 7 * 86400,
}
"""CERN's names for run times, in seconds (reana-commons ``HTCONDOR_JOB_FLAVOURS``)."""

_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_KUBERNETES_SIZE = re.compile(r"(\d+)|(\d+(?:\.\d+)?)([KMGTPE])(i?)")
_KUBERNETES_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_CONDOR_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_SLURM_CLOCK = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_MAX = 2**53
"""More than any machine has; keeps absurd numbers out of arithmetic and databases."""


def text_of(value: Any) -> str:
    """Return a number or text as text."""
    if value is None:
        raise ValueError("a value is missing")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a number or text")
    text = str(value).strip()
    if not text.isascii() or len(text) > 100:
        raise ValueError(f"{text[:40]!r} is not an amount")
    return text


def count(value: Any, least: int = 1) -> int:
    """Read a whole number of at least ``least``."""
    text = text_of(value)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise ValueError(f"'{text}' is not a whole number of at least {least}")
    return int(text)


def count_or_none(value: Any) -> int:
    """Read a whole number, 0 included."""
    return count(value, least=0)


def size(value: Any) -> int:
    """Read a size with its unit, such as ``2 GiB``, as MiB."""
    text = text_of(value)
    if re.fullmatch(r"[\d.]+", text):
        raise ValueError(f"'{text}' has no unit; write for example {text}MiB or {text}GiB")
    return _positive(parse_mib(text), text)


def duration(value: Any) -> int:
    """Read ``90`` (seconds), ``30m``, ``2h`` or ``1-00:00:00`` as seconds."""
    text = text_of(value)
    return _positive(parse_seconds(text), text)


def kubernetes_memory(value: Any) -> int:
    """Read ``8Gi``, ``512M`` or bare bytes as MiB (reana-commons ``KUBERNETES_MEMORY_FORMAT``)."""
    text = text_of(value)
    match = _KUBERNETES_SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a size as Kubernetes writes it, such as 512Mi or 8Gi")
    if match[1]:
        return _mib(float(match[1]), text)
    base = 1024 if match[4] else 1000
    return _mib(float(match[2]) * base ** _POWER[match[3]], text)


def kubernetes_cpus(value: Any) -> int:
    """Read ``500m``, ``0.5`` or ``2`` as whole cores, rounded up."""
    text = text_of(value)
    match = _KUBERNETES_CPU.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a number of cores; write for example 500m, 0.5 or 2")
    return _positive(ceil(_bounded(float(match[1]), text) / (1000 if match[2] else 1)), text)


def condor_runtime(value: Any) -> int:
    """Read seconds or the name of a flavour as seconds."""
    text = text_of(value)
    if text in CONDOR_FLAVOURS:
        return CONDOR_FLAVOURS[text]
    if re.fullmatch(r"[0-9]{1,10}", text):
        return _positive(int(text), text)
    flavours = ", ".join(CONDOR_FLAVOURS)
    raise ValueError(f"'{text}' is not a run time; write seconds or one of {flavours}")


def condor_memory(value: Any) -> int:
    """Read ``2000`` (MB) or ``4 GB`` as MiB; HTCondor's units are binary."""
    return _condor_size(value, "M")


def condor_disk(value: Any) -> int:
    """Read ``2000000`` (KB) or ``4 GB`` as MiB; HTCondor's units are binary."""
    return _condor_size(value, "K")


def slurm_time(value: Any) -> int:
    """Read minutes or one of Slurm's clock formats (``sbatch --time``) as seconds."""
    text = text_of(value)
    match = _SLURM_CLOCK.fullmatch(text)
    if match is None or len(text) > 30:
        example = "write minutes, or hours:minutes:seconds, or days-hours:minutes:seconds"
        raise ValueError(f"'{text}' is not a time limit; {example}")
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None or third is not None:
        hours, minutes, seconds = first, second, third
    else:
        hours, minutes, seconds = 0, first, second
    total = (((days or 0) * 24 + (hours or 0)) * 60 + (minutes or 0)) * 60 + (seconds or 0)
    return _positive(total, text)


def _condor_size(value: Any, bare_unit: str) -> int:
    text = text_of(value)
    match = _CONDOR_SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not an HTCondor size; write for example 4000 MB or 4 GB")
    plain_bytes = text[-1] in "bB" and not match[2]
    unit = "" if plain_bytes else match[2].upper() or bare_unit
    return _mib(float(match[1]) * 1024 ** _POWER[unit], text)


def _mib(count_of_bytes: float, text: str) -> int:
    return _positive(ceil(_bounded(count_of_bytes, text) / MIB), text)


def _positive(amount: int, text: str) -> int:
    if amount < 1:
        raise ValueError(f"'{text}' must be more than 0")
    return int(_bounded(amount, text))


def _bounded(amount: float, text: str) -> float:
    if amount > _MAX:
        raise ValueError(f"'{text[:40]}' is too large")
    return amount
