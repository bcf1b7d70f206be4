"""Secrets, retention rules and interactive sessions."""

from __future__ import annotations

import pytest

from tests.conformance.place import ClientError, Reana


def listed(reana: Reana) -> list[list[str]]:
    return [line.split() for line in reana.ok("secrets-list").out.splitlines()[1:]]


def test_secrets_are_added_listed_overwritten_and_deleted(reana: Reana) -> None:
    reana.write("key.pem", b"\x00\xffbytes")
    done = reana.ok(
        "secrets-add", "--env", "PASSWORD=a=b", "--env", "VONAME=u", "--file", "key.pem"
    )
    assert "PASSWORD" in done.seen
    found = [["PASSWORD", "env"], ["VONAME", "env"], ["key.pem", "file"]]
    assert sorted(listed(reana)) == found
    again = reana("secrets-add", "--env", "VONAME=v")
    assert again.code == 1
    assert "already exist" in again.seen
    assert [each.status for each in reana.exchanged()][-1] == 409
    reana.ok("secrets-add", "--env", "VONAME=v", "--overwrite")
    gone = reana.ok("secrets-delete", "PASSWORD", "key.pem")
    assert "PASSWORD" in gone.seen
    assert listed(reana) == [["VONAME", "env"]]


def test_secrets_that_do_not_exist_are_named_and_nothing_is_deleted(reana: Reana) -> None:
    reana.ok("secrets-add", "--env", "VONAME=u")
    done = reana("secrets-delete", "VONAME", "NOPE")
    assert done.code == 1
    assert "NOPE" in done.seen
    assert listed(reana) == [["VONAME", "env"]]


def test_a_name_that_jobs_need_themselves_is_refused(reana: Reana) -> None:
    # The client does not show what the server says of it.
    assert reana("secrets-add", "--env", "PATH=x").code == 1
    (seen,) = reana.exchanged()
    assert (seen.status, "PATH" in seen.json()["message"]) == (400, True)


@pytest.mark.parametrize("words", [["--env", "novalue"], ["--file", "missing.pem"], []])
def test_secrets_given_wrongly(reana: Reana, words: list[str]) -> None:
    assert reana("secrets-add", *words).code != 0
    assert listed(reana) == []


def test_a_job_has_the_secrets_of_its_user(reana: Reana) -> None:
    reana.ok("secrets-add", "--env", "PASSWORD=s3cr3t words")
    reana.created("fit", 'test "$$PASSWORD" = "s3cr3t words" && echo right')
    assert reana("start", "-w", "fit", "--follow").code == 0


def test_the_python_api_has_the_same_secrets(reana: Reana) -> None:
    secret = {"TOKEN": {"type": "env", "value": "c2VjcmV0"}}
    reana.api("add_secrets", secret, False)
    assert reana.api("list_secrets") == [{"name": "TOKEN", "type": "env"}]
    with pytest.raises(ClientError):
        reana.api("add_secrets", secret, False)
    with pytest.raises(ClientError):
        reana.api("delete_secrets", ["NOPE"])
    assert reana.api("delete_secrets", ["TOKEN"]) == ["TOKEN"]


def test_retention_rules_are_listed_with_and_without_a_date(reana: Reana) -> None:
    workspace = {"retention_days": {"**/*.tmp": 7}}
    reana.created("fit", "true", workspace=workspace)
    (rule,) = reana.ok("retention-rules-list", "-w", "fit", "--json").data
    assert (rule["workspace_files"], rule["retention_days"]) == ("**/*.tmp", 7)
    assert (rule["status"], rule["apply_on"]) == ("created", "-")
    reana.ok("start", "-w", "fit", "--follow")
    (rule,) = reana.ok("retention-rules-list", "-w", "fit", "--json").data
    assert rule["status"] == "active"
    assert rule["apply_on"].endswith("T23:59:59")
    assert "**/*.tmp" in reana.ok("retention-rules-list", "-w", "fit").out
    shown = reana.ok("retention-rules-list", "-w", "fit", "--format", "retention_days").out
    assert shown.split() == ["RETENTION_DAYS", "7"]
    (same,) = reana.api("get_workflow_retention_rules", "fit")["retention_rules"]
    assert same["retention_days"] == 7


def test_sessions_are_not_there_and_say_so(reana: Reana) -> None:
    reana.created("fit")
    reana.exchanged()
    for words in (["jupyter"], ["-i", "docker.io/jupyter/scipy-notebook:1", "jupyter"]):
        done = reana("open", "-w", "fit", *words)
        assert done.code == 1
        assert "Interactive sessions (jupyter) are not available" in done.seen
        assert [each.status for each in reana.exchanged()][-1] == 501
    closed = reana("close", "-w", "fit")
    assert closed.code == 1
    assert "no open interactive session" in closed.seen
    assert [each.status for each in reana.exchanged()] == [404]


def test_sessions_are_not_there_by_the_python_api(reana: Reana) -> None:
    reana.created("fit")
    with pytest.raises(ClientError, match="not available"):
        reana.api("open_interactive_session", "fit", interactive_session_type="jupyter",
                  interactive_session_configuration={"image": "img:1"})  # fmt: skip
    with pytest.raises(ClientError, match="no open interactive session"):
        reana.api("close_interactive_session", "fit")
