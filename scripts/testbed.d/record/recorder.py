"""Run commands as alice and keep what they said, for tests of parsers.

One case is four files: CASE.cmd (the argv, shell-quoted), CASE.out, CASE.err and CASE.rc.
A command that does not end within two minutes is ended and has exit code 124.
Runs inside a node, as root: it also stops and freezes daemons.
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WHO = "alice"
HOME = Path(pwd.getpwnam(WHO).pw_dir)
ENVIRONMENT = {
    "HOME": str(HOME),
    "USER": WHO,
    "LOGNAME": WHO,
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
}
LIMIT = 120
ENDED_BY_US = 124


class Recorder:
    """Writes cases to a directory; commands start in a directory of alice's."""

    def __init__(self, directory: Path, workdir: Path) -> None:
        self.directory = directory
        self.workdir = workdir
        directory.mkdir(parents=True, exist_ok=True)
        workdir.mkdir(parents=True, exist_ok=True)
        account = pwd.getpwnam(WHO)
        os.chown(workdir, account.pw_uid, account.pw_gid)

    def run(self, argv: Sequence[str], user: str = WHO) -> subprocess.CompletedProcess[bytes]:
        account = pwd.getpwnam(user)
        try:
            return self._run(argv, account)
        except subprocess.TimeoutExpired as error:
            output, errors = error.stdout or b"", error.stderr or b""
            return subprocess.CompletedProcess(argv, ENDED_BY_US, output, errors)

    def _run(
        self, argv: Sequence[str], account: pwd.struct_passwd
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.workdir,
            env=ENVIRONMENT,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            timeout=LIMIT,
            check=False,
        )

    def record(self, case: str, *argv: str) -> str:
        """Run, keep under that name, and return the output."""
        start = time.monotonic()
        done = self.run(argv)
        seconds = time.monotonic() - start
        self._write(case, "cmd", (shlex.join(argv) + "\n").encode())
        self._write(case, "out", done.stdout)
        self._write(case, "err", done.stderr)
        self._write(case, "rc", f"{done.returncode}\n".encode())
        slow = f" ({seconds:.0f} s)" if seconds > 2 else ""
        print(f"{case}: {done.returncode}{slow}", flush=True)
        return done.stdout.decode(errors="replace").strip()

    def keep(self, name: str, path: Path) -> None:
        (self.directory / name).write_bytes(path.read_bytes())

    def _write(self, case: str, kind: str, data: bytes) -> None:
        (self.directory / f"{case}.{kind}").write_bytes(data)


def service(name: str, action: str) -> None:
    subprocess.run(["testbed-service", name, action], check=True, stdout=subprocess.DEVNULL)


def until(what: str, condition: Callable[[], bool], limit: float = 150) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            print(f"gave up waiting: {what}", flush=True)
            return
        time.sleep(0.3)
