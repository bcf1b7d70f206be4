"""The only place that turns words into shell text.

Everything else passes argv lists. What a shell will read is property-tested against real shells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import quote

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def shell_word(text: str, variables: Mapping[str, str] | None = None) -> str:
    """Quote ``text`` as one word of a POSIX shell.

    Parameters
    ----------
    text
        Any text without NUL.
    variables
        Markers in the text, each to become the value of the shell variable named.

    Raises
    ------
    ValueError
        If the text holds a NUL, which no argument can carry.
    """
    if "\0" in text:
        raise ValueError("a NUL character cannot be passed to a command")
    for marker, variable in (variables or {}).items():
        if marker in text:
            pieces = [shell_word(piece, variables) if piece else "" for piece in text.split(marker)]
            return f'"${{{variable}}}"'.join(pieces)
    return quote(text)


def shell_command(argv: Sequence[str], variables: Mapping[str, str] | None = None) -> str:
    """Quote an argv list as one shell command."""
    return " ".join(shell_word(word, variables) for word in argv)


def shell_name(text: str) -> str:
    """Return ``text`` if a shell can have a variable of that name.

    Raises
    ------
    ValueError
        If it cannot: there is no way to quote a name.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot be the name of an environment variable")
    return text
