"""Who may ask, and what others see."""

from __future__ import annotations

import stat
from http.client import HTTPConnection

import pytest

from gateway.api.identity import MOST_REFUSALS, Throttle
from tests.api.conftest import Place


def test_no_token_is_401_and_a_wrong_one_403(place: Place) -> None:
    assert place.client.get("/api/you").status_code == 401
    reply = place.client.get("/api/you", params={"access_token": "wrong"})
    assert (reply.status_code, reply.json()) == (403, {"message": "Token not valid."})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_bearer_token_works_too(place: Place, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {place.token}"}
    assert place.client.get("/api/you", headers=headers).status_code == 200


def test_a_revoked_token_is_refused_in_reanas_words(place: Place) -> None:
    record, secret = place.app.accounts.new_token(None, "second")
    assert place.call("GET", "/api/you", secret).status_code == 200
    place.app.accounts.revoke(record.id)
    reply = place.call("GET", "/api/you", secret)
    assert (reply.status_code, reply.json()["message"]) == (403, "User access token revoked.")
    assert place.call("GET", "/api/you").status_code == 200


def test_many_wrong_tokens_are_slowed_down_but_valid_ones_are_not(place: Place) -> None:
    codes = [place.call("GET", "/api/you", "wrong").status_code for _ in range(MOST_REFUSALS + 1)]
    assert codes == [403] * MOST_REFUSALS + [429]
    slowed = place.call("GET", "/api/you", "wrong")
    assert int(slowed.headers["Retry-After"]) > 0
    assert place.call("GET", "/api/you").status_code == 200


def test_requests_without_a_token_are_slowed_down_too(place: Place) -> None:
    codes = [place.client.get("/api/you").status_code for _ in range(MOST_REFUSALS + 1)]
    assert codes == [401] * MOST_REFUSALS + [429]
    assert place.call("GET", "/api/you").status_code == 200


def test_a_forged_address_is_not_believed(address: tuple[str, int]) -> None:
    """A header that anybody can send says nothing about where a request comes from."""
    codes = []
    for number in range(MOST_REFUSALS + 1):
        line = HTTPConnection(*address, timeout=30)
        forged = {"X-Forwarded-For": f"9.9.9.{number}"}
        line.request("GET", "/api/you?access_token=no", headers=forged)
        codes.append(line.getresponse().status)
        line.close()
    assert codes == [403] * MOST_REFUSALS + [429]


def test_the_throttle_forgets_after_its_window_and_is_bounded() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.refused("a") for _ in range(MOST_REFUSALS)] == [None] * MOST_REFUSALS
    assert throttle.refused("a") is not None
    assert throttle.refused("b") is None
    now[0] = 1000.0
    assert throttle.refused("a") is None


def test_workflows_of_others_do_not_exist(place: Place) -> None:
    other = place.user("bob@example.org")
    name = place.create(name="mine")
    workflow_id = place.status(name)["id"]
    for asked in (name, "mine", workflow_id):
        reply = place.call("GET", f"/api/workflows/{asked}/status", other)
        assert reply.status_code == 404
    assert place.call("GET", "/api/workflows", other).json()["items"] == []
    assert place.call("PUT", f"/api/workflows/{workflow_id}/status", other,
                      params={"status": "deleted"}, json={}).status_code == 404  # fmt: skip
    assert place.status(name)["status"] == "created"


def test_run_numbers_count_per_user(place: Place) -> None:
    other = place.user("bob@example.org")
    assert place.create(name="fit") == "fit.1"
    reply = place.call("GET", "/api/workflows", other)
    assert reply.json()["user_has_workflows"] is False
    assert place.create(name="fit") == "fit.2"


def test_the_token_is_kept_for_its_owner_alone_and_stored_as_a_digest(place: Place) -> None:
    file = place.app.accounts.token_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == place.token
    database = (file.parent / "gateway.db").read_bytes()
    write_ahead = (file.parent / "gateway.db-wal").read_bytes()
    assert place.token.encode() not in database + write_ahead
    assert place.app.accounts.ensure_token() is None
