"""What clients of REANA 0.95 find: live logs, and clear words about what is not there."""

from __future__ import annotations

import json

import pytest

from tests.api.conftest import Place


def test_no_capability_is_announced_that_is_not_there(place: Place) -> None:
    # Such a client sends specifications as ZIP bundles only to servers that announce them.
    assert place.client.get("/api/ping").json()["api_capabilities"] == []


@pytest.mark.parametrize(
    ("method", "end"), [("POST", "share"), ("POST", "unshare"), ("GET", "share-status")]
)
def test_sharing_is_not_there_and_says_so(place: Place, method: str, end: str) -> None:
    name = place.create()
    body = {"user_email_to_share_with": "bob@example.org"} if end == "share" else None
    reply = place.call(method, f"/api/workflows/{name}/{end}", json=body)
    assert reply.status_code == 501
    assert "not shared" in reply.json()["message"]
    assert place.call(method, f"/api/workflows/nope/{end}", json=body).status_code == 404


def test_logs_may_be_followed(place: Place) -> None:
    name = place.create()
    reply = place.call("GET", f"/api/workflows/{name}/logs").json()
    assert reply["live_logs_enabled"] is True
    assert json.loads(reply["logs"])["job_logs"] == {}
