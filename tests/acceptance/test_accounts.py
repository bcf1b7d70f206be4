"""Secrets, tokens, users and retention rules on the command line."""

from __future__ import annotations

import json
import stat
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step


def test_secrets_come_from_the_environment_a_value_or_a_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERN_PASSWORD", "from outside")
    (bench.here / "key.pem").write_bytes(b"\x00key")
    added = bench.ok("secrets-add", "--env", "CERN_PASSWORD", "--env", "B=x=y", "--file", "key.pem")
    assert (added.out, added.err) == ("", "added: CERN_PASSWORD, B, key.pem\n")
    bench.write_spec(step("use", 'printf "%s" "$$CERN_PASSWORD $$B" > env.txt'))
    bench.ok("run", "reana.yaml", "-w", "w")
    bench.ok("download", "-w", "w", "env.txt")
    assert (bench.here / "env.txt").read_text() == "from outside x=y"
    assert bench.ok("secrets-list", "--json").json() == [
        {"name": "B", "type": "env"},
        {"name": "CERN_PASSWORD", "type": "env"},
        {"name": "key.pem", "type": "file"},
    ]
    assert "key.pem" in bench.ok("secrets-list").out


def test_a_secret_is_replaced_only_on_demand(bench: Bench) -> None:
    bench.ok("secrets-add", "--env", "A=1")
    again = bench.run("secrets-add", "--env", "A=2")
    assert again.code == ExitCode.CONFLICT
    assert "--overwrite" in again.err
    bench.ok("secrets-add", "--env", "A=2", "--overwrite")


def test_secrets_that_do_not_exist_are_not_deleted(bench: Bench) -> None:
    bench.ok("secrets-add", "--env", "A=1")
    assert bench.run("secrets-delete", "A", "B").code == ExitCode.NOT_FOUND
    assert bench.ok("secrets-delete", "A", "--json").json() == ["A"]
    assert bench.ok("secrets-list", "--json").json() == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), ExitCode.USAGE),
        (("--env", "NOT_SET_AT_ALL"), ExitCode.USAGE),
        (("--env", "1=x"), ExitCode.USAGE),
        (("--file", "none.pem"), ExitCode.NOT_FOUND),
        (("--file", "."), ExitCode.USAGE),
    ],
)
def test_mistakes_in_adding_a_secret(bench: Bench, words: tuple[str, ...], code: int) -> None:
    result = bench.run("secrets-add", *words)
    assert result.code == code
    assert result.err
    assert bench.ok("secrets-list", "--json").json() == []


def test_only_the_token_is_on_stdout(bench: Bench) -> None:
    first = bench.ok("token", "show").out
    assert bench.ok("token", "show").out == first
    new = bench.ok("token", "new", "--label", "laptop")
    assert new.out != first
    assert len(new.out.split()) == 1
    assert bench.ok("token", "show").out == new.out
    listed = bench.ok("token", "list", "--json").json()
    assert [(each["label"], each["status"]) for each in listed][1:] == [("laptop", "active")]
    assert new.out.strip() not in json.dumps(listed)


def test_a_revoked_token_is_shown_no_more(bench: Bench) -> None:
    bench.ok("token", "show")
    [record] = bench.ok("token", "list", "--json").json()
    bench.ok("token", "revoke", record["id"])
    assert "revoked" in bench.ok("token", "list").out
    assert bench.run("token", "revoke", "none").code == ExitCode.NOT_FOUND
    assert bench.ok("token", "show", "--json").json()["token"]


def test_users_have_tokens_of_their_own(bench: Bench) -> None:
    added = bench.ok("user", "add", "bob@example.org", "--name", "Bob")
    assert "gateway token new --user bob@example.org" in added.err
    bench.ok("token", "new", "--user", "bob@example.org")
    listed = {each["email"]: each for each in bench.ok("user", "list", "--json").json()}
    assert listed["bob@example.org"]["tokens"] == 1
    assert len(listed) == 2
    assert bench.run("user", "add", "bob@example.org").code == ExitCode.CONFLICT
    assert bench.run("user", "add", "bob").code == ExitCode.USAGE
    assert bench.run("token", "new", "--user", "eve@example.org").code == ExitCode.NOT_FOUND


def test_retention_rules_are_listed(bench: Bench) -> None:
    bench.write_spec(step("s", "true"), workspace={"retention_days": {"**/*.tmp": 7}})
    bench.ok("run", "reana.yaml", "-w", "w")
    [rule] = bench.ok("retention-rules-list", "-w", "w", "--json").json()
    assert (rule["workspace_files"], rule["retention_days"], rule["status"]) == (
        "**/*.tmp", 7, "active",
    )  # fmt: skip
    assert rule["apply_on"].endswith("T23:59:59")
    assert bench.ok("retention-rules-list", "w", "--format", "STATUS").out == "STATUS\nactive\n"
    assert bench.run("retention-rules-list", "-w", "none").code == ExitCode.NOT_FOUND


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_launch_from_a_url(bench: Bench) -> None:
    path = bench.write_spec(step("s", "echo $n > n.txt"), inputs={"parameters": {"n": 1}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(path.parent)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/reana.yaml"
        refused = bench.run("launch", url)
        assert refused.code == ExitCode.USAGE
        assert "launch_from_local_network" in refused.err
        bench.write_site(launch_from_local_network=True)
        done = bench.ok("launch", url, "-w", "here", "-p", "n=5", "--follow")
        assert done.out == "here.1\n"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    bench.ok("download", "-w", "here", "n.txt")
    assert (bench.here / "n.txt").read_text() == "5\n"
    assert bench.run("launch", "ssh://host/x").code == ExitCode.USAGE


@pytest.mark.parametrize("broken", ["key", "certificate", "mismatch"])
def test_a_bad_certificate_is_told_before_anything_is_served(bench: Bench, broken: str) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    for name in ("one", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run([*make, *files], cwd=bench.here, check=True, capture_output=True)
    (bench.here / "junk").write_text("no PEM")
    certificate = "junk" if broken == "certificate" else "one.pem"
    key = {"key": "junk", "certificate": "one.key", "mismatch": "other.key"}[broken]

    words = ("serve", "--port", "0", "--tls-certificate", certificate, "--tls-key", key)
    result = bench.process(*words)

    assert result.code == ExitCode.SITE
    assert "the certificate cannot be used" in result.err
    assert "REANA API on" not in result.err


def test_the_state_is_for_its_owner_alone(bench: Bench) -> None:
    """Also where the directory was there before, open to all."""
    bench.database.parent.mkdir(mode=0o755, exist_ok=True)
    bench.ok("list")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in bench.database.parent.iterdir()
    }
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
