"""Random rounds with real processes: drivers are killed, paused and doubled while jobs run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import le

from gateway.crash_points import CrashPoint
from tests.crash.processes import KILLED, LONGEST_S, Bench, is_alive

NOT_HERE = ("images", "conversion", "migration", "download", "removal", "delete", "restart")
STAY = "; sleep 600"
"""Longer than anybody waits for what is left behind to end by itself."""
LEAST_TICKS = 40
"""How many drivers must have moved nothing, however long that took."""
AT = [point.name for point in CrashPoint if point.place not in NOT_HERE]


@dataclass
class Round:
    """One round: a few short workflows, several drivers, some violence, then peace.

    Parameters
    ----------
    pace
        Longest time between two deeds, in seconds: jobs are to run meanwhile.
    patience
        How long nothing may move, in seconds, before the round is given up (see `LEAST_TICKS`).
    stays
        Whether the last command of the first workflow stays until the workflow is stopped.
    """

    seed: int
    bench: Bench
    pace: float = 0.2
    patience: float = LONGEST_S
    stays: bool = False
    kills: int = 0
    pauses: int = 0
    drivers: list[int] = field(default_factory=list)
    asleep: list[int] = field(default_factory=list)
    stopped: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.number = self.random.randint(1, 3)
        self.commands = self.random.randint(2, 3)

    def run(self) -> list[str]:
        """Live through it; return what went wrong."""
        try:
            return self.live()
        except Exception as broken:  # Whatever it is, it belongs to this seed.
            return [f"it broke off: {broken!r}"]

    def live(self) -> list[str]:
        """Live through it, and leave nothing behind."""
        try:
            self.submit()
            for _ in range(self.random.randint(5, 10)):
                self.violence()
            self.heal()
            return self.wrong()
        finally:
            for pid in list(self.drivers):
                self.end(pid, signal.SIGKILL)
            self.bench.close()

    def submit(self) -> None:
        """Submit all workflows; the command of each may be killed, and is then given again."""
        for number in range(self.number):
            steps = [self.command(number, place) for place in range(self.commands)]
            self.bench.write_spec(*steps, retries=1, inputs=1)
            if self.random.random() < 0.3:
                places = ("create", "staging", "files", "start")
                names = [point.name for point in CrashPoint if point.place in places]
                self.bench.kill_at = [self.random.choice(names)]
            self.bench.ok("submit", "--key", f"k{number}", "-n", f"w{number}")
            self.kills += self.bench.kills
            self.bench.kills, self.bench.kill_at = 0, []
        self.bench.watch_moves()

    def command(self, number: int, place: int) -> str:
        """Return a command that says that it ran; the first of each workflow fails once."""
        text = self.bench.command(f"{number}.{place}.log")
        pause = self.random.choice(("", "sleep 0.1; ", "sleep 0.4; "))
        once = "; [ -e once ] || { touch once; exit 1; }" if place == 0 else ""
        stay = STAY if self.stays and (number, place) == (0, self.commands - 1) else ""
        return pause + text + once + stay

    def violence(self) -> None:
        """Start a driver, or kill, pause or wake one, or stop a workflow."""
        deeds = [self.start_driver] * 5 + [self.kill_driver, self.pause_driver, self.wake_driver]
        self.random.choice([*deeds, self.stop_workflow] if self.random.random() < 0.3 else deeds)()
        time.sleep(self.random.random() * self.pace)

    def start_driver(self) -> None:
        """Start one driver, two at most, which may be doomed."""
        if len([pid for pid in self.drivers if is_alive(pid)]) >= 2:
            return
        words = self.random.choice((("serve",), ("tick",), ("tick", "--for", "0.5")))
        doom = ""
        if self.random.random() < 0.8:
            name = self.random.choice((*AT, *["ANY"] * 10))
            doom = f"{name}:{self.random.randint(1, 12 if name == 'ANY' else 3)}"
        self.drivers.append(self.bench.start(*words, kill_at=doom))

    def _living(self) -> int | None:
        living = [pid for pid in self.drivers if is_alive(pid) and pid not in self.asleep]
        return self.random.choice(living) if living else None

    def kill_driver(self) -> None:
        """Kill a driver wherever it is."""
        pid = self._living()
        if pid is not None:
            self.bench.note(f"kill {pid}")
            self.end(pid, signal.SIGKILL)

    def pause_driver(self) -> None:
        """Stop a driver where it is."""
        pid = self._living()
        if pid is not None:
            self.bench.note(f"pause {pid}")
            os.kill(pid, signal.SIGSTOP)
            # In the middle of a transaction it would keep everybody else waiting.
            while self.bench.is_locked():
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.005)
                os.kill(pid, signal.SIGSTOP)
            self.asleep.append(pid)
            self.pauses += 1

    def wake_driver(self) -> None:
        """Let a paused driver go on; sometimes after its lease was given to another one."""
        if self.asleep:
            pid = self.asleep.pop()
            if self.random.random() < 0.5:
                self.take_lease()
            self.bench.note(f"wake {pid}")
            os.kill(pid, signal.SIGCONT)

    def take_lease(self) -> None:
        """Let the lease run out, as if half a minute had passed."""
        self.bench.execute("UPDATE leases SET expires_at = 0")
        self.bench.note("the lease has run out")
        self.bench.wait(self.bench.start("tick", "--for", "0.3"))

    def stop_workflow(self) -> None:
        """Stop the first workflow."""
        self.stopped += self.bench.wait(self.bench.start("stop", "w0")) == 0

    def end(self, pid: int, sent: signal.Signals) -> None:
        """End one driver and take its status."""
        self.drivers.remove(pid)
        if pid in self.asleep:
            self.asleep.remove(pid)
            os.kill(pid, signal.SIGCONT)
        if is_alive(pid):
            os.kill(pid, sent)
        self.kills += self.bench.wait(pid) == KILLED

    def heal(self) -> None:
        """Wake all, and drive until everything has ended."""
        if self.asleep:
            self.take_lease()
        for pid in self.asleep:
            os.kill(pid, signal.SIGCONT)
        self.asleep.clear()
        for pid in list(self.drivers):
            self.end(pid, signal.SIGTERM)
        if self.stays and not self.stopped:
            self.drive(lambda: bool(self.bench.lines(f"0.{self.commands - 1}.log")))
            self.stop_workflow()
        self.drive(self.bench.over)

    def drive(self, reached: Callable[[], bool]) -> None:
        """Drive until something is so, or nothing moves."""
        seen, ticks, deadline = 0, 0, time.monotonic() + self.patience
        # A busy machine may be slow; what no driver moves any more is stuck.
        while not reached() and (ticks < LEAST_TICKS or time.monotonic() < deadline):
            ticks += 1
            self.bench.wait(self.bench.start("tick", "--for", f"{self.pace}"))
            moves = len(self.bench.moves())
            if moves != seen:
                seen, ticks, deadline = moves, 0, time.monotonic() + self.patience

    def wrong(self) -> list[str]:
        """Check the promises."""
        found = self.bench.wrong()
        for number, status in enumerate(self.bench.statuses()):
            logs = [f"{number}.{place}.log" for place in range(self.commands)]
            ran = [len(self.bench.lines(log)) for log in logs]
            most = [2] + [1] * (self.commands - 1)
            stopped = number == 0 and self.stopped and status == "stopped"
            if status != "finished" and not stopped:
                found.append(f"w{number} is {status}")
            if ran != most and not (stopped and all(map(le, ran, most))):
                found.append(f"the commands of w{number} ran {ran} times")
        return found
