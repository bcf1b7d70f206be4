"""A site of its own, a directory to work in, and the command line, as a user has them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway.cli.main import run
from gateway.errors import ExitCode

IMAGE = "docker.io/library/python:3.13-slim"
PROJECT = Path(__file__).parents[2]
WAITS_FOR_GO = "touch started; for i in $$(seq 400); do [ -e go ] && exit 0; sleep 0.05; done"
"""A command that runs until the test makes the file ``go``, at most 20 seconds."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The messages about something wrong."""
        return [line for line in self.err.splitlines() if line.startswith("Error: ")]

    def json(self) -> Any:
        """Return the data that stdout holds."""
        return json.loads(self.out)


def step(name: str | None, *commands: str, **keys: Any) -> dict[str, Any]:
    """Return one step of a serial workflow."""
    named = {} if name is None else {"name": name}
    return {**named, "environment": IMAGE, "commands": list(commands), **keys}


@dataclass(slots=True)
class Bench:
    """The user's place."""

    root: Path

    @property
    def here(self) -> Path:
        """Where the user's own files lie."""
        return self.root / "analysis"

    @property
    def site_file(self) -> Path:
        """The site file in force."""
        return self.root / "site.yaml"

    @property
    def shared(self) -> Path:
        """Root of workspaces and control files."""
        return self.root / "shared root"

    @property
    def database(self) -> Path:
        """The state."""
        return self.root / "state" / "gateway.db"

    def write_site(self, **changes: Any) -> None:
        """Write a site file: commands run on the host, at once."""
        site = {
            "shared_root": str(self.shared),
            "state_dir": str(self.root / "state"),
            "containers": "host",
            "clusters": {"local": {"type": "local", "cpus": 4, "memory": "4 GiB"}},
        }
        self.site_file.write_text(yaml.safe_dump({**site, **changes}), encoding="utf-8")

    def write_spec(self, *steps: dict[str, Any], name: str = "reana.yaml", **keys: Any) -> Path:
        """Write a serial specification; ``inputs`` and ``outputs`` may be given."""
        workflow = {"type": "serial", "specification": {"steps": list(steps)}}
        path = self.here / name
        text = yaml.safe_dump({**keys, "workflow": workflow}, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *words: str) -> Result:
        """Run a command in this process."""
        out, err = _Screen("strict"), _Screen("backslashreplace")
        with (
            contextlib.chdir(self.here),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run(list(words))
        return _checked(words, Result(code, out.text(), err.text()))

    def ok(self, *words: str) -> Result:
        """Run a command that must succeed."""
        result = self.run(*words)
        assert result.code == ExitCode.OK
        return result

    def refused(self, code: ExitCode, *words: str) -> str:
        """Run a command that must fail with one message; return everything that it said."""
        result = self.run(*words)
        assert (result.code, result.out, len(result.errors)) == (code, "", 1)
        return result.err

    def process(self, *words: str, **environ: str) -> Result:
        """Run a command in a process of its own."""
        with ended(self.start(*words, **environ)) as process:
            out, err = process.communicate(timeout=60)
        return _checked(words, Result(process.returncode, out, err))

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "gateway", *words],
            cwd=self.here,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def workspace(self, name: str = "workflow") -> Path:
        """Return the workspace of a workflow."""
        return Path(self.ok("status", name, "--json").json()["workspace"])

    def status(self, name: str = "workflow") -> str:
        """Return the status of a workflow."""
        found: str = self.ok("status", name, "--json").json()["status"]
        return found

    def ids(self) -> list[str]:
        """Return the ids of all workflows."""
        return [each["id"] for each in self.ok("list", "--all", "--json").json()]


def until(reached: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a process and close its pipes, whatever happens."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def clean_environment(root: Path, site_file: Path) -> Mapping[str, str]:
    """Return what a user's environment says, and where this checkout is."""
    return {
        "HOME": str(root / "home"),
        "GATEWAY_SITE": str(site_file),
        "PYTHONPATH": str(PROJECT),
        "TERM": "dumb",
    }


class _Screen(io.TextIOWrapper):
    """Stands for a terminal's stream, with bytes below the text."""

    def __init__(self, errors: str) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("utf-8", "replace")


def _checked(words: tuple[str, ...], result: Result) -> Result:
    """Show a command as the user saw it, and check what holds for every command."""
    print(f"$ gateway {' '.join(words)}", result.out[:4000], result.err[:4000], sep="\n")
    print(f"[exit code {result.code}]")
    assert "Traceback" not in result.out + result.err
    assert "mistake of the gateway" not in result.err
    assert result.code != ExitCode.INTERNAL
    return result
