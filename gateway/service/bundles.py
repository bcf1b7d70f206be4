"""Specifications that come as a ZIP file with all that belongs to them (REANA 0.95)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from gateway.errors import SpecError, UnreachableError, UsageError
from gateway.service.order import Order
from gateway.service.staging import Staging
from gateway.service.workflows import Workflows
from gateway.spec.languages import not_yet
from gateway.spec.load import LoadedSpec, load_file
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import WorkflowStatus
from gateway.workspace.staging import stage_file
from gateway.workspace.unpack import Budget, unpack_zip

SPECIFICATION = "reana.yaml"
"""The specification's name in a bundle, whatever it is called where it comes from."""
MOST_BYTES = 100 * 1024 * 1024
PATIENCE_S = 60.0
LARGEST_SPECIFICATION = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a specification, what is worth a look, and the images that it names."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    images: tuple[str, ...] = ()


class Bundles:
    """Workflows from bundles, for one user."""

    def __init__(self, workflows: Workflows, staging: Staging) -> None:
        self._workflows = workflows
        self._staging = staging

    def create(
        self, archive: BinaryIO, order: Callable[[LoadedSpec], Order]
    ) -> tuple[Workflow, Findings]:
        """Create a workflow, with the files of the bundle in its workspace.

        Parameters
        ----------
        order
            Makes an order from the specification.

        Raises
        ------
        SpecError, UsageError
            If it is no such bundle, or cannot be run here; nothing was created.
        """
        with _unpacked(archive) as (root, loaded):
            asked = order(loaded)
            warnings = self._warnings(asked)
            workflow = self._workflows.create(asked, later=True)
            with self._staging.turn(workflow, lambda: None) as present:
                # A job may have changed them once it has been started under the same key.
                if present.status is WorkflowStatus.CREATED:
                    _stage_all(root, Path(workflow.workspace))
        return workflow, Findings((), warnings)

    def _warnings(self, order: Order) -> tuple[str, ...]:
        later = not_yet(order.loaded.specification.type)
        return (later,) if later else self._workflows.check(order)

    def validate(self, archive: BinaryIO) -> Findings:
        """Say what a bundle's specification is worth.

        Raises
        ------
        UsageError
            If it is no bundle.
        """
        try:
            with _unpacked(archive) as (_, loaded):
                order = Order(loaded)
                steps = loaded.specification.steps
                images = tuple(dict.fromkeys(step.image for step in steps))
                return Findings((), self._workflows.check(order), images)
        except SpecError as error:
            return Findings(error.problems or (error.message,), ())

    def restart(
        self,
        asked: str,
        replacement: tuple[str, BinaryIO],
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Workflow:
        """Run an ended workflow again with another specification, which comes as a plain file."""
        name, file = replacement
        with TemporaryDirectory(prefix="gateway-") as directory:
            path = Path(directory, SPECIFICATION)
            path.write_bytes(file.read(LARGEST_SPECIFICATION))
            loaded = load_file(path, called=name)

            def keep(former: Workflow) -> None:
                stage_file(path, Path(former.workspace), name)

            return self._workflows.restart(asked, parameters, options, loaded, before=keep)


def _stage_all(root: Path, workspace: Path) -> None:
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        stage_file(path, workspace, str(path.relative_to(root)))


@contextmanager
def _unpacked(archive: BinaryIO) -> Iterator[tuple[Path, LoadedSpec]]:
    deadline = time.monotonic() + PATIENCE_S

    def tick() -> None:
        if time.monotonic() > deadline:
            raise UnreachableError("the bundle takes too long to unpack", hint="try again")

    with TemporaryDirectory(prefix="gateway-") as directory:
        root = Path(directory)
        unpack_zip(archive, root, Budget(MOST_BYTES, tick))
        if not (root / SPECIFICATION).is_file():
            raise UsageError(f"the bundle holds no {SPECIFICATION}")
        yield root, load_file(root / SPECIFICATION, called=SPECIFICATION)
