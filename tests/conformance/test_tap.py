"""The tap sees what is wrong: right answers pass, and each with one thing broken does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.conformance.place import Reana, complaints
from tests.conformance.wiretap import Exchange


def broken(exchange: Exchange, old: str, new: str) -> Exchange:
    body = exchange.body.decode()
    assert old in body
    return replace(exchange, body=body.replace(old, new, 1).encode())


def test_every_answer_is_seen_and_a_broken_one_is_complained_about(reana: Reana) -> None:
    reana.created("fit")
    reana.ok("logs", "-w", "fit")
    reana.ok("list", "-v")
    reana.ok("ping")
    assert reana("status", "-w", "nope").code == 1
    seen = {each.path.rsplit("/", 1)[1]: each for each in reana.exchanged()}
    assert set(seen) == {"info", "workflows", "workspace", "logs", "you", "status"}
    agent = reana.server.agent
    assert [complaints(agent, each) for each in seen.values()] == [[]] * len(seen)
    email = json.dumps(seen["you"].json()["email"])
    created = seen["workflows"].json()["items"][0]["created"]
    wrong = [
        broken(seen["you"], email, "null"),
        broken(seen["you"], email, "7"),
        broken(seen["workflows"], created, f"{created}Z"),
        broken(seen["workflows"], '"total":', '"total": "many", "more":'),
        broken(seen["logs"], '"logs":', '"logs": 1, "more":'),
        broken(seen["status"], '"message":', '"words":'),
        replace(seen["you"], status=202),
        replace(seen["info"], headers={"content-type": "text/html"}),
        replace(seen["you"], target="/api/me"),
    ]
    unnoticed = [each for each in wrong if not complaints(agent, each)]
    assert unnoticed == []


@pytest.mark.parametrize("key", ["exit_code", "node"])
def test_a_key_that_job_logs_may_not_have_is_complained_about(reana: Reana, key: str) -> None:
    reana.created("fit")
    reana.ok("start", "-w", "fit", "--follow")
    reana.exchanged()
    reana.ok("logs", "-w", "fit")
    (exchange,) = reana.exchanged()
    data = exchange.json()
    logs = json.loads(data["logs"])
    next(iter(logs["job_logs"].values()))[key] = "1"
    data["logs"] = json.dumps(logs)
    wrong = replace(exchange, body=json.dumps(data).encode())
    assert complaints(reana.server.agent, wrong)
