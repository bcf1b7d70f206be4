"""Starts commands of the gateway as processes, without the time that a fresh interpreter takes.

Reads one JSON request per line: ``{"start": argv, "cwd": .., "environ": .., "out": path}`` is
answered with the number of the new process, ``{"await": pid}`` with its exit status once it has
ended, negative for a signal, and ``{"poll": pid}`` with that or, while it runs, with ``null``.
``{"signal": pid, "number": n}`` sends a signal, and ``{"state": pid}`` is answered with the letter
that the kernel gives to its state: a number may mean something in this namespace only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import create_engine

import gateway
from gateway import crash_points
from gateway.cli.main import run as command_line

NAMED_PARTS = "TEST_NAMED_PARTS"
"""If set, no filesystem knows files without a name, as NFS."""
PYTHON = "TEST_PYTHON"
"""What jobs of the gateway itself run with."""
DIALECTS = ("sqlite://", "postgresql+psycopg://")


def warm_up() -> None:
    """Load once what every command would load: most of what a small command does."""
    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)
    for url in DIALECTS:
        create_engine(url)
    # Else each of the forked would walk over, and so copy, all of it.
    gc.freeze()


def serve() -> None:
    """Answer requests until the input ends."""
    warm_up()
    for line in sys.stdin:
        request = json.loads(line)
        if "await" in request:
            _, status = os.waitpid(request["await"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
        elif "poll" in request:
            ended, status = os.waitpid(request["poll"], os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if ended else "null", flush=True)
        elif "signal" in request:
            os.kill(request["signal"], request["number"])
            print("null", flush=True)
        elif "state" in request:
            print(json.dumps(state_of(request["state"])), flush=True)
        else:
            pid = os.fork()
            if pid == 0:
                become(request)
            print(pid, flush=True)


def state_of(pid: int) -> str:
    """Return the letter of the state of a process; ``X``: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def become(request: dict[str, Any]) -> NoReturn:
    """Be a command from now on."""
    code = 70
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.setsid()
        os.chdir(request["cwd"])
        os.environ.update(request["environ"])
        if NAMED_PARTS in os.environ:
            # Then the kernel answers as where there are no such files: open(2), O_TMPFILE, EISDIR.
            os.O_TMPFILE = os.O_DIRECTORY | os.O_RDWR  # type: ignore[misc]
        sys.executable = os.environ.get(PYTHON, sys.executable)
        crash_points.set_hook(crash_points.hook_from(dict(os.environ)))
        code = command_line(request["start"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
