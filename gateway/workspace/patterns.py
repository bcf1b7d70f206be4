"""What a file pattern means: REANA's dialect, ``**`` and dot files included. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.errors import UsageError
from gateway.workspace.paths import relative_parts

_MAGIC = re.compile(r"[*?\[\\!+@(|]")
_MOST_STARS = 4
"""In one component, and the same number of ``**``: bounds the backtracking of a match."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a test of names, relative and ``/``-separated, against one pattern.

    The dialect is that of ``wcmatch.glob`` with ``GLOBSTAR`` and ``DOTGLOB``, as in REANA: ``*``
    and ``?`` stay within a component, ``**`` crosses components, dot files match.

    Raises
    ------
    UsageError
        If it is no pattern of names inside the workspace.
    """
    from wcmatch import glob

    parts = relative_parts(pattern)
    clean = "/".join(parts)
    stars = max((part.count("*") for part in parts if part != "**"), default=0)
    if max(stars, parts.count("**")) > _MOST_STARS:
        raise UsageError(f"the pattern {pattern[:80]!r} has too many stars")
    include, exclude = glob.translate(clean, flags=glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX)
    if len(include) != 1 or exclude:
        raise UsageError(f"{pattern!r} is not a file pattern")
    expression = re.compile(include[0])
    return lambda name: expression.fullmatch(name) is not None


def literal_prefix(pattern: str) -> str:
    """Return the leading directories of a pattern that hold no special character."""
    prefix = []
    for part in relative_parts(pattern)[:-1]:
        if _MAGIC.search(part):
            break
        prefix.append(part)
    return "/".join(prefix)
