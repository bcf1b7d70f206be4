"""Show how the files of two workspaces differ, by ``diff``, as REANA does."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

from gateway.errors import NotFoundError, SiteError, UnreachableError

_CAP = 16 * 1024 * 1024
"""A longer answer helps nobody; ``diff`` ends when its reader is gone."""
PATIENCE_S = 60.0
MOST_AT_ONCE = 4
_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


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
    UnreachableError
        If it takes too long, or too many are under way.
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
    if not _slots.acquire(blocking=False):
        raise UnreachableError("too many comparisons are under way", hint="try again in a minute")
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    try:
        with subprocess.Popen(
            argv, stdin=null, stdout=subprocess.PIPE, stderr=null, env=env
        ) as process:
            timer = threading.Timer(PATIENCE_S, give_up)
            timer.start()
            assert process.stdout
            text = process.stdout.read(_CAP)
            timer.cancel()
            process.stdout.close()
            process.kill()
    except OSError as error:
        raise SiteError(f"cannot run diff: {error.strerror}", hint="install diffutils") from error
    finally:
        _slots.release()
    if late.is_set():
        raise UnreachableError(
            f"comparing the workspaces takes longer than {PATIENCE_S:.0f} s",
            hint="compare single files: gateway download",
        )
    return text.decode("utf-8", "replace")
