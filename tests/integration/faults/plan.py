"""Put the wrapper in place of scheduler commands, and tell it what to spoil."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WRAPPER = Path(__file__).with_name("wrapper.py")
COMMANDS = {
    "slurm": ("sbatch", "squeue", "sacct", "scancel", "scontrol"),
    "htcondor": (
        "condor_submit",
        "condor_q",
        "condor_history",
        "condor_rm",
        "condor_release",
        "condor_config_val",
    ),
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with some calls of a command.

    Parameters
    ----------
    command, words
        Regular expressions: for the whole name, and for anything in the arguments.
    first, last
        Which of the calls that fit, counted from 1; no last one: until the plan is changed.
    runs
        Whether the real command is run, before the answer is given.
    apart_s
        If not 0, it is run once more, so many seconds later, by a process of its own.
    late_s
        How long the answer takes, once the work is done.
    stdout, stderr, exit
        Said instead of the real answer; a negative exit code is a signal.
    edits
        Changes of the real output: ``sub PATTERN TEXT``, ``cut FRACTION``, ``shift SECONDS`` (of
        times since the epoch), ``drop PATTERN`` and ``twice`` (records).
    """

    name: str
    command: str
    words: str = ""
    first: int = 1
    last: int | None = 1
    runs: bool = True
    apart_s: float = 0.0
    late_s: float = 0.0
    stdout: str | None = None
    stderr: str | None = None
    exit: int | None = None
    edits: tuple[tuple[str | float, ...], ...] = ()


@dataclass(frozen=True)
class Liar:
    """The commands of one scheduler, wrapped, in a directory of their own."""

    directory: Path

    @classmethod
    def installed(cls, directory: Path, scheduler: str, faults: Sequence[Fault] = ()) -> Liar:
        """Install the wrapper under the names of a scheduler's commands."""
        made = cls(directory)
        made.bin.mkdir(parents=True)
        program = directory / "wrapper"
        # Neither `site` nor the environment: a third of the time to start.
        program.write_text(f"#!{sys.executable} -IS\n{WRAPPER.read_text()}")
        program.chmod(0o755)
        for name in COMMANDS[scheduler]:
            (made.bin / name).symlink_to(program)
        made.plan(*faults)
        return made

    @property
    def bin(self) -> Path:
        """What belongs at the front of PATH."""
        return self.directory / "bin"

    def plan(self, *faults: Fault) -> None:
        """Replace the plan; nothing: all commands tell the truth from now on."""
        part = self.directory / "plan.part"
        part.write_text(json.dumps([asdict(fault) for fault in faults]))
        part.replace(self.directory / "plan.json")

    def calls(self) -> list[dict[str, Any]]:
        """Return all calls so far, first one first."""
        log = self.directory / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def told(self) -> str:
        """Return the calls in words."""
        return "\n".join(
            f"{call['at']:.1f} {call['command']} {' '.join(call['words'])[:120]}"
            + (f"  [{call['fault']}]" if call["fault"] else "")
            for call in self.calls()
        )
