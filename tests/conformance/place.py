"""A gateway that serves, REANA's client beside it, and a tap on the wire between them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.composition.app import App
from tests.conformance.wiretap import Exchange, Wiretap

VENV_VARIABLE = "GATEWAY_REANA_CLIENT"
START_LIMIT_S = 250
"""Not awaited when all is well; machines that build a test bed meanwhile are slow."""
CLUSTER = f"here-{os.getpid()}"
_HERE = Path(__file__).parent
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_TIMES = {"created", "run_started_at", "run_finished_at", "run_stopped_at"}
_JOB_KEYS = {
    "workflow_uuid", "job_name", "compute_backend", "backend_job_id", "docker_img", "cmd",
    "status", "logs", "started_at", "finished_at",
}  # fmt: skip


def client_environment() -> Path:
    """Return the environment with REANA's client in it."""
    named = os.environ.get(VENV_VARIABLE)
    if named is None or not Path(named, "bin/reana-client").exists():
        pytest.fail(
            f"{VENV_VARIABLE} names no environment with reana-client in it; run these tests by "
            "scripts/conformance, which makes one",
            pytrace=False,
        )
    return Path(named)


@dataclass(frozen=True)
class Done:
    """How a command ended and what its user saw."""

    code: int
    out: str
    err: str

    @property
    def seen(self) -> str:
        return self.out + self.err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class ClientError(Exception):
    """What the Python API raised."""


@dataclass
class Beside:
    """A process in the client's environment that answers lines of JSON."""

    process: subprocess.Popen[str]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Return the answer to this question; one that was given up may be answered late."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        number = next(self.numbers)
        print(json.dumps({**question, "number": number}), file=self.process.stdin, flush=True)
        while (answer := json.loads(self.process.stdout.readline()))["number"] != number:
            pass
        return answer


class Agent(Beside):
    """Calls the client's Python API, and has the client's opinion of answers."""

    def _ask(self, question: Mapping[str, Any]) -> Any:
        answer = self.ask(question)
        if "error" in answer:
            raise ClientError(answer["error"], answer["message"])
        return answer["result"]

    def call(self, name: str, *args: Any, cwd: Path | None = None, **words: Any) -> Any:
        """Call a function of ``reana_client.api.client``."""
        place = {"cwd": str(cwd)} if cwd else {}
        return self._ask({"call": name, "args": args, "words": words} | place)

    def inventory(self) -> Any:
        """Return what the client has: its commands with options, its functions with arguments."""
        return self._ask({"inventory": True})

    def complaint(self, exchange: Exchange) -> str | None:
        """Return what the client's own description has against an answer."""
        check = {
            "method": exchange.method,
            "path": exchange.path,
            "status": exchange.status,
            "body": exchange.json() if exchange.is_json else exchange.body.decode("latin-1"),
        }
        found = self._ask({"check": check})
        return None if found is None else str(found)


class Launcher(Beside):
    """Starts commands of the client."""

    def run(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Done:
        """Run ``reana-client`` with these arguments."""
        with TemporaryDirectory() as directory:
            out, err = Path(directory, "out"), Path(directory, "err")
            order = {"argv": argv, "cwd": str(cwd), "environ": environ}
            code = self.ask(order | {"out": str(out), "err": str(err)})["code"]
            return Done(code, out.read_text(), err.read_text())


@dataclass
class Wire:
    """A way to a gateway that serves, with a tap in it, and REANA's client at its end."""

    url: str
    tap: Wiretap
    agent: Agent
    launcher: Launcher
    venv: Path


@dataclass
class Server(Wire):
    """A gateway that serves on this machine."""

    app: App
    log: Path


@dataclass
class Reana:
    """One user with the client, in a directory of its own."""

    server: Wire
    token: str
    cwd: Path
    seen: list[Exchange] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.server.venv}/bin:/usr/bin:/bin",
            "HOME": str(self.cwd),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "REANA_SERVER_URL": self.server.tap.url,
            "REANA_ACCESS_TOKEN": self.token,
        } | more

    def __call__(self, *words: str, cwd: Path | None = None, **environ: str) -> Done:
        """Run ``reana-client``; the environment's variables may be given as keywords."""
        return self.server.launcher.run(words, cwd or self.cwd, self.environment(**environ))

    def run(self, argv: list[str], *, limit_s: float = 250) -> Done:
        """Run another command in the client's environment."""
        done = subprocess.run(
            argv,
            env=self.environment(),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str, cwd: Path | None = None, **environ: str) -> Done:
        """Run ``reana-client``, which must succeed."""
        done = self(*words, cwd=cwd, **environ)
        assert done.code == 0, done.seen
        return done

    def api(self, name: str, *args: Any, **words: Any) -> Any:
        """Call the Python API from this user's directory."""
        return self.server.agent.call(name, *args, cwd=self.cwd, access_token=self.token, **words)

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file in this user's directory."""
        path = self.cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def spec(self, *commands: str, **more: Any) -> str:
        """Write a workflow with one step of these commands; return the file's name."""
        step = {"name": "one", "environment": "img:1", "commands": list(commands) or ["true"]}
        workflow = {"type": "serial", "specification": {"steps": [step]}}
        return self.yaml({"workflow": workflow} | more)

    def yaml(self, content: Mapping[str, Any], name: str = "reana.yaml") -> str:
        """Write a specification; return the file's name."""
        self.write(name, json.dumps(content))
        return name

    def created(self, name: str, *commands: str, **more: Any) -> str:
        """Create a workflow; return its full name."""
        self.spec(*commands, **more)
        return self.create("-w", name)

    def create(self, *words: str) -> str:
        """Create a workflow from ``reana.yaml``; return its full name."""
        done = self.ok("create", *words)
        (name,) = re.findall(r"^(\S+\.\d+)$", done.out, re.MULTILINE)
        return str(name)

    def wait(self, workflow: str, *wanted: str) -> str:
        """Wait until a workflow has ended, or has one of the states; return its state."""
        ends = wanted or ("finished", "failed", "stopped")
        deadline = time.monotonic() + 200
        while (status := self._status(workflow)) not in ends:
            assert time.monotonic() < deadline, f"{workflow} is {status}"
            time.sleep(0.1)
        return status

    def _status(self, workflow: str) -> str:
        return str(self.api("get_workflow_status", workflow)["status"])

    def exchanged(self) -> list[Exchange]:
        """Return what went over the wire since this was last asked."""
        new = self.server.tap.take()
        self.seen += new
        return new


