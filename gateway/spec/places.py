"""How messages name places of a specification."""

from __future__ import annotations

from typing import Any

from gateway.documents.document import Path, dotted

STEPS: Path = ("workflow", "specification", "steps")


def describe(path: Path, data: Any) -> str:
    """Name a place: steps by their name or number, everything else by its keys."""
    if path[:3] != STEPS or len(path) < 4 or not isinstance(path[3], int):
        return dotted(path)
    inside = path[4:]
    if len(inside) == 2 and inside[0] == "commands" and isinstance(inside[1], int):
        return f"{step_label(data, path[3])}, command {inside[1] + 1}"
    return ": ".join(part for part in (step_label(data, path[3]), dotted(inside)) if part)


def step_label(data: Any, index: int) -> str:
    """Return ``step 'fit'``, or ``step 2`` for the second step if it has no name."""
    try:
        name = data["workflow"]["specification"]["steps"][index].get("name")
    except (KeyError, IndexError, TypeError, AttributeError):
        name = None
    return f"step '{name}'" if isinstance(name, str) and name else f"step {index + 1}"


def command_path(index: int, command: int) -> Path:
    """Return the path of a command, both counted from 0."""
    return (*STEPS, index, "commands", command)
