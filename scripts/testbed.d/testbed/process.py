"""Programs of the machine: run them, and say plainly which one is missing or failed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import NEEDS_ROOT, TestbedError


def need_root(purpose: str) -> None:
    if os.geteuid() != 0:
        raise TestbedError(
            f"{purpose} needs root: it makes mounts and namespaces. Try again with sudo.",
            NEEDS_ROOT,
        )


def need_programs(*names: str) -> None:
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise TestbedError(f"not installed on this machine: {', '.join(missing)}")


def apart(*more: str) -> list[str]:
    """Prefix for a command: mounts and processes of its own, which vanish with it and with us."""
    return ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork",
            "--kill-child", "--mount-proc", *more]  # fmt: skip


def run(argv: Sequence[str | Path], what: str, log: Path | None = None) -> None:
    """Run a program to its end; on failure show the end of what it said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        errors="replace",
        check=False,
    )
    if log is not None:
        log.write_text(done.stdout)
    if done.returncode != 0:
        tail = "\n".join("  | " + line for line in done.stdout.splitlines()[-15:])
        raise TestbedError(f"{what} failed (exit code {done.returncode}):\n{tail}")
