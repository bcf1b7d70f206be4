"""An instance: one node up, in namespaces of its own, over the cached root file system."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import TestbedError
from .layers import Layer, mounted_below
from .process import need_programs
from .settings import RECIPE, Flavour, state_directory

START_LIMIT = 90.0
STOP_LIMIT = 15.0


@dataclass(frozen=True)
class Record:
    """What is remembered of a running instance; the start time guards against a reused pid."""

    pid: int
    started: int
    source: str
    node: str


@dataclass(frozen=True)
class Instance:
    """A name for a node; it may be up or not."""

    flavour: Flavour
    name: str

    @property
    def title(self) -> str:
        return f"{self.flavour.name}/{self.name}"

    @property
    def state(self) -> Path:
        return state_directory() / f"{self.flavour.name}-{self.name}"

    @property
    def boot_log(self) -> Path:
        return self.state / "boot.log"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while the instance comes up, goes down or gets a directory shown."""
        state_directory().mkdir(parents=True, exist_ok=True)
        path = state_directory() / f"{self.flavour.name}-{self.name}.lock"
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def record(self) -> Record | None:
        """The record of the instance if it is alive."""
        try:
            record = Record(**json.loads((self.state / "instance.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return record if _start_time(record.pid) == record.started else None

    def inside(self, pid: int, path: str | Path) -> Path:
        """A path of the node, as this machine's root sees it."""
        return Path(f"/proc/{pid}/root{path}")

    def mounts(self) -> str:
        """The mount table of the node, empty if it is not alive."""
        record = self.record()
        return Path(f"/proc/{record.pid}/mountinfo").read_text() if record else ""

    def trees(self) -> list[Path]:
        """The cached trees that the running node stands on."""
        for line in self.mounts().splitlines():
            fields = line.split()
            if fields[4] == "/":
                for option in fields[-1].split(","):
                    if option.startswith("lowerdir="):
                        return [Path(tree) for tree in option.removeprefix("lowerdir=").split(":")]
        return []

    def ready(self, pid: int) -> bool:
        return self.inside(pid, "/run/testbed/ready").exists()

    def up(
        self, node: Layer, registry: Path, source: Path, shown: Sequence[Path], accounting: bool
    ) -> float:
        """Bring the instance up and return the seconds it took. Hold its lock."""
        need_programs("unshare", "nsenter")
        begin = time.monotonic()
        self.down()
        self._prepare(node, source)
        pid = self._launch(node, registry, shown, accounting)
        started = _start_time(pid)
        if started is None:
            raise TestbedError(self._failure(f"{self.title} died at once"))
        record = Record(pid, started, str(source), node.path.name)
        (self.state / "instance.json").write_text(json.dumps(asdict(record)) + "\n")
        self._await(record)
        return time.monotonic() - begin

    def down(self) -> bool:
        """End every process of the instance and forget its state. Hold its lock."""
        record = self.record()
        if record is not None:
            os.kill(record.pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_LIMIT
            while _start_time(record.pid) == record.started:
                if time.monotonic() > deadline:
                    raise TestbedError(f"process {record.pid} of {self.title} does not end")
                time.sleep(0.02)
        existed = self.state.exists()
        if existed:
            self._remove_state()
        return existed

    def _remove_state(self) -> None:
        if mounted_below(self.state):
            raise TestbedError(f"something is mounted below {self.state}; unmount it first")
        # The mounts vanish with the last process of the namespaces, a moment after the first one.
        for _ in range(100):
            try:
                shutil.rmtree(self.state)
                return
            except OSError:
                time.sleep(0.05)
        raise TestbedError(f"cannot remove {self.state}")

    def _prepare(self, node: Layer, source: Path) -> None:
        for name in ("upper", "work", "root", "registry", "registry-work"):
            (self.state / name).mkdir(parents=True)
        homes = node.path / "tree" / "home"
        subprocess.run(["cp", "-a", str(homes), str(self.state / "home")], check=True)
        upper = self.state / "upper"
        (upper / "etc/gateway").mkdir(parents=True)
        (upper / "etc/gateway/site.yaml").symlink_to(source / "configs/testbed.yaml")
        for tree in node.stack:
            for packages in tree.glob("opt/gateway/lib/python3*/site-packages"):
                target = upper / packages.relative_to(tree)
                target.mkdir(parents=True)
                (target / "gateway-checkout.pth").write_text(f"{source}\n")

    def _launch(self, node: Layer, registry: Path, shown: Sequence[Path], accounting: bool) -> int:
        argv = [
            "unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child",
            "--propagation", "slave", str(RECIPE / "host" / "enter-node"), str(self.state),
            node.overlay, str(registry), "on" if accounting else "off", *map(str, shown),
        ]  # fmt: skip
        with self.boot_log.open("w") as log:
            parent = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and parent.poll() is None:
            if pids := children.read_text().split():
                return int(pids[0])
            time.sleep(0.01)
        raise TestbedError(self._failure("this machine does not let us make namespaces"))

    def _await(self, record: Record) -> None:
        deadline = time.monotonic() + START_LIMIT
        failed = self.inside(record.pid, "/run/testbed/failed")
        while not self.ready(record.pid):
            if _start_time(record.pid) != record.started:
                raise TestbedError(self._failure(f"{self.title} ended while it came up"))
            if failed.exists() or time.monotonic() > deadline:
                raise TestbedError(self._failure(f"{self.title} did not come up"))
            time.sleep(0.05)

    def _failure(self, what: str) -> str:
        text = self.boot_log.read_text(errors="replace")
        tail = [f"  | {line}" for line in text.splitlines()[-15:]]
        if "overlay" in text:
            tail.append(f"{self.state} may lie on a file system that cannot carry overlays;")
            tail.append("set GATEWAY_TESTBED_STATE to a directory on ext4, xfs or tmpfs")
        return "\n".join([f"{what}; the end of {self.boot_log}:", *tail])


def _start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def all_instances(flavours: Sequence[Flavour]) -> list[Instance]:
    found = []
    for flavour in flavours:
        for state in sorted(state_directory().glob(f"{flavour.name}-*/")):
            found.append(Instance(flavour, state.name.removeprefix(f"{flavour.name}-")))
    return found