def complaints(agent: Agent, exchange: Exchange) -> list[str]:
    """Return what is wrong with an answer: by the client's description, and by what it needs."""
    found = []
    if exchange.status >= 400 and not _is_list_of_missing_secrets(exchange):
        if not exchange.is_json or not isinstance(exchange.json().get("message"), str):
            found.append("an error without a message")
    elif exchange.status < 400 and "/workspace/" not in exchange.path and not exchange.is_json:
        found.append("an answer that is no JSON")
    complaint = agent.complaint(exchange)
    if complaint:
        found.append(complaint)
    if exchange.is_json:
        found += _odd_times(exchange.json())
        if exchange.path.endswith("/logs") and exchange.status == 200 and not found:
            found += _odd_logs(json.loads(exchange.json()["logs"]))
    return [f"{each}: {exchange}" for each in found]


def _is_list_of_missing_secrets(exchange: Exchange) -> bool:
    return (exchange.method, exchange.status) == ("DELETE", 404) and "secrets" in exchange.path


def _odd_times(data: Any) -> list[str]:
    found = []
    for name, value in data.items() if isinstance(data, dict) else ():
        if name in _TIMES and value is not None and not _TIME.fullmatch(str(value)):
            found.append(f"{name} is {value!r}")
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        found += _odd_times(each)
    return found


def _odd_logs(logs: Mapping[str, Any]) -> list[str]:
    return [
        f"job logs with the keys {sorted(job)}"
        for job in logs["job_logs"].values()
        if not {"job_name", "status", "logs"} <= set(job) <= _JOB_KEYS
    ]


@contextmanager
def serving(directory: Path, venv: Path, **site: Any) -> Iterator[Server]:
    """Serve a gateway with jobs on this machine, without containers."""
    file = directory / "site.yaml"
    settings = {
        "shared_root": str(directory / "shared"),
        "state_dir": str(directory / "state"),
        "containers": "host",
        # Gateways of one user share the room of clusters with one name on one host.
        "clusters": {CLUSTER: {"type": "local", "cpus": 16, "memory": "16 GiB"}},
    }
    file.write_text(json.dumps(settings | site))
    app = App(file)
    app.prepare_to_serve()
    log = directory / "serve.log"
    root = str(Path(__file__).resolve().parents[2])
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0"],
            env={**os.environ, "GATEWAY_SITE": str(file), "PYTHONPATH": root},
            cwd=directory,
            stderr=errors,
        )
    try:
        with tapped(_url(process, log), venv) as wire:
            yield Server(**vars(wire), app=app, log=log)
    finally:
        process.terminate()
        code = process.wait(30)
        app.store.close()
        assert code == 0, log.read_text()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while not (found := re.search(r"REANA API on (http://\S+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


@contextmanager
def tapped(url: str, venv: Path) -> Iterator[Wire]:
    """Put a tap before a server, and start the client's processes, which use it."""
    address = urlsplit(url)
    tap = Wiretap(lambda: socket.create_connection((address.hostname or "", address.port or 0)))
    with (
        contextlib.closing(tap),
        _beside(venv, "agent.py", tap.url) as agent,
        _beside(venv, "launcher.py", tap.url) as launcher,
    ):
        yield Wire(url, tap, Agent(agent), Launcher(launcher), venv)


@contextmanager
def _beside(venv: Path, script: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of our scripts in the client's environment until the end of its input."""
    process = subprocess.Popen(
        [str(venv / "bin/python"), str(_HERE / script)],
        env={"PATH": f"{venv}/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "REANA_SERVER_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            assert process.stdin is not None
            process.stdin.close()
    finally:
        process.kill()
