"""Figures of users and of the site: real, and cheap to ask for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.service import usage
from gateway.service.usage import MOVING_S, ROUND_S, SETTLED_S, UsageBook, show_cpu_time
from gateway.vocabulary.records import DEFAULT_USER
from tests.api.conftest import SPEC, Place

BURN = {
    "name": "burn", "environment": "img:1",
    "commands": [
        "i=0; while [ $$i -lt 300000 ]; do i=$$((i+1)); done",
        "head -c 300000 /dev/zero > big",
    ],
}  # fmt: skip


def burning() -> dict[str, Any]:
    return SPEC | {"inputs": {}, "outputs": {},
                   "workflow": {"type": "serial", "specification": {"steps": [BURN]}}}  # fmt: skip


def quota(place: Place, token: str | None = None) -> Any:
    reply = place.call("GET", "/api/you", token)
    assert reply.status_code == 200
    return reply.json()["quota"]


def settled(place: Place, token: str | None = None) -> Any:
    """Ask until no measurement is under way."""
    quota(place, token)
    for thread in threading.enumerate():
        if thread.name == "usage":
            thread.join()
    return quota(place, token)


def test_nothing_is_used_at_first_and_nothing_limited(place: Place) -> None:
    assert settled(place) == {
        "cpu": {"usage": {"raw": 0, "human_readable": "0s"}},
        "disk": {"usage": {"raw": 0, "human_readable": "0 Bytes"}},
    }


def test_what_jobs_used_is_counted_for_their_user_alone(place: Place) -> None:
    other = place.user("bob@example.org")
    workflow = place.create(burning())
    place.start(workflow)
    place.drive()
    assert place.status(workflow)["status"] == "finished"
    used = settled(place)
    assert used["cpu"]["usage"]["raw"] >= 50
    assert used["disk"]["usage"]["raw"] >= 300_000
    assert used["disk"]["usage"]["human_readable"].endswith("KiB")
    assert settled(place, other)["disk"]["usage"]["raw"] == 0


class Book:
    """A book with a clock of its own, which notes what it measures."""

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.measured: list[str] = []
        self.book = UsageBook(place.app.store, lambda: self.now)

        def note(root: Path) -> int:
            self.measured.append(root.name)
            return 100

        monkeypatch.setattr(usage, "tree_bytes", note)

    def look(self) -> int:
        """Return how many workspaces a round measures."""
        return self.book.measure(DEFAULT_USER)


def test_ended_runs_are_measured_once_and_others_again_after_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving, ended = place.create(name="moving"), place.create(burning(), name="ended")
    place.start(ended)
    place.drive()
    book = Book(place, monkeypatch)
    assert book.look() == 2
    assert book.look() == 0
    book.now = MOVING_S + 1
    book.measured.clear()
    assert book.look() == 1
    assert book.measured == [place.status(moving)["id"]]
    place.upload(moving, "data/in.txt", b"x")
    place.start(moving)
    place.drive()
    assert book.look() == 1
    assert book.book.of(DEFAULT_USER).disk_bytes == 200
    place.app.workflows.delete("moving")
    assert book.look() == 0
    assert book.book.of(DEFAULT_USER).disk_bytes == 100
    book.now += SETTLED_S + 1
    assert book.look() == 1


def test_a_thousand_pings_make_one_round(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(place, monkeypatch)
    rounds: list[str] = []
    monkeypatch.setattr(book.book, "measure", rounds.append)
    for _ in range(1000):
        book.book.of(DEFAULT_USER)
    assert rounds == [DEFAULT_USER]
    book.now = ROUND_S + 1
    book.book.of(DEFAULT_USER)
    assert len(rounds) == 2


def test_a_slow_filesystem_does_not_hold_up_a_ping(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.create()
    book, gate = Book(place, monkeypatch), threading.Event()
    monkeypatch.setattr(usage, "tree_bytes", lambda _: 7 * gate.wait())
    monkeypatch.setattr(usage, "PATIENCE_S", 0.01)
    assert book.book.of(DEFAULT_USER).disk_bytes == 0
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "usage":
            thread.join()
    assert book.book.of(DEFAULT_USER).disk_bytes == 7


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (7384, "2h 3m 4s")]
)
def test_processor_time_as_reana_writes_it(seconds: float, text: str) -> None:
    assert show_cpu_time(seconds) == text


def test_the_status_of_the_site_counts_all_users(place: Place) -> None:
    other = place.user("bob@example.org")
    workflow = place.create(burning())
    place.start(workflow)
    found = place.call("GET", "/api/status", other).json()
    assert found["workflow"] == {"running": 0, "queued": 1, "pending": 0, "sort": 2}
    assert found["job"] == {"running": 0, "pending": 0, "sort": 1}
    assert found["node"] == {"total": 1, "available": 1, "unschedulable": 0, "percentage": 100,
                             "health": "healthy", "sort": 0}  # fmt: skip
    assert found["session"] == {"active": 0, "sort": 3}
    assert place.client.get("/api/status").status_code == 401


def test_a_web_interface_gets_its_settings_before_anybody_signs_in(place: Place) -> None:
    reply = place.client.get("/api/config")
    assert reply.status_code == 200
    assert reply.json()["polling_secs"] > 0
