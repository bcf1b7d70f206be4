"""Hosts in namespaces: names, process numbers, boots and networks of their own, one filesystem.

Made of user namespaces, without privileges. A database server on a third host can be reached
over the network that connects them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import OperationalError

from tests.crash.processes import Zygote

SERVER = "10.99.0.1"
HUB = f"ip link set lo up && ip addr add {SERVER}/32 dev lo && echo up && exec cat"
HOST = """
name=$1 boot=$2; shift 2
hostname "$name" && read -r _ && ip link set lo up &&
exec unshare --pid --fork --kill-child --mount --mount-proc bash -c '
mount --bind "$0" /proc/sys/kernel/random/boot_id && { "$@" <&0 & wait $!; }' "$boot" "$@"
"""
"""The first process of a host is a shell, which buries orphans, as an init would."""
PROGRAMS = ("unshare", "nsenter", "ip", "mount", "hostname")


def missing() -> str:
    """Say what this machine lacks for hosts of our own, nothing if it has all."""
    programs = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if programs:
        return f"programs: {', '.join(programs)}"
    words = ["unshare", "--user", "--map-root-user", "--net", "--uts", "--pid", "--fork"]
    words += ["--mount", "--mount-proc", "true"]
    tried = subprocess.run(words, capture_output=True, text=True, env=_environ(), check=False)
    return f"user namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": _path()}


@dataclass
class Host:
    """One host, and the process on it from which commands are forked."""

    name: str
    number: int
    zygote: Zygote


@dataclass
class Lan:
    """Hosts, and the machine between them."""

    folder: Path
    hub: subprocess.Popen[str]
    hosts: list[Host] = field(default_factory=list)
    booted: int = 0

    @classmethod
    @contextmanager
    def built(cls, folder: Path) -> Iterator[Lan]:
        """Make a network; end everything on it afterwards."""
        words = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", HUB]
        pipe = subprocess.PIPE
        hub = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=_environ())
        assert hub.stdin is not None
        assert hub.stdout is not None
        made = cls(folder, hub)
        try:
            assert hub.stdout.readline() == "up\n"
            yield made
        finally:
            for host in list(made.hosts):
                made.cut_power(host)
            hub.stdin.close()
            hub.stdout.close()
            hub.wait()

    def _inside(self, *words: str) -> list[str]:
        """Return the command line of what is to run on the machine between the hosts."""
        enter = ["nsenter", f"--target={self.hub.pid}", "--user", "--net"]
        return [*enter, "--preserve-credentials", "--", *words]

    def _run(self, text: str) -> None:
        subprocess.run(self._inside("sh", "-ec", text), env=_environ(), check=True)

    def boot(self, name: str) -> Host:
        """Start a host, under a boot of its own."""
        self.booted += 1
        boot = self.folder / f"boot-{self.booted}"
        boot.write_text(f"{uuid.uuid4()}\n")
        machine = ["unshare", "--net", "--uts", "sh", "-c", HOST, "sh", name, str(boot)]
        host = Host(name, self.booted, Zygote(self._inside(*machine), _environ()))
        self.hosts.append(host)
        self._connect(host)
        host.zygote.tell("go")
        return host

    def _connect(self, host: Host) -> None:
        near, far = f"10.99.{host.number}.1", f"10.99.{host.number}.2"
        self._run(
            f"""
            # Until it has come in here, its namespaces cannot be read; until it has its own, they
            # are ours.
            until name=$(readlink /proc/{host.zygote.pid}/ns/uts) &&
                [ "$name" != "$(readlink /proc/self/ns/uts)" ]
            do [ -e /proc/{host.zygote.pid} ] || exit 1; sleep 0.02; done
            ip link add v{host.number} type veth peer name eth0 netns {host.zygote.pid}
            ip addr add {near}/24 dev v{host.number}
            ip link set v{host.number} up
            nsenter --target={host.zygote.pid} --net sh -ec '
                ip addr add {far}/24 dev eth0
                ip link set eth0 up
                ip route add default via {near}'
            """
        )

    def cable(self, host: Host, *, plugged: bool) -> None:
        """Take a host from the network, or put it back."""
        self._run(f"ip link set v{host.number} {'up' if plugged else 'down'}")

    def cut_power(self, host: Host) -> None:
        """End everything on a host at once."""
        self.hosts.remove(host)
        os.kill(host.zygote.pid, signal.SIGKILL)
        host.zygote.close()

    @contextmanager
    def postgresql(self, programs: Path) -> Iterator[tuple[str, str]]:
        """Serve a database to the hosts; return its URL here, and its URL on them."""
        # It refuses to run as root, which we are between the hosts.
        user = next(user for user in pwd.getpwall() if user.pw_uid)
        ids = (f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
        run = self._inside("unshare", "--user", *ids)
        with tempfile.TemporaryDirectory(prefix="gateway-pg-") as short:
            data = f"{short}/data"
            make = [f"{programs}/initdb", "-D", data, "-U", "gateway", "-A", "trust", "--no-sync"]
            subprocess.run([*run, *make], check=True, capture_output=True, env=_environ())
            with Path(data, "pg_hba.conf").open("a") as rules:
                rules.write("host all all 10.99.0.0/16 trust\n")
            settings = ("-c", "fsync=off", "-c", f"listen_addresses={SERVER}")
            server = subprocess.Popen(
                [*run, f"{programs}/postgres", "-D", data, "-k", short, *settings],
                stderr=subprocess.DEVNULL,
                env=_environ(),
            )
            here = f"postgresql+psycopg://gateway@/postgres?host={short}"
            try:
                _wait_for(here, server)
                yield here, f"postgresql+psycopg://gateway@{SERVER}/postgres"
            finally:
                server.send_signal(signal.SIGINT)
                server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    engine = create_engine(url, poolclass=NullPool)
    while True:
        try:
            with engine.connect():
                return
        except OperationalError:
            assert server.poll() is None
            time.sleep(0.1)


def find_postgresql() -> Path | None:
    """Return the directory of the server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None
