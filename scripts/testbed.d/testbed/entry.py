"""Enter a running instance: as which user, in which directory, with which environment."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import TestbedError
from .instance import Instance
from .layers import say
from .settings import RECIPE

PASSED_ON = ("GATEWAY_", "PYTEST_", "REANA_")
OUR_OWN = "GATEWAY_TESTBED"
PATH = "/usr/local/bin:/opt/gateway/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
SHOW = RECIPE / "node/usr/lib/testbed/show"
USERS = {"root": "/root", "alice": "/home/alice", "bob": "/home/bob"}


def checkout_of(directory: Path) -> Path:
    """The top of the git checkout around a directory, or the directory itself."""
    for candidate in (directory, *directory.parents):
        if (candidate / ".git").exists():
            return candidate
    return directory


def showable(directory: Path, trees: Sequence[Path]) -> bool:
    """Whether a directory of the machine can appear in the node without hiding the node's own."""
    if len(directory.parts) < 2 or any(map(directory.is_relative_to, ("/home/alice", "/home/bob"))):
        return False
    return not any(os.path.lexists(f"{tree}{directory}") for tree in trees)


def show(instance: Instance, pid: int, directory: Path) -> bool:
    """Make a directory of the machine visible in the instance; false if it cannot be."""
    if _same(directory, instance.inside(pid, directory)):
        return True
    top = checkout_of(directory)
    if not showable(top, instance.trees()):
        return False
    with instance.lock(), SHOW.open() as script:
        done = subprocess.run(
            ["nsenter", f"--target={pid}", "--mount", "bash", "-s", "--", str(top)],
            stdin=script,
            capture_output=True,
            text=True,
            check=False,
        )
    if not stat.S_IXOTH & top.stat().st_mode:
        say(f"warning: {top} is closed to others, so alice and bob cannot enter it")
    if done.returncode != 0:
        raise TestbedError(f"cannot show {top} in the test bed: {done.stderr.strip()}")
    return True


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False


def environment(instance: Instance, user: str) -> dict[str, str]:
    home = USERS[user]
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) and not name.startswith(OUR_OWN)
    }
    return {
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/bash",
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "dumb"),
        "TMPDIR": "/tmp",
        "PYTHONPYCACHEPREFIX": f"{home}/.cache/pycache",
        OUR_OWN: instance.title,
        **passed,
    }


def enter(instance: Instance, user: str, command: Sequence[str]) -> None:
    """Become the command, inside. Does not return."""
    record = instance.record()
    if record is None:
        raise TestbedError(f"{instance.title} is not up; scripts/testbed up brings it up")
    directory = Path.cwd()
    if not show(instance, record.pid, directory):
        say(f"{directory} is the node's own as well; starting in {USERS[user]}")
        directory = Path(USERS[user])
    # setpriv: if nsenter is killed, the command hears of it instead of living on unseen.
    argv = [
        "nsenter", f"--target={record.pid}", "--mount", "--uts", "--ipc", "--net", "--pid",
        "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--pdeathsig=TERM",
        "env", "-i", f"--chdir={directory}",
        *(f"{name}={value}" for name, value in environment(instance, user).items()),
        *command,
    ]  # fmt: skip
    os.execvp(argv[0], argv)
