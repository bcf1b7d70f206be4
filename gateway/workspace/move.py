"""Move a file or directory within a workspace."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gateway.errors import ConflictError, NotFoundError, UsageError
from gateway.workspace.choosing import is_directory
from gateway.workspace.paths import open_parent, relative_parts
from gateway.workspace.trouble import explain, show_path


def move(root: Path, source: str, target: str) -> None:
    """Rename in one step; into ``target`` if that is a directory, as REANA and ``mv`` do.

    A file that has the target's name is replaced. The target's directory must exist.

    Raises
    ------
    NotFoundError
        If the source or the target's directory does not exist.
    ConflictError
        If a path leads out of the workspace, or the move is impossible.
    """
    try:
        name = relative_parts(source)[-1:]
        into = "/".join((*relative_parts(target), *name)) if is_directory(root, target) else target
        with open_parent(root, source) as old, open_parent(root, into) as new:
            os.rename(old[1], new[1], src_dir_fd=old[0], dst_dir_fd=new[0])
    except UsageError as error:
        raise ConflictError(error.message, hint=error.hint) from error
    except OSError as error:
        raise _explained(error, source, target) from error


def _explained(error: OSError, source: str, target: str) -> Exception:
    if error.errno == errno.ENOENT:
        return NotFoundError(
            f"{show_path(source)} does not exist.", hint="list what there is: gateway ls"
        )
    if error.errno == errno.EINVAL:
        return ConflictError(f"cannot move {show_path(source)} into itself")
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST):
        return ConflictError(f"cannot move {show_path(source)}: {show_path(target)} is in the way")
    return explain(error, "move", source)
