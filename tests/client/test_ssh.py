"""Through ssh, with no port opened, against a small ssh server on the loopback."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import __version__
from gateway.client import Client, Transfer, connect
from gateway.client.http import Timeouts
from gateway.client.places import through
from gateway.client.ssh import Login
from gateway.errors import GatewayError, SiteError, UnreachableError, UsageError
from gateway.vocabulary.states import WorkflowStatus
from tests.client.conftest import PROGRAM, SPEC, Served
from tests.unit.transport.conftest import SshServer


@pytest.fixture
def client(destination: str) -> Iterator[Client]:
    with Client.ssh(destination, command=PROGRAM) as found:
        yield found


def test_without_a_daemon_the_connection_itself_serves_and_drives(
    client: Client, alone: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "in.txt").write_text("x")
    file = tmp_path / "reana.yaml"
    file.write_text(json.dumps(SPEC))
    run = client.run(file, "fit", parameters={"greeting": "hi"})
    ended = client.wait(run.id, timeout=60)
    assert (ended.status, ended.message) == (WorkflowStatus.FINISHED, "all jobs finished")
    (path,) = client.download(run.id, destination=tmp_path / "out")
    assert path.read_text() == "hi\n"
    assert client.login is not None
    assert client.login.difference() is None


def test_a_gateway_that_serves_is_used(
    client: Client, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_SITE", str(served.site))
    created = client.create(SPEC, "w")
    assert served.app.views.find("w").id == created.id
    assert served.app.watch.health().driver == ""


def test_a_broken_line_is_taken_up(
    client: Client, alone: Path, server: SshServer, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "big").write_bytes(data)
    created = client.create(SPEC, "w")
    client.upload_as(created.id, [("big", tmp_path / "big")])
    cuts: list[int] = []

    def cut(transfer: Transfer) -> None:
        if not cuts and transfer.done > 500_000:
            cuts.append(transfer.done)
            server.drop_connections()

    (path,) = client.download(created.id, ["big"], tmp_path / "down", progress=cut)
    assert cuts
    assert path.read_bytes() == data


def test_connect_takes_the_host_from_the_environment(
    destination: str, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"GATEWAY_HOST": destination, "REANA_SERVER_URL": "http://127.0.0.1:9"}
    monkeypatch.setenv("GATEWAY_REMOTE_COMMAND", PROGRAM)
    with connect(environ=environ) as found:
        assert "batch gateway" in found.ping().server_version


def script(directory: Path, text: str) -> str:
    path = directory / "gateway-there"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return shlex.quote(str(path))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("/no/such/gateway", "there is no program '/no/such/gateway' on"),
        ("echo \"Error: no such command 'connect'\" >&2; exit 2", "too old"),
        ("echo 'Error: the site file is not valid' >&2; exit 2", "site file is not valid"),
        ("echo gateway-connect 2 99.0", "is version 99.0, the one here"),
    ],
)
def test_a_gateway_that_cannot_be_used_is_told_apart(
    destination: str, home: Path, program: str, words: str
) -> None:
    word = program if program.startswith("/") else script(home, program)
    with Client.ssh(destination, command=word) as found, pytest.raises(SiteError, match=words):
        found.ping()


def test_a_program_is_found_below_the_home_there(destination: str, home: Path, alone: Path) -> None:
    script(home, f'exec {PROGRAM} "$@"')
    with Client.ssh(destination, command="~/gateway-there") as found:
        assert "batch gateway" in found.ping().server_version


def test_versions_that_differ_are_told(destination: str, home: Path, alone: Path) -> None:
    noise = "echo gateway-connect 1 99.0; "
    there = script(home, f"{noise} {PROGRAM} connect | tail -n +2")
    login = Login(destination, there)
    with Client(through(login), login):
        login.dial().close()
    assert login.difference() == (
        f"the gateway on {destination} is version 99.0, the one here {__version__}"
    )


@pytest.mark.parametrize("wrong", ["", "-oProxyCommand=x", "a b", "a@b@c", "host:port", "u@"])
def test_a_strange_destination_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        Login(wrong)


def test_a_host_that_does_not_answer_is_unreachable(home: Path) -> None:
    login = Login("tester@127.0.0.1:9")
    client = Client(through(login), login)
    client.wire.sleep = lambda _: None
    with client, pytest.raises(UnreachableError, match=r"cannot connect to 127\.0\.0\.1"):
        client.ping()


def test_an_unknown_host_key_is_refused(destination: str, known_hosts: Path) -> None:
    known_hosts.write_text("")
    with Client.ssh(destination) as found, pytest.raises(SiteError, match="host key"):
        found.ping()


Ask = Callable[[Client], object]


@pytest.mark.parametrize("ask", [lambda c: c.status("w"), lambda c: c.start("w")])
def test_a_far_side_that_stays_silent_is_given_up(destination: str, home: Path, ask: Ask) -> None:
    login = Login(destination, script(home, "exec sleep 30"), patience_s=0.5)
    client = Client(through(login, Timeouts(connect=0.5, read=0.5)), login)
    client.wire.sleep = lambda _: None
    with client, pytest.raises(GatewayError, match="does not answer"):
        ask(client)
