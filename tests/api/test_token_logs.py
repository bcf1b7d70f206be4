"""Tokens and secrets never reach the log, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.api.conftest import Place

ROOT = Path(__file__).parents[2]
WRONG = "wrong-token-4711"
SECRET = base64.b64encode(b"hidden-4711").decode()


def ask(url: str, path: str, token: str, *, bearer: bool = False, body: bytes | None = None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if bearer else {}
    query = "" if bearer else "?" + urllib.parse.urlencode({"access_token": token})
    request = urllib.request.Request(f"{url}{path}{query}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_of_a_server_holds_no_token(tmp_path: Path, form: str) -> None:
    site = tmp_path / "site.yaml"
    state = tmp_path / "state"
    site.write_text(json.dumps({"shared_root": str(tmp_path / "shared"), "state_dir": str(state),
                                "containers": "host"}))  # fmt: skip
    environ = os.environ | {"GATEWAY_SITE": str(site)}
    argv = [sys.executable, "-m", "gateway", "serve", "--port", "0"]
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            argv + ["--json"] * (form == "json"), env=environ, cwd=ROOT, stderr=file, stdout=file
        ) as server,
    ):
        while not (found := re.search(r"(http://[0-9.]+:\d+)", log.read_text())):
            assert server.poll() is None
        url = found[1]
        # It was made at this first start, and shown to nobody: the output is a file.
        token = subprocess.run([*argv[:3], "token", "show"], env=environ, cwd=ROOT, text=True,
                               capture_output=True, check=True).stdout.strip()  # fmt: skip
        codes = [ask(url, path, each, bearer=bearer)
                 for path in ("/api/you", "/api/workflows/none/status", "/api/none", "/metrics")
                 for each in (token, WRONG) for bearer in (True, False)]  # fmt: skip
        secrets = json.dumps({"A": {"value": SECRET, "type": "env"}}).encode()
        codes.append(ask(url, "/api/secrets/", token, body=secrets))
        codes.append(ask(url, "/api/secrets/", token, body=secrets))
        (state / "gateway.db").write_bytes(b"no database any more" * 1000)
        for end in ("-wal", "-shm"):
            (state / f"gateway.db{end}").unlink(missing_ok=True)
        codes += [ask(url, "/api/you", token), ask(url, "/api/secrets/", token, body=secrets)]
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    assert {200, 201, 403, 404, 409} <= set(codes)
    said = log.read_text()
    assert "refused a token" in said
    for word in (token, WRONG, SECRET, "hidden-4711"):
        assert word not in said


def test_a_mistake_of_ours_is_logged_without_the_token(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("gateway.service.secrets.Secrets.add", fail)
    with caplog.at_level(logging.DEBUG):
        reply = place.call("POST", "/api/secrets/", json={"A": {"value": SECRET, "type": "env"}})
    assert reply.status_code == 500
    assert "RuntimeError" in caplog.text
    mine = "\n".join(record.getMessage() + (record.exc_text or "") for record in caplog.records
                     if not record.name.startswith("http"))  # fmt: skip
    assert "a mistake" in mine
    for word in (place.token, SECRET, "hidden-4711"):
        assert word not in mine
        assert word not in reply.text
