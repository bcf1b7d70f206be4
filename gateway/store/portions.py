"""Long lists of keys, in parts: databases limit how many values a statement may carry."""

from __future__ import annotations

from collections.abc import Collection, Iterator

AT_ONCE = 500


def portions(keys: Collection[str]) -> Iterator[list[str]]:
    """Yield the keys in order, at most ``AT_ONCE`` at a time."""
    wanted = list(keys)
    for start in range(0, len(wanted), AT_ONCE):
        yield wanted[start : start + AT_ONCE]
