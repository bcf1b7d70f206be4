"""How much of what jobs wrote is in one answer."""

from __future__ import annotations

import json

import pytest

from gateway.api.routes import logs
from tests.api.conftest import Place


def test_jobs_with_much_output_share_an_answer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer has a bound, however many jobs there are; one job alone shows more."""
    monkeypatch.setattr(logs, "LARGEST_ANSWER", 40_000)
    commands = [f"yes {number} | head -c 30000" for number in range(10)]
    steps = [{"name": "many", "environment": "img:1", "commands": commands}]
    spec = {"workflow": {"type": "serial", "specification": {"steps": steps}}}
    name = place.create(spec)
    place.start(name)
    place.drive()

    reply = place.call("GET", f"/api/workflows/{name}/logs")
    jobs = json.loads(reply.json()["logs"])["job_logs"].values()
    assert len(reply.content) < 60_000
    assert [len(job["logs"]) for job in jobs] == [2000] * 10
    assert [job["logs"][-2] for job in jobs] == [str(number) for number in range(10)]
    one = place.call("GET", f"/api/workflows/{name}/logs", params={"page": "3", "size": "1"})
    (job,) = json.loads(one.json()["logs"])["job_logs"].values()
    assert len(job["logs"]) == 20_000
