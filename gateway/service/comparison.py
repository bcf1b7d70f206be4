"""How two workflows differ: their specifications, and the files of their workspaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.service.views import Views
from gateway.vocabulary.records import Workflow
from gateway.workspace.compare import diff


@dataclass(frozen=True, slots=True)
class Comparison:
    """Unified diffs; no line is empty.

    Parameters
    ----------
    specification
        Lines by section of the specification; none for a section that is the same.
    workspaces
        The text of ``diff``, or a sentence where a workspace is gone.
    """

    specification: dict[str, list[str]]
    workspaces: str


class Comparisons:
    """Compares workflows of one user."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def of(self, left: str, right: str, *, brief: bool = False, context: int = 5) -> Comparison:
        """Compare two workflows.

        Parameters
        ----------
        brief
            Say of files only that they differ.
        context
            Lines of context around differences in files.

        Raises
        ------
        NotFoundError
            If one of them does not exist.
        SiteError
            If ``diff`` is missing.
        """
        pair = self._views.find(left), self._views.find(right)
        return Comparison(dict(_sections(*pair)), _workspaces(*pair, brief=brief, context=context))


def _sections(left: Workflow, right: Workflow) -> Iterator[tuple[str, list[str]]]:
    from difflib import unified_diff
    from pprint import pformat

    one, other = _effective(left), _effective(right)
    for section in dict.fromkeys((*one, *other)):
        before, after = (pformat(each.get(section, "")).splitlines() for each in (one, other))
        # The first two lines name files, and there are none.
        yield section, list(unified_diff(before, after, lineterm=""))[2:]


def _effective(workflow: Workflow) -> dict[str, Any]:
    """Return the specification with the parameters that were given at start."""
    specification = dict(workflow.specification)
    if workflow.parameters:
        inputs = dict(specification.get("inputs") or {})
        inputs["parameters"] = (inputs.get("parameters") or {}) | workflow.parameters
        specification["inputs"] = inputs
    return specification


def _workspaces(left: Workflow, right: Workflow, *, brief: bool, context: int) -> str:
    for workflow in (left, right):
        if not Path(workflow.workspace).is_dir():
            return f"Workspace of {workflow.full_name} does not exist."
    names = (left.full_name, right.full_name)
    return diff(Path(left.workspace), Path(right.workspace), names, brief=brief, context=context)
