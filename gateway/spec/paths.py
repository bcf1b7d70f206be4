"""Paths in a specification: relative to the workspace and never out of it."""

from __future__ import annotations

from pathlib import PurePosixPath


def file_path(text: str) -> str:
    """Return the normalised relative path of a file.

    Raises
    ------
    ValueError
        If the path is empty, absolute, leads upwards or names a directory.
    """
    path = directory_path(text)
    if path == "." or text.endswith("/"):
        raise ValueError(f"'{text}' names a directory; list it under 'directories'")
    return path


def directory_path(text: str) -> str:
    """Return the normalised relative path of a directory; ``.`` is the workspace itself.

    Raises
    ------
    ValueError
        If the path is empty, absolute or leads upwards.
    """
    if not text.strip():
        raise ValueError("a path is empty")
    path = PurePosixPath(text)
    if path.is_absolute():
        raise ValueError(f"'{text}' is absolute; write a path relative to the workspace")
    if ".." in path.parts:
        raise ValueError(f"'{text}' leads upwards; '..' is not allowed")
    if any(mark in text for mark in "\n\r"):
        raise ValueError(f"{text!r} contains a line break")
    return str(path)


def without_duplicates(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths unchanged.

    Raises
    ------
    ValueError
        If two of them are the same.
    """
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise ValueError(f"listed more than once: {', '.join(twice)}")
    return paths
