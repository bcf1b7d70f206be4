"""Stands in for a scheduler command: runs the real one, and spoils its answer as a plan says.

Installed under the commands' names in ``DIRECTORY/bin``, which is put first on PATH. Reads
``DIRECTORY/plan.json``, a list of faults as ``plan.Fault`` writes them, at every call; the first
one that fits is done. Where none fits, the real command takes the place of this process. Every call
is a line of ``DIRECTORY/calls.jsonl``. Uses the standard library only, and starts without ``site``.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Fault = dict[str, Any]

TITLES = re.compile(r"JobID\x1f", re.IGNORECASE)
"""What squeue and sacct begin with."""


def main() -> int:
    """Be the command whose name this was called by."""
    here = Path(sys.argv[0]).parent
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    real = real_command(name, here)
    fault = admit(here.parent, name, words)
    if fault is None:
        os.execv(real, [name, *words])
    return spoil(fault, [real, *words])


def real_command(name: str, here: Path) -> str:
    """Return the command that stands behind this one."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(name, path=os.pathsep.join(p for p in places if Path(p) != here))
    if found is None:
        sys.stderr.write(f"{name}: not found\n")
        sys.exit(127)
    return found


def admit(directory: Path, name: str, words: list[str]) -> Fault | None:
    """Write the call down, and return the fault that is due."""
    with (directory / "calls.jsonl").open("a+", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        before = [json.loads(line) for line in log]
        plan: list[Fault] = json.loads((directory / "plan.json").read_text())
        fitting = [fault for fault in plan if fits(fault, name, words)]
        due = [fault for fault in fitting if is_due(fault, before)]
        call = {
            "at": time.time(),
            "command": name,
            "words": words,
            "fits": [fault["name"] for fault in fitting],
            "fault": due[0]["name"] if due else None,
            "runs": not due or due[0]["runs"],
        }
        log.write(json.dumps(call) + "\n")
    return due[0] if due else None


def fits(fault: Fault, name: str, words: list[str]) -> bool:
    """Say whether a fault is about calls like this one."""
    named = re.fullmatch(fault["command"], name) is not None
    return named and re.search(fault["words"], " ".join(words)) is not None


def is_due(fault: Fault, before: list[dict[str, Any]]) -> bool:
    """Say whether a fault is about this one of the calls that it fits."""
    number = 1 + sum(fault["name"] in call["fits"] for call in before)
    return fault["first"] <= number and (fault["last"] is None or number <= fault["last"])


def spoil(fault: Fault, argv: list[str]) -> int:
    """Run the real command, or not, and give another answer than it does."""
    if fault["apart_s"]:
        run_apart(argv, fault["apart_s"])
    status, out, err = 0, "", ""
    if fault["runs"]:
        done = subprocess.run(argv, capture_output=True, check=False)
        status = done.returncode
        out, err = done.stdout.decode(), done.stderr.decode()
    for edit in fault["edits"]:
        out = edited(out, edit)
    out = out if fault["stdout"] is None else fault["stdout"]
    err = err if fault["stderr"] is None else fault["stderr"]
    status = status if fault["exit"] is None else fault["exit"]
    time.sleep(fault["late_s"])
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.stdout.flush()
    sys.stderr.flush()
    if status < 0:
        os.kill(os.getpid(), -status)
    return status


def run_apart(argv: list[str], seconds: float) -> None:
    """Have the work done later by a process that outlives this one, whoever ends it."""
    given = sys.stdin.buffer.read()
    if os.fork():
        return
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    time.sleep(seconds)
    subprocess.run(argv, input=given, capture_output=True, check=False)
    os._exit(0)


def edited(text: str, edit: list[Any]) -> str:
    """Return an answer with one change: a line, or an element of a JSON list, is a record."""
    kind, *given = edit
    if kind == "sub":
        return re.sub(given[0], given[1], text)
    if kind == "cut":
        return text[: int(len(text) * given[0])]
    if kind == "shift":
        return re.sub(r"\b1[0-9]{9}\b", lambda found: str(int(found[0]) + int(given[0])), text)
    return on_records(text, kind, given)


def on_records(text: str, kind: str, given: list[Any]) -> str:
    """Leave records out, or say them twice."""
    if text.lstrip().startswith("["):
        records = [json.dumps(record) for record in json.loads(text)]
    else:
        records = text.splitlines()
    if kind == "drop":
        kept = [record for record in records if not re.search(given[0], record)]
    else:
        kept = [record for record in records for _ in range(1 if TITLES.match(record) else 2)]
    if text.lstrip().startswith("["):
        return f"[{', '.join(kept)}]\n"
    return "".join(f"{record}\n" for record in kept)


if __name__ == "__main__":
    sys.exit(main())
