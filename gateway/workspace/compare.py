"""Show how the files of two workspaces differ, by ``diff``, as REANA does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gateway.errors import NotFoundError, SiteError

_CAP = 16 * 1024 * 1024
"""A longer answer helps nobody; ``diff`` ends when its reader is gone."""


def diff(
    left: Path, right: Path, names: tuple[str, str], *, brief: bool = False, context: int = 5
) -> str:
    """Return the text of ``diff -r`` with the workspaces called by their names.

    No line of it is empty, whatever ends a line for ``str.splitlines``: reana-client splits it so
    and looks at the first letter of every line.

    Raises
    ------
    NotFoundError
        If a workspace does not exist.
    SiteError
        If ``diff`` is missing.
    """
    if not (left.is_dir() and right.is_dir()):
        raise NotFoundError("Workspace does not exist.")
    options = ["-r", "--no-dereference", f"--unified={max(0, context)}", *(["-q"] if brief else [])]
    text = _run(["diff", *options, "--", os.fspath(left), os.fspath(right)])
    for path, name in sorted(
        zip((left, right), names, strict=True), key=lambda pair: -len(os.fspath(pair[0]))
    ):
        text = text.replace(os.fspath(path), name)
    return "\n".join(line for line in text.splitlines() if line)


def _run(argv: list[str]) -> str:
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    null = subprocess.DEVNULL
    try:
        with subprocess.Popen(
            argv, stdin=null, stdout=subprocess.PIPE, stderr=null, env=env
        ) as process:
            assert process.stdout
            text = process.stdout.read(_CAP)
            process.stdout.close()
            process.kill()
    except OSError as error:
        raise SiteError(f"cannot run diff: {error.strerror}", hint="install diffutils") from error
    return text.decode("utf-8", "replace")
