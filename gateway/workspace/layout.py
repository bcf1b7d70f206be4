"""Where workspaces and control files lie.

One directory for each workflow, named by its id, readable for its owner only; control files
beside the workspaces, never in them.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import UsageError
from gateway.workspace.removal import remove_tree
from gateway.workspace.trouble import translated

if TYPE_CHECKING:
    from gateway.site.model import Site

_PRIVATE = 0o700
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The two root directories.

    Every method that touches the filesystem raises ``SiteError`` with the path, the free space
    and a hint where the filesystem is in the way.
    """

    workspaces: Path
    control: Path

    @classmethod
    def of(cls, site: Site) -> Layout:
        """Return the layout of a site."""
        return cls(site.workspaces, site.control)

    def prepare(self) -> None:
        """Make the roots; safe to repeat."""
        for root in (self.workspaces, self.control):
            _make_private(root)

    def workspace(self, workflow_id: str) -> Path:
        """Return the directory of a workflow's files."""
        return self.workspaces / _checked(workflow_id)

    def create(self, workflow_id: str) -> Path:
        """Make a workspace, or return the one that is there."""
        path = self.workspace(workflow_id)
        self.prepare()
        _make_private(path)
        return path

    def exists(self, workflow_id: str) -> bool:
        """Say whether a workflow still has its workspace."""
        return self.workspace(workflow_id).is_dir()

    def remove(self, workflow_id: str) -> int:
        """Remove a workspace and return the bytes given back; one that is gone gives 0."""
        return remove_tree(self.workspaces, _checked(workflow_id))

    def staging_turn(self, workflow_id: str) -> Path:
        """Return the file whose lock calls hold while they stage and start a workflow."""
        return self.control / f".staging-{_checked(workflow_id)}"


def _make_private(path: Path) -> None:
    """Make a directory for its owner; an existing one keeps its permissions."""
    with translated("create", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=_PRIVATE)
        except FileExistsError:
            if not path.is_dir():
                raise
        if not os.access(path, os.W_OK | os.X_OK):
            readonly = os.statvfs(path).f_flag & os.ST_RDONLY
            code = errno.EROFS if readonly else errno.EACCES
            raise OSError(code, os.strerror(code))


def _checked(name: str) -> str:
    """Return a name that is one harmless path component."""
    if not _ID.fullmatch(name):
        raise UsageError(f"{name!r} is not the id of a workflow or submission")
    return name
