"""Sizes and durations as people write them, to whole MiB and seconds."""

from __future__ import annotations

import re
from math import ceil

MIB = 1024 * 1024

_FACTOR = {
    "": 1, "b": 1,
    "k": 1000, "kb": 1000, "ki": 1024, "kib": 1024,
    "m": 1000**2, "mb": 1000**2, "mi": 1024**2, "mib": 1024**2,
    "g": 1000**3, "gb": 1000**3, "gi": 1024**3, "gib": 1024**3,
    "t": 1000**4, "tb": 1000**4, "ti": 1024**4, "tib": 1024**4,
}  # fmt: skip
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-zA-Z]*)\s*")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(sec|s|min|m|h|d)")
_SPAN_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str) -> int:
    """Read a size such as ``512``, ``4GB`` (decimal) or ``4 GiB`` (binary) as bytes.

    Raises
    ------
    ValueError
        If the text is not a size.
    """
    match = _SIZE.fullmatch(text)
    factor = _FACTOR.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text[:40]!r} is not a size: write for example 512MiB or 4GiB")
    return ceil(float(match[1]) * factor)


def parse_mib(text: str) -> int:
    """Read a size as whole MiB, rounded up."""
    return ceil(parse_bytes(text) / MIB)


def parse_seconds(text: str) -> int:
    """Read a duration: ``90`` (seconds), ``5m``, ``1h30m``, ``2d``, ``01:30:00``, ``1-00:00:00``.

    Raises
    ------
    ValueError
        If the text is not a duration.
    """
    bare = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,9}", bare):
        return int(bare)
    clock = re.fullmatch(r"(?:([0-9]{1,6})-)?([0-9]{1,6}):([0-9]{2}):([0-9]{2})", bare)
    if clock:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    parts = _SPAN.findall(bare)
    if not parts or _SPAN.sub("", bare).strip():
        raise ValueError(f"{text[:40]!r} is not a duration: write for example 90s, 30m, 2h or 1d")
    return ceil(sum(float(number) * _SPAN_SECONDS[unit] for number, unit in parts))


def show_bytes(count: int) -> str:
    """Write bytes the way REANA's client does: ``1.5 GiB``, ``0 Bytes``."""
    value, unit = float(count), "Bytes"
    for unit in ("Bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "Bytes" else f"{round(value, 2):g} {unit}"


def show_seconds(seconds: float) -> str:
    """Write a duration for people: ``0.4s``, ``12s``, ``3m 4s``, ``2h 3m``, ``1d 2h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {secs}s" if minutes else f"{secs}s"
