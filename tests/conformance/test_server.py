"""ping, info, you: what there is, and who may know it."""

from __future__ import annotations

import json

import pytest

from tests.conformance.place import CLUSTER, Reana, Server


def test_ping_says_connected_and_who_one_is(reana: Reana) -> None:
    done = reana.ok("ping")
    assert "Status: Connected" in done.out
    assert "REANA client version: 0.9.6" in done.out
    assert "@example.org" in done.out


def test_ping_with_a_wrong_token(reana: Reana) -> None:
    done = reana("ping", "-t", "wrong")
    assert done.code == 1
    assert "INVALID ACCESS TOKEN" in done.seen


def test_ping_with_a_revoked_token(reana: Reana, server: Server) -> None:
    accounts = server.app.accounts
    record, secret = accounts.new_token(None, "second")
    assert "Connected" in reana.ok("ping", "-t", secret).out
    accounts.revoke(record.id)
    done = reana("ping", "-t", secret)
    assert done.code == 1
    assert "INVALID ACCESS TOKEN" in done.seen


def test_commands_without_a_token_end_before_they_ask(reana: Reana) -> None:
    done = reana("list", REANA_ACCESS_TOKEN="")
    assert done.code == 1
    assert "access token" in done.seen
    assert reana.exchanged() == []


@pytest.mark.parametrize("command", ["list", "status", "logs", "ls", "secrets-list"])
def test_commands_with_a_wrong_token_say_so(reana: Reana, command: str) -> None:
    done = reana(command, "-t", "wrong", REANA_WORKON="w")
    assert done.code == 1
    assert [each.status for each in reana.exchanged()] == [403]


def test_info_as_text_and_as_json(reana: Reana) -> None:
    assert f"List of supported compute backends: kubernetes, {CLUSTER}" in reana.ok("info").out
    found = reana.ok("info", "--json").data
    assert found["compute_backends"]["value"] == ["kubernetes", CLUSTER]
    assert found["workspaces_available"]["value"]


@pytest.mark.parametrize("resource", ["cpu", "disk"])
def test_quota_of_a_resource(reana: Reana, resource: str) -> None:
    assert reana.ok("quota-show", "--resource", resource).out.split()[0] == "0"
    shown = reana.ok("quota-show", "--resource", resource, "-h", "--report", "usage").out
    assert shown.split()
    limit = reana.ok("quota-show", "--resource", resource, "--report", "limit")
    assert limit.out.strip() == "No limit."


def test_version_and_log_level(reana: Reana) -> None:
    assert reana.ok("version").out.strip() == "0.9.6"
    reana.created("fit")
    assert "fit" in reana.ok("--loglevel", "DEBUG", "list").out
    assert reana("--loglevel", "CHATTY", "list").code == 2


def test_resources_with_a_quota(reana: Reana) -> None:
    assert reana.ok("quota-show", "--resources").out.split() == ["cpu", "disk"]


def test_validate_asks_the_server_for_what_it_can_do(reana: Reana) -> None:
    reana.spec("true")
    done = reana.ok("validate", "--server-capabilities")
    assert "compute backends appear to be valid" in done.seen
    assert [each.path for each in reana.exchanged()] == ["/api/info"]


@pytest.mark.parametrize("words", [[], ["--environments"], ["--environments", "--pull"]])
def test_validate_of_another_file_asks_nobody(reana: Reana, words: list[str]) -> None:
    reana.spec("true")
    (reana.cwd / "reana.yaml").rename(reana.cwd / "other.yaml")
    done = reana("validate", "-f", "other.yaml", *words)
    # Images are looked for with Docker, which may not be here and is the client's own affair.
    assert words or done.code == 0
    assert "Valid REANA specification file" in done.seen
    assert reana.exchanged() == []


def test_a_server_that_is_not_there(reana: Reana) -> None:
    done = reana("ping", REANA_SERVER_URL="http://127.0.0.1:1")
    assert done.code == 1
    assert "INVALID SERVER" in done.seen or "Could not connect" in done.seen


def test_the_python_api_says_the_same(reana: Reana) -> None:
    assert reana.api("ping")["status"] == "Connected"
    assert "compute_backends" in reana.api("info")
    assert set(reana.api("get_user_quota")) == {"cpu", "disk"}
    reana.token = "wrong"
    assert reana.api("ping") == {"error": True, "status": "ERROR: INVALID ACCESS TOKEN"}
    assert json.dumps([each.status for each in reana.exchanged()]) == "[200, 200, 200, 403]"
