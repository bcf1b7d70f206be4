"""Secrets: what the wire says, what jobs get, and where values must never be."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.service.secrets import LARGEST_ENV, LARGEST_FILE, MOST_SECRETS
from gateway.service.vault import Vault
from tests.api.conftest import SPEC, Place

HIDDEN = "hidden-value-'$(x)\"\n end"
PEM = b"-----BEGIN\x00\xff hidden-file-7261"


def secret(value: str | bytes, kind: str = "env") -> dict[str, str]:
    data = value.encode() if isinstance(value, str) else value
    return {"value": base64.b64encode(data).decode(), "type": kind}


def add(place: Place, secrets: Any, token: str | None = None, **params: str) -> Any:
    return place.call("POST", "/api/secrets/", token, json=secrets, params=params)


def names(place: Place, token: str | None = None) -> list[str]:
    return [each["name"] for each in place.call("GET", "/api/secrets", token).json()]


def running(command: str, retries: int = 0) -> dict[str, Any]:
    step = {"name": "use", "environment": "img:1", "commands": [command.replace("$", "$$")],
            "retries": retries}  # fmt: skip
    return SPEC | {"inputs": {}, "outputs": {},
                   "workflow": {"type": "serial", "specification": {"steps": [step]}}}  # fmt: skip


def workspace(place: Place, workflow: str) -> Path:
    return Path(place.app.views.find(workflow).workspace)


def test_secrets_are_listed_without_values(place: Place) -> None:
    assert place.call("GET", "/api/secrets").json() == []
    reply = add(place, {"CERN_USER": secret("x"), "a.pem": secret(PEM, "file")})
    assert reply.status_code == 201
    assert place.call("GET", "/api/secrets/").json() == [
        {"name": "CERN_USER", "type": "env"},
        {"name": "a.pem", "type": "file"},
    ]


def test_a_secret_that_exists_is_409_and_nothing_is_added(place: Place) -> None:
    add(place, {"A": secret("1")})
    reply = add(place, {"B": secret("2"), "A": secret("3")})
    assert reply.status_code == 409
    assert "'A'" in reply.json()["message"]
    assert names(place) == ["A"]
    assert add(place, {"B": secret("2"), "A": secret("3")}, overwrite="true").status_code == 201
    assert names(place) == ["A", "B"]


def test_deletion_is_all_or_nothing_and_answers_with_lists(place: Place) -> None:
    add(place, {"A": secret("1"), "B": secret("2")})
    reply = place.call("DELETE", "/api/secrets/", json=["A", "C", "D"])
    assert (reply.status_code, reply.json()) == (404, ["C", "D"])
    assert names(place) == ["A", "B"]
    reply = place.call("DELETE", "/api/secrets/", json=["A"])
    assert (reply.status_code, reply.json()) == (200, ["A"])
    assert names(place) == ["B"]


def test_a_name_that_utf8_cannot_hold_is_refused(place: Place) -> None:
    reply = place.call("DELETE", "/api/secrets/", content=r'["\ud800"]')
    assert reply.status_code == 400
    assert "half of a letter" in reply.json()["message"]


@pytest.mark.parametrize("body", [{}, "A", [1], None])
def test_a_deletion_that_is_no_list_of_names_is_400(place: Place, body: Any) -> None:
    assert place.call("DELETE", "/api/secrets/", json=body).status_code == 400


def test_secrets_of_others_do_not_exist(place: Place) -> None:
    other = place.user("bob@example.org")
    add(place, {"A": secret("mine")})
    assert names(place, other) == []
    assert place.call("DELETE", "/api/secrets/", other, json=["A"]).status_code == 404
    assert add(place, {"A": secret("his")}, other).status_code == 201
    workflow = place.create(running("echo $A > a"))
    place.start(workflow)
    place.drive()
    assert (workspace(place, workflow) / "a").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("1A", secret("x"), "not the name of an environment variable"),
        ("A B", secret("x"), "not the name"),
        ("A\n", secret("x"), "not the name"),
        ("", secret("x"), "not the name"),
        ("PATH", secret("x"), "already"),
        ("GATEWAY_KEY", secret("x"), "already"),
        ("REANA_WORKSPACE", secret("x"), "already"),
        ("A", secret(b"\xff"), "UTF-8"),
        ("A", secret("a\0b"), "UTF-8"),
        ("A", secret("x" * (LARGEST_ENV + 1)), "add it as a file"),
        ("A", {"value": "no base64!", "type": "env"}, "base64"),
        ("A", {"value": "eA==", "type": "mail"}, "needs"),
        ("A", {"type": "env"}, "needs"),
        ("A", "x", "needs"),
        ("../a", secret("x", "file"), "without directories"),
        ("..", secret("x", "file"), "without directories"),
        ("a/b", secret("x", "file"), "without directories"),
        ("a\nb", secret("x", "file"), "without directories"),
        ("\ud800", secret("x", "file"), "half of a letter"),
        ("a" * 256, secret("x", "file"), "without directories"),
        ("a", secret("x" * (LARGEST_FILE + 1), "file"), "more than"),
    ],
)
def test_what_no_job_can_be_given_is_refused(
    place: Place, name: str, given: Any, words: str
) -> None:
    reply = place.call("POST", "/api/secrets/", content=json.dumps({name: given}))
    message = reply.json()["message"] + reply.json().get("hint", "")
    assert reply.status_code == 400
    assert words in message
    assert names(place) == []


def test_secrets_are_bounded_in_number(place: Place) -> None:
    many = {f"A{number}": secret("x") for number in range(MOST_SECRETS)}
    assert add(place, many).status_code == 201
    assert add(place, {"B": secret("x")}).status_code == 400
    assert add(place, {"A1": secret("y")}, overwrite="true").status_code == 201


def test_jobs_get_them_and_nothing_else_holds_them(place: Place) -> None:
    add(place, {"CERN_USER": secret(HIDDEN), "name": secret("lower"), "p.pem": secret(PEM, "file")})
    workflow = place.create(
        running(
            'printf %s "$CERN_USER" > env.txt; cp "$REANA_SECRETS_DIR/p.pem" file; '
            'stat -c %a "$REANA_SECRETS_DIR/p.pem" "$REANA_SECRETS_DIR" > modes; '
            'printf %s "$name" > lower; cat /proc/$PPID/cmdline > argv; '
            "ps -eo args > ps"
        )
    )
    place.start(workflow)
    place.drive()
    assert place.status(workflow)["status"] == "finished"
    root = workspace(place, workflow)
    assert (root / "env.txt").read_text() == HIDDEN
    assert (root / "file").read_bytes() == PEM
    assert (root / "lower").read_text() == "lower"
    assert (root / "modes").read_text().split() == ["400", "700"]
    for own in ("env.txt", "file"):
        (root / own).unlink()
    assert_nowhere(place, b"hidden-value", b"hidden-file")
    told = place.call("GET", f"/api/workflows/{workflow}/logs").text
    job = place.app.views.show(workflow).jobs[0].job.id
    told += str(place.app.explanations.of(job))
    assert "hidden" not in told


def assert_nowhere(place: Place, *words: bytes) -> None:
    """No file of the site may hold one of the words."""
    folders = (place.app.site.shared_root, place.app.site.state_dir)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert [word for word in words if word in content] == [], path


def test_the_time_line_names_the_secrets_with_a_version(place: Place) -> None:
    add(place, {"A": secret("hidden-1")})
    workflow = place.create(running("true"))
    place.start(workflow)
    place.drive()
    with place.app.store.read() as transaction:
        job = place.app.views.show(workflow).jobs[0].job
        said = [event.text for event in transaction.events.of_job(job.id)]
    found = [text for text in said if "secrets" in text]
    assert len(found) == 1
    assert found[0].startswith("it gets the secrets A (version ")


def test_a_renewed_secret_reaches_the_next_attempt_and_the_time_line_says_so(place: Place) -> None:
    add(place, {"A": secret("old")})
    command = 'echo "$A" >> seen; until [ -e go ]; do sleep 0.02; done; [ "$A" = new ]'
    workflow = place.create(running(command, retries=1))
    place.start(workflow)
    driver = place.app.driver("test")
    while not (workspace(place, workflow) / "seen").exists():
        driver.once(lambda _: None)
    add(place, {"A": secret("new")}, overwrite="true")
    (workspace(place, workflow) / "go").touch()
    place.drive()
    assert (workspace(place, workflow) / "seen").read_text().split() == ["old", "new"]
    with place.app.store.read() as transaction:
        job = place.app.views.show(workflow).jobs[0].job
        said = [e.text for e in transaction.events.of_job(job.id) if "secrets" in e.text]
    assert len(set(said)) == 2


def test_while_a_job_runs_its_secrets_are_for_its_owner_alone_and_then_gone(place: Place) -> None:
    os.umask(0o002)
    add(place, {"A": secret("x"), "p.pem": secret("y", "file")})
    workflow = place.create(running("until [ -e go ]; do sleep 0.02; done"))
    place.start(workflow)
    driver = place.app.driver("test")
    root = place.app.site.secrets
    while not (root.is_dir() and list(root.iterdir())):
        driver.once(lambda _: None)
    [mine] = root.iterdir()
    modes = {path.relative_to(mine).as_posix(): stat.S_IMODE(path.stat().st_mode)
             for path in mine.rglob("*")}  # fmt: skip
    assert modes == {"environment": 0o600, "files": 0o700, "files/p.pem": 0o400}
    assert stat.S_IMODE(mine.stat().st_mode) == stat.S_IMODE(root.stat().st_mode) == 0o700
    (workspace(place, workflow) / "go").touch()
    place.drive()
    assert list(root.iterdir()) == []


def test_what_a_killed_driver_left_goes_and_what_is_not_ours_stays(place: Place) -> None:
    add(place, {"A": secret("x")})
    workflow = place.create(running("true"))
    place.start(workflow)
    place.drive()
    ended = place.app.views.show(workflow).jobs[0].attempts[0].key
    root = place.app.site.secrets
    for name in (ended, f"{'0' * 32}.1", "else"):
        (root / name / "files").mkdir(parents=True)
    place.app.driver("test").once(lambda _: None)
    assert {path.name for path in root.iterdir()} == {f"{'0' * 32}.1", "else"}


def test_a_lost_key_fails_the_job_with_clear_words_and_not_the_driver(place: Place) -> None:
    add(place, {"A": secret("x")})
    key = place.app.vault.key_file
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    Vault(key.parent).seal(b"")
    place.app.__dict__.pop("vault")
    workflow = place.create(running("true"))
    place.start(workflow)
    place.drive()
    assert place.status(workflow)["status"] == "failed"
    reason = place.app.views.show(workflow).jobs[0].job.reason
    assert "'A' cannot be decrypted" in reason


def test_several_first_users_make_one_key(tmp_path: Path) -> None:
    vaults = [Vault(tmp_path) for _ in range(8)]
    sealed: list[bytes] = []
    gate = threading.Barrier(8)

    def seal(vault: Vault) -> None:
        gate.wait()
        sealed.append(vault.seal(b"x"))

    threads = [threading.Thread(target=seal, args=(vault,)) for vault in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Vault(tmp_path).unseal(each, "x") for each in sealed] == [b"x"] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.key"]


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)
