"""A gateway that serves inside the test bed, for a client outside of it.

The node's Python is too new for REANA's client, so the client stays on this machine, where it is
in a user's place anyway: beside the cluster, with nothing but the API. A relay whose listening
socket is on this machine and whose outgoing connections are in the node's network joins the two.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.place import START_LIMIT_S, Wire, tapped

VARIABLE = "GATEWAY_CONFORMANCE_TESTBED"
_ROOT = Path(__file__).resolve().parents[2]
_TESTBED = str(_ROOT / "scripts/testbed")
_SERVE = """
set -e
place=$(mktemp -d ~/seeds-XXXXXX)
sed "s,^shared_root:.*,shared_root: $place/shared," /etc/gateway/site.yaml >"$place/site.yaml"
echo "state_dir: $place/state" >>"$place/site.yaml"
export GATEWAY_SITE=$place/site.yaml
echo "the access token is $(/opt/gateway/bin/python -m gateway token show)" >&2
exec /opt/gateway/bin/python -m gateway serve --port 0
"""


@contextmanager
def serving_in_testbed(instance: str, venv: Path) -> Iterator[tuple[Wire, str]]:
    """Serve in an instance such as ``sid/default``; yield the way to it and a token."""
    flavour, name = instance.split("/")
    argv = [_TESTBED, "run", "--flavour", flavour, "--name", name, "--", "bash", "-c", _SERVE]
    # The checkout may be closed to the node's users, so not from there.
    process = subprocess.Popen(argv, cwd="/", stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    reader = threading.Thread(target=_collect, args=(process, lines), daemon=True)
    reader.start()
    try:
        token = _found(r"access token is (\S+)\n", process, lines)
        port = int(_found(r"REANA API on http://[^:]+:(\d+)", process, lines))
        with _relayed(instance, port) as url, tapped(url, venv) as wire:
            yield wire, token
    finally:
        process.terminate()
        process.wait(30)
        reader.join(30)


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            lines.append(line)


def _found(pattern: str, process: subprocess.Popen[str], lines: list[str]) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while not (match := re.search(pattern, "".join(lines))):
        assert process.poll() is None, "".join(lines)
        assert time.monotonic() < deadline, "".join(lines)
        time.sleep(0.05)
    return match[1]


@contextmanager
def _relayed(instance: str, port: int) -> Iterator[str]:
    status = subprocess.run(
        [_TESTBED, "status"], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    pid = re.search(rf"{re.escape(instance)}: up, pid (\d+)", status.stdout)
    assert pid, f"{instance} is not up: {status.stdout}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = listening.fileno()
        os.set_inheritable(descriptor, True)
        words = ["nsenter", f"--target={pid[1]}", "--net", sys.executable, "-m"]
        words += ["tests.conformance.relay", str(descriptor), str(port)]
        process = subprocess.Popen(words, cwd=_ROOT, pass_fds=[descriptor])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(30)
