"""What users do with the files of a workspace."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from gateway.errors import ConflictError, NotFoundError, UsageError
from gateway.service.views import Views
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import WorkflowStatus
from gateway.workspace.archive import write_archive
from gateway.workspace.download import Selection, fetch, select
from gateway.workspace.listing import Filters, Listing, Usage, disk_usage, list_files, tree_bytes
from gateway.workspace.move import move
from gateway.workspace.removal import Removal, prune, remove
from gateway.workspace.staging import stage_file
from gateway.workspace.upload import Upload

Progress = Callable[[int, int], None]


class Files:
    """The files of workflows."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def root(self, asked: str) -> tuple[Workflow, Path]:
        """Return a workflow and its workspace.

        Raises
        ------
        NotFoundError
            If the workspace is gone.
        """
        workflow = self._views.find(asked)
        root = Path(workflow.workspace)
        if workflow.status is WorkflowStatus.DELETED and not root.exists():
            raise NotFoundError(
                "Workspace does not exist.", hint=f"workflow {workflow.full_name} is deleted"
            )
        return workflow, root

    def size(self, workflow: Workflow) -> int:
        """Return the allocated bytes of a workspace, 0 if it is gone."""
        return tree_bytes(Path(workflow.workspace))

    def listed(
        self,
        asked: str,
        pattern: str | None,
        filters: Filters,
        *,
        page: int = 1,
        size: int | None = None,
    ) -> Listing:
        """List files, all of them or those that a pattern names; without a size, on one page."""
        return list_files(self.root(asked)[1], pattern, filters=filters, page=page, size=size)

    def usage(
        self, asked: str, *, summarize: bool, patterns: Collection[str] = ()
    ) -> tuple[Workflow, list[Usage]]:
        """Return the workflow, and allocated bytes of directories and files."""
        workflow, root = self.root(asked)
        return workflow, disk_usage(root, summarize=summarize, patterns=patterns)

    def upload_to(self, asked: str, name: str, announced: int = 0) -> Upload:
        """Return a file to write to, which appears in the workspace when it is whole."""
        return Upload(self.root(asked)[1], name, announced)

    def upload(self, asked: str, sources: Sequence[Path], base: Path) -> list[str]:
        """Copy local files into the workspace under their paths relative to ``base``.

        Raises
        ------
        NotFoundError, UsageError
            If a source does not exist or is neither file nor directory; nothing was copied.
        """
        root = self.root(asked)[1]
        found = {_relative(source, base): source for source in _files_below(sources)}
        for name, source in found.items():
            stage_file(source, root, name)
        return list(found)

    def download(
        self,
        asked: str,
        patterns: Sequence[str],
        destination: Path,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Copy files, globs or directories out; without patterns, the declared outputs.

        Raises
        ------
        NotFoundError
            If anything asked for does not exist; what exists was copied.
        """
        workflow, root = self.root(asked)
        copied: list[Path] = []
        missing = []
        for pattern in patterns or declared_outputs(workflow):
            try:
                select(root, pattern)
            except NotFoundError:
                missing.append(pattern)
            else:
                copied += fetch(root, pattern, destination, progress=progress)
        if missing:
            raise NotFoundError(
                f"not in the workspace of {workflow.full_name}: {', '.join(missing)}"
                + (f"; files downloaded: {len(copied)}" if copied else ""),
                hint=f"`gateway ls -w {workflow.full_name}` shows what is there",
            )
        return copied

    def archive(
        self, asked: str, patterns: Sequence[str], out: BinaryIO, kind: Literal["zip", "tar"]
    ) -> int:
        """Write files, globs or directories into one archive; return the number of files."""
        root, paths = self.selected(asked, patterns)
        write_archive(out, root, paths, kind)
        return len(paths)

    def selected(self, asked: str, patterns: Sequence[str]) -> tuple[Path, list[str]]:
        """Return the workspace and the files in it that are meant, each once.

        Raises
        ------
        NotFoundError
            If anything asked for does not exist.
        """
        workflow, root = self.root(asked)
        paths: list[str] = []
        for pattern in patterns or declared_outputs(workflow):
            paths += select(root, pattern).paths
        return root, list(dict.fromkeys(paths))

    def chosen(self, asked: str, pattern: str) -> tuple[Workflow, Path, Selection]:
        """Return what one name, directory or glob means, and where.

        Raises
        ------
        NotFoundError
            If there is no such file.
        """
        workflow, root = self.root(asked)
        return workflow, root, select(root, pattern)

    def remove(self, asked: str, patterns: Iterable[str]) -> Removal:
        """Remove files that patterns name."""
        return remove(self.root(asked)[1], patterns)

    def prune(
        self, asked: str, *, include_inputs: bool = False, include_outputs: bool = False
    ) -> tuple[Workflow, Removal]:
        """Remove everything but the declared inputs and outputs, or one kind of these too.

        Raises
        ------
        ConflictError
            If a run that uses the workspace has not ended: its steps need each other's files.
        """
        workflow, root = self.root(asked)
        for run in self._views.sharing_workspace(workflow):
            if run.status.is_active:
                raise ConflictError(
                    f"workflow {run.full_name} is {run.status.value} and needs the files of its "
                    "workspace",
                    hint=f"wait for its end, or stop it with `gateway stop {run.full_name}`",
                )
        keep = [] if include_inputs else _declared(workflow, "inputs")
        keep += [] if include_outputs else _declared(workflow, "outputs")
        return workflow, prune(root, keep)

    def move(self, asked: str, source: str, target: str) -> Workflow:
        """Rename a file or directory within the workspace."""
        workflow, root = self.root(asked)
        move(root, source, target)
        return workflow


def _declared(workflow: Workflow, section: str) -> list[str]:
    words = workflow.specification.get(section) or {}
    return [*(words.get("files") or []), *(words.get("directories") or [])]


def declared_outputs(workflow: Workflow) -> list[str]:
    """Return the outputs that the specification declares.

    Raises
    ------
    UsageError
        If it declares none.
    """
    declared = _declared(workflow, "outputs")
    if not declared:
        raise UsageError(
            f"the specification of {workflow.full_name} declares no outputs",
            hint="name the files to download, for example 'results/*'",
        )
    return declared


def _files_below(sources: Sequence[Path]) -> Iterable[Path]:
    for source in sources:
        if source.is_dir():
            yield from sorted(path for path in source.rglob("*") if path.is_file())
        elif source.is_file():
            yield source
        elif os.path.lexists(source):
            raise UsageError(f"{source} is neither a file nor a directory")
        else:
            raise NotFoundError(f"{source} does not exist")


def _relative(source: Path, base: Path) -> str:
    """Return the name in the workspace; outside ``base`` it is the whole path, as in REANA."""
    absolute = Path(os.path.normpath(base / source))
    try:
        return str(absolute.relative_to(base))
    except ValueError:
        return str(absolute).lstrip("/")
