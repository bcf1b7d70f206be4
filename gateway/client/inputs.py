"""The files that a specification declares as inputs, and where they are on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.workspace.inputs import Kind, plan

_NO_WORKSPACE = Path("/nonexistent/workspaces")


def declared_inputs(
    specification: Mapping[str, Any], base: Path
) -> tuple[list[tuple[str, Path]], list[str]]:
    """Return names in the workspace with local files, and notices of what is left out.

    Links inside directories become what they point to: a link cannot be uploaded.

    Raises
    ------
    UsageError
        Names everything that is missing or of the wrong kind.
    """
    inputs = specification.get("inputs") or {}
    planned, notices = plan(
        inputs.get("files") or (), inputs.get("directories") or (), base, _NO_WORKSPACE
    )
    return [
        (each.name, each.source)
        for each in planned
        if each.kind is Kind.FILE or (each.kind is Kind.LINK and each.source.is_file())
    ], notices
