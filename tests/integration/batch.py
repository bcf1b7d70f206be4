"""Many small gateways at once over one real batch system, each with a place of its own.

What they meet takes a few seconds of waiting and next to no work, so many of them live through
their cases side by side, in threads of one test process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ExitCode
from tests.crash.processes import KILLED, Bench, Zygote, is_alive
from tests.integration.faults.catalogue import PATIENCE_S, RESEND_S
from tests.integration.faults.plan import Fault, Liar

Case = TypeVar("Case")
AT_ONCE = 5
LONGEST_S = 180.0
DRIVERS = {"serve": ("serve",), "wait": ("wait", "workflow", "--quiet")}
ENDS = (0, KILLED, -signal.SIGTERM, ExitCode.FAILED, ExitCode.STOPPED, ExitCode.DETACHED)
LIVING = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED")
COMMON = {
    "resend_after": RESEND_S,
    "command_timeout": PATIENCE_S,
    "lost_after": 25,
    "status_interval": 1,
    "status_calls_per_minute": 240,
}


class SharedZygote(Zygote):
    """A zygote that several threads use."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> Any:
        """Return the answer to a request."""
        with self._lock:
            return super().ask(request)

    def wait(self, pid: int) -> int:
        """Wait for a command to end; return its exit status, negative for a signal."""
        while (code := self.ask({"poll": pid})) is None:
            time.sleep(0.05)
        return int(code)


@dataclass
class BatchBench(Bench):
    """A user's place on the login node of a batch system, whose commands may lie.

    Parameters
    ----------
    settings
        More settings of the cluster.
    beside
        More clusters of the site.
    """

    cluster: str = "slurm"
    faults: Sequence[Fault] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.liar = Liar.installed(self.root / "liar", self.cluster, self.faults)
        cluster = {"type": self.cluster, **COMMON, **self.settings}
        site = yaml.safe_load((self.root / "site.yaml").read_text())
        site |= {"clusters": {self.cluster: cluster, **self.beside}}
        site |= {"default_cluster": self.cluster}
        (self.root / "site.yaml").write_text(yaml.safe_dump(site))

    def start(self, *words: str, kill_at: str = "", **environ: str) -> int:
        """Start a command; return its number."""
        path = f"{self.liar.bin}:/usr/local/bin:/usr/bin:/bin"
        return super().start(*words, kill_at=kill_at, PATH=path, **environ)

    def drive(self, kind: str, reached: Callable[[], bool] | None = None) -> None:
        """Drive in one of the ways until something is so; default: until all is over."""
        reached = reached or self.over
        seen, deadline = 0, time.monotonic() + LONGEST_S
        while not reached():
            # A busy machine may be slow; what does not move at all is stuck.
            if (moves := len(self.moves())) != seen:
                seen, deadline = moves, time.monotonic() + LONGEST_S
            assert time.monotonic() < deadline, f"waited in vain\n{self.told()}"
            if kind == "tick":
                self.run("tick", "--for", "1")
            else:
                self._stay(DRIVERS[kind], reached, deadline)

    def _stay(self, words: Sequence[str], reached: Callable[[], bool], deadline: float) -> None:
        """Have one driver until something is so, or it is killed, or it is late."""
        armed = self.kill_at[0] if self.kill_at else ""
        pid = self.start(*words, kill_at=armed)
        while is_alive(pid) and not reached() and time.monotonic() < deadline:
            time.sleep(0.2)
        if is_alive(pid):
            os.kill(pid, signal.SIGTERM)
        code = self.wait(pid)
        assert code in ENDS, self.told()
        if code == KILLED:
            self.kills += 1
            self.kill_at.pop(0)

    def submissions(self) -> dict[str, list[str]]:
        """Return what the scheduler has got from here: states of the tasks, by its own id."""
        rows = self._in_slurm() if self.cluster == "slurm" else self._in_htcondor()
        found: dict[str, list[str]] = {}
        for native_id, state in rows:
            found.setdefault(native_id, []).append(state)
        return found

    def _in_slurm(self) -> Iterator[tuple[str, str]]:
        words = ("--me", "--all", "--noheader", "--states=all", "--array", "--format=%F|%T|%Z")
        for line in said_by("squeue", *words):
            native_id, state, directory = line.split("|")
            if directory.startswith(f"{self.shared}/"):
                yield native_id, state if state in LIVING else ""

    def _in_htcondor(self) -> Iterator[tuple[str, str]]:
        prefix = f"{self.shared}/"
        ours = f'substr(UserLog, 0, {len(prefix)}) == "{prefix}"'
        words = ("-constraint", ours, "-af", "ClusterId", "JobStatus")
        for line in {*said_by("condor_q", *words), *said_by("condor_history", *words)}:
            native_id, status = line.split()
            yield native_id, "" if status in ("3", "4") else f"JobStatus {status}"

    def living(self) -> list[str]:
        """Return what the scheduler has not ended yet."""
        return [
            f"job {native_id} is {state} in the scheduler"
            for native_id, states in self.submissions().items()
            for state in states
            if state
        ]

    def come_to_rest(self, sent: int | None = None) -> None:
        """Wait until the scheduler is done with what it has got, and has got that much."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            number = len(self.submissions())
            if not self.living() and not self.processes() and sent in (None, number):
                return
            time.sleep(0.5)

    def wrong(self) -> list[str]:
        """Return what must not be, whatever happened."""
        self.come_to_rest()
        return super().wrong() + self.living()

    def close(self) -> None:
        """Leave no job behind."""
        living = [native_id for native_id, states in self.submissions().items() if any(states)]
        remover = "scancel" if self.cluster == "slurm" else "condor_rm"
        if living:
            subprocess.run([remover, *living], check=False, capture_output=True)
        super().close()

    def told(self) -> str:
        """Return the history, what was asked of the scheduler, and what the commands said."""
        environ = {"GATEWAY_SITE": str(self.root / "site.yaml"), "HOME": str(self.root)}
        explained = self.root / "explained.txt"
        explained.touch()
        # A command may have been refused before there were tables.
        with suppress(SQLAlchemyError):
            for (workflow,) in self.rows("SELECT id FROM workflows ORDER BY created_at"):
                words = ["explain", str(workflow)]
                self.zygote.wait(self.zygote.start(words, self.here, environ, explained))
        return "\n".join([super().told(), self.liar.told(), explained.read_text()])


def said_by(*argv: str) -> list[str]:
    """Return the lines that a command of the real scheduler says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


@contextmanager
def side_by_side(
    wanted: Sequence[Case], live: Callable[[Case, Zygote, Path], None]
) -> Iterator[Mapping[Case, Future[None]]]:
    """Live through many cases at once, each in a directory that the nodes see.

    Parameters
    ----------
    live
        Fails as a test fails.
    """
    root = Path.home() / "tests" / f"{time.time_ns()}"
    root.mkdir(parents=True)
    zygote = SharedZygote()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield {
                case: pool.submit(live, case, zygote, root / str(number))
                for number, case in enumerate(wanted)
            }
        finally:
            pool.shutdown(cancel_futures=True)
    zygote.close()
    shutil.rmtree(root, ignore_errors=True)


def selected(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """Return the values of a parameter that the tests of this module, as selected, will ask for."""
    values = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path:
            spec = getattr(item, "callspec", None)
            if spec is not None and parameter in spec.params:
                values.append(spec.params[parameter])
    return values
