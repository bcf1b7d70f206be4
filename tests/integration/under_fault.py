"""A gateway at work, workflows that meet a fault, and what must hold of them whatever happened."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.place import GATEWAY, Place, called, make_place

IMAGE = "docker.io/library/busybox:latest"
WAIT = "while [ ! -e go ]; do sleep 0.2; done"
ONCE = f"echo ran >> starts; {WAIT}; echo ran >> ends"
"""Is counted, and ends when it may."""
FIRST_WAITS = f"echo ran >> starts; if mkdir first; then {WAIT}; fi; echo ran >> ends"
"""Ends at once when it is started again."""
OVER = ("finished", "failed", "stopped")


class Driver:
    """The process that makes the passes: ``serve``, or ``tick`` for a long time."""

    def __init__(self, place: Place, log: Path) -> None:
        self._place = place
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self, *words: str, before: tuple[str, ...] = ()) -> None:
        """Start it; ``before`` are words that come before its command line."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*before, *GATEWAY, *words],
                env=self._place.environ,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def is_alive(self) -> bool:
        return self._process is None or self._process.poll() is None

    def said(self) -> str:
        return self._log.read_text()


@dataclass(frozen=True)
class Run:
    """One workflow of one step, in which a fault is made."""

    place: Place
    id: str
    workspace: Path
    driver: Driver

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(called(self.place, "status", self.id, "--json"))
        return found

    def job(self) -> dict[str, Any]:
        jobs: list[dict[str, Any]] = self.status()["jobs"]
        return jobs[-1] if jobs else {"attempts": []}

    def attempts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.job()["attempts"]
        return found

    def last(self) -> dict[str, Any]:
        """Return the last attempt; with states and reasons empty while there is none."""
        attempts = self.attempts()
        return attempts[-1] if attempts else {"state": "", "reason": "", "restart": 0}

    def explained(self) -> str:
        """Return what ``gateway explain`` says of the workflow and of its last job."""
        asked = [self.id, *(job["id"] for job in self.status()["jobs"][-1:])]
        return "\n".join(called(self.place, "explain", each) for each in asked)

    def count(self, file: str = "starts") -> int:
        path = self.workspace / file
        return len(path.read_text().splitlines()) if path.exists() else 0

    def go(self) -> None:
        (self.workspace / "go").touch()

    def until(self, enough: Callable[[], object], seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while not enough():
            in_time = time.monotonic() < deadline and self.driver.is_alive()
            assert in_time, f"it did not come about\n{self.explained()}\n{self.driver.said()}"
            time.sleep(0.3)

    def started(self, number: int = 1, seconds: float = 100) -> None:
        """Wait until the command runs for that many times."""
        self.until(lambda: self.count() >= number, seconds)
        assert self.count() == number

    def attempt(self, number: int = 1, seconds: float = 100) -> dict[str, Any]:
        """Wait until that attempt is known to run, and return it."""

        def runs() -> bool:
            return (len(self.attempts()), self.last()["state"]) == (number, "running")

        self.until(runs, seconds)
        return self.last()

    def says(self, *words: str, seconds: float = 100) -> str:
        """Wait until ``gateway explain`` says all this."""
        self.until(lambda: all(word in self.explained() for word in words), seconds)
        return self.explained()

    def ends(self, status: str, seconds: float = 150, unreached: int = 0) -> str:
        """Wait for the end and check it; return what ``gateway explain`` says then.

        ``unreached`` is how many starts of attempts have come to nothing before the command.
        """
        self.until(lambda: self.status()["status"] in OVER, seconds)
        explained = self.explained()
        assert self.status()["status"] == status, explained
        ran, claims = self.count(), self.claims()
        assert ran + unreached == len(claims), f"ran {ran} times, claimed by {claims}\n{explained}"
        self.until(lambda: not self.remains(), 40)
        return explained

    def submissions(self) -> list[str]:
        """Return the keys under which schedulers know the attempts of every job."""
        return [each["submission"] for each in self._all_attempts() if each["submission"]]

    def _all_attempts(self) -> list[dict[str, Any]]:
        return [each for job in self.status()["jobs"] for each in job["attempts"]]

    def control_dirs(self) -> list[Path]:
        return [self.workspace.parents[1] / "control" / key for key in self.submissions()]

    def claims(self) -> list[dict[str, Any]]:
        """Return one claim for each start of an attempt; a submission may hold others too."""
        keys = {each["key"] for each in self._all_attempts()}
        paths = {path for each in self.control_dirs() for path in each.glob("claims/[0-9]*")}
        claims = [json.loads(path.read_text()) for path in paths]
        return [claim for claim in claims if claim["key"] in keys]

    def remains(self) -> list[str]:
        """Return what a scheduler or the process table still has of it."""
        found = [f"process {pid}" for each in self.control_dirs() for pid in processes(str(each))]
        for key in self.submissions():
            found += [*_in_slurm(key), *_in_htcondor(key)]
        return found


@dataclass
class Gateway:
    """A gateway that drives until it is told otherwise."""

    place: Place
    home: Path
    driver: Driver
    runs: list[Run] = field(default_factory=list)

    def submit(self, *commands: str, cluster: str, **step: Any) -> Run:
        """Start a workflow of one step, or of one for each command."""
        steps = [
            {"name": f"step{number}", "environment": IMAGE, "commands": [command], **step}
            for number, command in enumerate(commands)
        ]
        file = self.home / "reana.yaml"
        file.write_text(
            json.dumps({"workflow": {"type": "serial", "specification": {"steps": steps}}})
        )
        workflow = called(self.place, "submit", str(file), "--cluster", cluster).strip()
        status = json.loads(called(self.place, "status", workflow, "--json"))
        run = Run(self.place, workflow, Path(status["workspace"]), self.driver)
        self.runs.append(run)
        return run


@contextlib.contextmanager
def working(
    clusters: dict[str, Any],
    containers: dict[str, Any] | None = None,
    driver: tuple[str, ...] = ("serve",),
) -> Iterator[Gateway]:
    """Bring up a gateway with these clusters; leave no job of it behind."""
    home = Path.home() / "tests" / f"{os.getpid()}-{time.time_ns()}"
    home.mkdir(parents=True)
    place = make_place(home, clusters=clusters, containers=containers)
    gateway = Gateway(place, home, Driver(place, home / "driver.log"))
    gateway.driver.start(*driver)
    try:
        yield gateway
    finally:
        gateway.driver.end()
        for run in gateway.runs:
            _remove(run)
        shutil.rmtree(home, ignore_errors=True)


def as_root(*argv: str) -> None:
    """Do what only an administrator may."""
    done = subprocess.run(["sudo", "-n", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def said_by(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def processes(*words: str) -> list[int]:
    """Return the processes in whose command lines all these words stand."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(path.parent.name))
    return found


def parent_of(pid: int) -> int:
    return _stat(pid)[1]


def kill_session(leader: int) -> None:
    """Kill a process and all that it has started, as a crash of the host would."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and _stat(int(name))[3] == leader:
            os.kill(int(name), signal.SIGKILL)


def _stat(pid: int) -> list[int]:
    """Return the numbers of ``/proc/PID/stat`` (proc(5)) behind the name; zeros if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0] * 4
    return [0, *(int(word) for word in text.rpartition(")")[2].split()[1:4])]


def program_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _in_slurm(key: str) -> list[str]:
    lines = said_by("squeue", "--me", "--all", "--noheader", "--format=%j %i %T").splitlines()
    return [line for line in lines if line.startswith(key)]


def _in_htcondor(key: str) -> list[str]:
    # An ended job stays in the queue for a while, for those who look.
    wanted = f'GatewaySubmission == "{key}" && JobStatus != 4'
    return said_by("condor_q", "-constraint", wanted, "-af", "ClusterId", "JobStatus").splitlines()


def _remove(run: Run) -> None:
    for key in run.submissions():
        for line in _in_slurm(key):
            subprocess.run(["scancel", line.split()[1]], capture_output=True, check=False)
        subprocess.run(
            ["condor_rm", "-constraint", f'GatewaySubmission == "{key}"'],
            capture_output=True,
            check=False,
        )
    for directory in run.control_dirs():
        for pid in processes(str(directory)):
            os.kill(pid, signal.SIGKILL)
