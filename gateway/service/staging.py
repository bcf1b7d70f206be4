"""Bring the inputs of a workflow into its workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.crash_points import CrashPoint, crash_point
from gateway.service.views import found
from gateway.spec.load import LoadedSpec
from gateway.store.store import Store
from gateway.vocabulary.records import Workflow
from gateway.workspace.layout import Layout
from gateway.workspace.staging import Staged, stage_file, stage_in
from gateway.workspace.turns import take_turns


class Staging:
    """Stages inputs for the workflows of one user."""

    def __init__(self, store: Store, layout: Layout, owner: str) -> None:
        self._store = store
        self._layout = layout
        self._owner = owner

    @contextmanager
    def turn(self, workflow: Workflow, on_wait: Callable[[], object]) -> Iterator[Workflow]:
        """Let calls under one key stage and start one after the other.

        Otherwise the slower one could still write an input while the first job already reads it.

        Parameters
        ----------
        on_wait
            Called once if another call is at it.

        Yields
        ------
        Workflow
            As it is when the turn has come.
        """
        if workflow.key is None:
            yield workflow
            return
        turn = self._layout.staging_turn(workflow.id)
        with take_turns(turn, on_wait):
            with self._store.read() as transaction:
                present = found(transaction, self._owner, workflow.id)
            yield present
            # Who comes now finds the workflow started and has nothing to wait for.
            turn.unlink(missing_ok=True)

    def stage(
        self,
        workflow: Workflow,
        loaded: LoadedSpec,
        base: Path,
        progress: Callable[[int, int], None] | None = None,
        *,
        overwrite: bool = False,
    ) -> Staged:
        """Bring the declared inputs into the workspace; safe to repeat.

        ``overwrite`` replaces files that differ; without it they are a conflict.

        Raises
        ------
        UsageError
            If a declared input is missing; nothing was copied.
        """
        inputs = loaded.specification.inputs
        staged = stage_in(
            inputs.files,
            inputs.directories,
            base,
            Path(workflow.workspace),
            progress=progress,
            overwrite=overwrite,
        )
        crash_point(CrashPoint.INPUTS_STAGED)
        return staged

    def keep_specification(self, workflow: Workflow, path: Path) -> None:
        """Put the specification file itself into the workspace, as REANA's client does.

        What comes through a pipe has been read already and has no name worth keeping.
        """
        if path.is_file():
            stage_file(path, Path(workflow.workspace), path.name)
