"""Create and start a workflow from a URL."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError, UnreachableError, UsageError
from gateway.service.fetching import Fetcher, parse
from gateway.service.order import Order
from gateway.service.staging import Staging
from gateway.service.workflows import Workflows
from gateway.site.model import Site
from gateway.spec.inputs import require_inputs
from gateway.spec.load import load_file
from gateway.vocabulary.records import Workflow
from gateway.workspace.paths import relative_parts
from gateway.workspace.unpack import remove

SPECIFICATIONS = ("reana.yaml", "reana.yml")
MOST_AT_ONCE = 4
FORGOTTEN_S = 86_400.0
_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """What to launch.

    Parameters
    ----------
    url
        Of a git repository (``/tree/REF`` names a branch or tag), an archive or a specification.
    specification
        Name of the specification in it; default ``reana.yaml`` or ``reana.yml``.
    """

    url: str
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    specification: str = ""


@dataclass(frozen=True, slots=True)
class Launched:
    """A workflow that was started, and remarks on its specification."""

    workflow: Workflow
    warnings: tuple[str, ...]


class Launcher:
    """Launches workflows of one user."""

    def __init__(self, workflows: Workflows, staging: Staging, site: Site) -> None:
        self._workflows = workflows
        self._staging = staging
        self._root = site.shared_root / "launches"
        self._allow_private = site.launch_from_local_network

    def launch(self, order: LaunchOrder) -> Launched:
        """Fetch, create, bring the declared inputs in, and start.

        Raises
        ------
        UsageError
            If it cannot be fetched or run; nothing was created then.
        UnreachableError
            If the server does not answer, or too many launches are under way.
        """
        source = parse(order.url)
        if not _slots.acquire(blocking=False):
            raise UnreachableError("too many launches are under way", hint="try again in a minute")
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old()
            place = Path(tempfile.mkdtemp(dir=self._root))
            try:
                fetched = Fetcher(allow_private=self._allow_private).fetch(source, place)
                return self._run(order, fetched, order.name or source.name)
            finally:
                remove(place)
        finally:
            _slots.release()

    def _run(self, order: LaunchOrder, fetched: Path, name: str) -> Launched:
        path = _specification(fetched, order.specification)
        loaded = load_file(path)
        asked = Order(loaded, name=name, parameters=dict(order.parameters), launcher_url=order.url)
        warnings = self._workflows.check(asked)
        require_inputs(loaded, path.parent)
        workflow = self._workflows.create(asked)
        self._staging.stage(workflow, loaded, path.parent)
        self._staging.keep_specification(workflow, path)
        return Launched(self._workflows.start(workflow.id), warnings)

    def _forget_old(self) -> None:
        """Remove what killed launches left."""
        for place in self._root.iterdir():
            with suppress(OSError, GatewayError):
                if time.time() - place.stat().st_mtime > FORGOTTEN_S:
                    remove(place)


def _specification(root: Path, named: str) -> Path:
    """Find the specification among what was fetched."""
    if named:
        path = root.joinpath(*relative_parts(named))
        if not path.is_file():
            raise UsageError(f"there is no file {named[:200]!a} in what was fetched")
        return path
    found = [name for name in SPECIFICATIONS if (root / name).is_file()]
    if len(found) != 1:
        words = " and ".join(SPECIFICATIONS)
        what = f"both {words} are there" if found else "there is no reana.yaml"
        raise UsageError(
            f"{what} in what was fetched", hint="name the specification file explicitly"
        )
    return root / found[0]
