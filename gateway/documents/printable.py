"""Text from documents, fit to be shown."""

from __future__ import annotations

_LONGEST = 2000


def printable(line: str) -> str:
    """Return the line with control characters and half characters written as escapes.

    Keys and values of a document stand in messages; without this they could move the cursor of a
    terminal, forge lines of a log, fail to be encoded or fill the screen.
    """
    short = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    if short.isprintable():
        return short
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in short
    )
