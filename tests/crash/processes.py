"""Real processes of the gateway over a real local cluster, killed by SIGKILL where a test says."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine, NullPool, create_engine, text

from gateway.crash_points import KILL_AT
from tests.crash import postgresql
from tests.crash.invariants import moves_backwards
from tests.crash.place import Move, read_moves, watch_moves
from tests.crash.zygote import state_of

CHECKOUT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
LONGEST_S = 60.0
LONG = "for i in $$(seq 300); do [ -e go ] && exit 0; sleep 0.1; done"
# The parent of a command is the shell that waits for it; the job script is the parent of that one.
KILL_JOB_SCRIPT = "read -r _ _ _ script _ </proc/$$PPID/stat; kill -9 $$script"
DIES_ONCE = f"[ -e once ] || {{ touch once; {KILL_JOB_SCRIPT}; exit 1; }}"


class Zygote:
    """The process from which commands are forked (tests/crash/zygote.py).

    Parameters
    ----------
    wrapper
        Command line in front of its own: where it runs.
    environ
        Its environment; default: ours.
    """

    def __init__(
        self, wrapper: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "tests.crash.zygote"],
            cwd=CHECKOUT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, argv: list[str], cwd: Path, environ: Mapping[str, str], out: Path) -> int:
        """Start a command; return its number."""
        return int(
            self.ask({"start": argv, "cwd": str(cwd), "environ": dict(environ), "out": str(out)})
        )

    def wait(self, pid: int) -> int:
        """Wait for a command to end; return its exit status, negative for a signal."""
        return int(self.ask({"await": pid}))

    def send(self, pid: int, number: int) -> None:
        """Send a signal to a command."""
        self.ask({"signal": pid, "number": number})

    def state(self, pid: int) -> str:
        """Return the letter that the kernel gives to the state of a command."""
        return str(self.ask({"state": pid}))

    @property
    def pid(self) -> int:
        """Number of the process, or of its wrapper."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Say something to what the wrapper started, before the process itself listens."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def ask(self, request: dict[str, Any]) -> Any:
        """Return the answer to a request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@dataclass
class Bench:
    """A user's place with a local cluster whose jobs run on the host.

    Parameters
    ----------
    kill_at
        What ``GATEWAY_CRASH_AT`` says to each command until one was killed.
    url
        Database; default: SQLite in the place.
    site_url
        The same database as the commands reach it, if they reach it otherwise.
    containers
        That part of the site file.
    environ
        Given to every command.
    name
        Of the cluster. Jobs on clusters of one name share the cores of a host, whoever they are of.
    """

    root: Path
    zygote: Zygote
    kill_at: list[str] = field(default_factory=list)
    url: str | None = None
    site_url: str | None = None
    containers: str | dict[str, str] = "host"
    environ: dict[str, str] = field(default_factory=dict)
    name: str = "local"
    kills: int = 0
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.here.mkdir(parents=True)
        self.write_site()

    def write_site(self) -> None:
        """Write the site file."""
        local = {"type": "local", "cpus": 4, "memory": "4 GiB"}
        local |= {"resend_after": 1, "lost_after": 1, "status_interval": 1}
        site = {
            "shared_root": str(self.shared),
            "state_dir": str(self.root / "state"),
            "containers": self.containers,
            "clusters": {self.name: local},
            **({"database": self.site_url or self.url} if self.url else {}),
        }
        (self.root / "site.yaml").write_text(yaml.safe_dump(site))

    @property
    def here(self) -> Path:
        """Where the user's own files lie."""
        return self.root / "analysis"

    @property
    def shared(self) -> Path:
        """Root of workspaces and control files."""
        return self.root / "shared"

    @property
    def database(self) -> Path:
        """The state."""
        return self.root / "state" / "gateway.db"

    def note(self, text: str) -> None:
        """Add to the history."""
        self.history.append(f"{time.monotonic() - self.began:7.2f} {text}")

    def write_spec(
        self, *commands: str, retries: int = 0, inputs: int = 0, image: str = "img"
    ) -> None:
        """Write a specification with one step per command, and input files."""
        names = [f"in{number}.txt" for number in range(inputs)]
        for name in names:
            (self.here / name).write_text(name * 100)
        steps = [
            {"name": f"s{n}", "environment": image, "commands": [text], "retries": retries}
            for n, text in enumerate(commands)
        ]
        workflow = {"type": "serial", "specification": {"steps": steps}}
        data = {"inputs": {"files": names}, "workflow": workflow}
        (self.here / "reana.yaml").write_text(yaml.safe_dump(data))

    def command(self, log: str) -> str:
        """Return shell text by which a job says that it ran."""
        return f'echo "$$GATEWAY_KEY" >> {self.root / log}'

    def start(self, *words: str, kill_at: str = "", **environ: str) -> int:
        """Start a command; return its number."""
        environ = {
            "GATEWAY_SITE": str(self.root / "site.yaml"),
            "HOME": str(self.root),
            "TERM": "dumb",
            KILL_AT: kill_at,
            **self.environ,
            **environ,
        }
        pid = self.zygote.start(list(words), self.here, environ, self.root / "said.txt")
        self.note(f"{pid}: gateway {' '.join(words)} {kill_at}")
        return pid

    def wait(self, pid: int) -> int:
        """Wait for a command."""
        code = self.zygote.wait(pid)
        self.note(f"{pid}: ended with {code}")
        return code

    def run(self, *words: str) -> int:
        """Run a command with the next kill armed; again without, if it was killed."""
        armed = self.kill_at[0] if self.kill_at else ""
        code = self.wait(self.start(*words, kill_at=armed))
        if code == KILLED and armed:
            self.kill_at.pop(0)
            self.kills += 1
            return self.run(*words)
        return code

    def ok(self, *words: str) -> None:
        """Run a command that must succeed."""
        code = self.run(*words)
        assert code == 0, self.told()

    @cached_property
    def engine(self) -> Engine:
        """The database, seen from beside the gateway."""
        sqlite = {"timeout": 30.0} if self.url is None else {}
        url = self.url or f"sqlite:///{self.database}"
        return create_engine(url, poolclass=NullPool, connect_args=sqlite)

    def watch_moves(self) -> None:
        """Record every change of a state from now on."""
        if self.url is None:
            watch_moves(self.database)
        else:
            postgresql.watch_moves(self.engine)

    def moves(self) -> list[Move]:
        """Return every change of a state so far."""
        return read_moves(self.database) if self.url is None else postgresql.read_moves(self.engine)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def execute(self, statement: str) -> None:
        """Change the database behind the gateway's back."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def is_locked(self) -> bool:
        """Say whether somebody is in the middle of a transaction that keeps others waiting."""
        if self.url is not None:
            return postgresql.is_locked(self.engine)
        with closing(sqlite3.connect(self.database, timeout=0.3)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def statuses(self) -> list[str]:
        """Return the status of every workflow, first one first."""
        return [row[0] for row in self.rows("SELECT status FROM workflows ORDER BY created_at")]

    def over(self) -> bool:
        """Say whether all workflows have ended."""
        ends = ("finished", "failed", "stopped", "deleted")
        return all(status in ends for status in self.statuses())

    def drive(self, kind: str, reached: Callable[[], bool] | None = None) -> None:
        """Drive with ``tick`` or ``serve`` until something is so; default: until all is over."""
        reached = reached or self.over
        deadline = time.monotonic() + LONGEST_S
        drive = self._serve if kind == "serve" else self._tick
        while not reached():
            assert time.monotonic() < deadline, f"waited in vain\n{self.told()}"
            drive(reached, deadline)

    def _tick(self, _reached: Callable[[], bool], _deadline: float) -> None:
        self.run("tick", "--for", "0.3")

    def _serve(self, reached: Callable[[], bool], deadline: float) -> None:
        armed = self.kill_at[0] if self.kill_at else ""
        pid = self.start("serve", kill_at=armed)
        while not reached() and time.monotonic() < deadline and is_alive(pid):
            time.sleep(0.05)
        if is_alive(pid):
            os.kill(pid, signal.SIGTERM)
        if self.wait(pid) == KILLED:
            self.kills += 1
            self.kill_at.pop(0)

    def lines(self, log: str) -> list[str]:
        """Return what jobs wrote into a log: the key of each attempt that ran."""
        path = self.root / log
        return path.read_text().split() if path.exists() else []

    def wrong(self) -> list[str]:
        """Return what must not be, whatever happened."""
        logs = [*self.root.glob("*.log")]
        twice = [
            f"{path.name}: {key} ran {number} times"
            for path in logs
            for key, number in Counter(self.lines(path.name)).items()
            if number > 1
        ]
        left = [f"process {pid} is left: {words}" for pid, words in self.processes()]
        open_ones = self.rows(
            "SELECT key FROM attempts WHERE state != 'ended' AND job_id IN "
            "(SELECT id FROM jobs WHERE workflow_id IS NOT NULL)"
        )
        back = moves_backwards(self.moves(), ())
        said = (self.root / "said.txt").read_text(errors="replace")
        mistakes = [word for word in ("Traceback", "mistake of the gateway") if word in said]
        return twice + left + back + mistakes + [f"{key} is open" for (key,) in open_ones]

    def processes(self) -> list[tuple[int, str]]:
        """Return the processes of jobs."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if str(self.shared) in words:
                    found.append((int(entry.name), words.replace("\0", " ")))
        return found

    def close(self) -> None:
        """Leave no process behind."""
        for pid, _ in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.engine.dispose()

    def told(self) -> str:
        """Return the history, and what the commands said."""
        said = self.root / "said.txt"
        text = said.read_text(errors="replace") if said.exists() else ""
        return "\n".join([*self.history, text[-4000:]])


def is_alive(pid: int) -> bool:
    """Say whether a process exists and is not a zombie."""
    return state_of(pid) not in "ZX"
