"""Retention rules: from the specification to files that are gone, also over killed drivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import crash_points
from gateway.core.lease import take
from gateway.crash_points import CrashPoint
from gateway.service.retention import RetentionPass
from gateway.vocabulary.records import Lease
from tests.api.conftest import SPEC, Place

DAY = 86_400.0
FILES = {
    "data/in.txt": b"input", "data/more.txt": b"x", "results/out.txt": b"output",
    "tmp/a.root": b"1", "tmp/deep/b.root": b"2", "keep.txt": b"k",
}  # fmt: skip


def spec(days: dict[str, int]) -> dict[str, Any]:
    return SPEC | {"workspace": {"retention_days": days}}


def rules(place: Place, workflow: str) -> list[dict[str, Any]]:
    found = place.call("GET", f"/api/workflows/{workflow}/retention_rules")
    assert found.status_code == 200, found.text
    listed: list[dict[str, Any]] = found.json()["retention_rules"]
    return listed


def ended(place: Place, days: dict[str, int]) -> tuple[str, Path, float]:
    """Return a workflow that has run, its workspace, and the time of its end."""
    workflow = place.create(spec(days))
    root = Path(place.app.views.find(workflow).workspace)
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    place.start(workflow)
    place.drive()
    return workflow, root, place.app.views.find(workflow).finished_at or 0.0


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def lease(place: Place) -> Lease:
    found = take(place.app.store, "test", time.time(), host="h", boot="b", token="t")
    assert found is not None
    return found


Apply = Callable[[float], int]


@pytest.fixture
def apply(place: Place) -> Apply:
    """Make a pass of a driver that was started at a given time."""
    mine: list[Lease] = []

    def make(now: float) -> int:
        if not mine:
            mine.append(lease(place))
        return RetentionPass(place.app.store, lambda: now).make(mine[0])

    return make


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    crash_points.set_hook(None)


def test_rules_wait_for_the_end_of_the_run(place: Place) -> None:
    workflow = place.create(spec({"**/*.root": 3, "tmp/*": 0}))
    assert rules(place, workflow) == [
        {"id": "1", "workspace_files": "**/*.root", "retention_days": 3, "apply_on": None,
         "status": "created"},
        {"id": "2", "workspace_files": "tmp/*", "retention_days": 0, "apply_on": None,
         "status": "created"},
    ]  # fmt: skip


def test_a_workflow_without_rules_has_none(place: Place) -> None:
    assert rules(place, place.create()) == []


def test_the_end_of_the_run_sets_the_end_of_a_day(place: Place) -> None:
    workflow, _, end = ended(place, {"**/*.root": 3})
    [rule] = rules(place, workflow)
    assert rule["status"] == "active"
    assert rule["apply_on"].endswith("T23:59:59")
    [record] = place.app.mine.retention.of(workflow)[1]
    assert end + 3 * DAY <= (record.apply_on or 0) < end + 4 * DAY


@pytest.mark.parametrize("days", [{"../x": 1}, {"/etc/*": 1}, {"": 1}, {"*": -1}, {"*": "x"},
                                  {"*": 10**9}, {"*" * 50 + "a": 1}])  # fmt: skip
def test_rules_that_cannot_be_are_refused(place: Place, days: dict[str, int]) -> None:
    reply = place.call("POST", "/api/workflows", json=spec(days))
    assert reply.status_code == 400
    assert place.call("GET", "/api/workflows").json()["items"] == []


def test_files_go_when_their_day_has_passed_but_never_what_is_declared(
    place: Place, apply: Apply
) -> None:
    workflow, root, end = ended(place, {"**/*": 2})
    assert apply(end + 1.9 * DAY) == 0
    assert names(root) >= set(FILES)
    assert apply(end + 3.1 * DAY) == 1
    assert names(root) == {"data/in.txt", "results/out.txt"}
    assert not (root / "tmp").exists()
    assert rules(place, workflow)[0]["status"] == "applied"
    assert apply(end + 10 * DAY) == 0
    with place.app.store.read() as transaction:
        said = [event.text for event in transaction.events.of_workflow(
            place.app.views.find(workflow).id)]  # fmt: skip
    assert any("retention rule '**/*' (2 days): removed" in text for text in said)


def test_only_what_a_pattern_matches_goes(place: Place, apply: Apply) -> None:
    _, root, end = ended(place, {"**/*.root": 0})
    apply(end + 1.1 * DAY)
    assert names(root) == set(FILES) - {"tmp/a.root", "tmp/deep/b.root"}


def test_links_go_and_what_they_point_to_stays(place: Place, apply: Apply, tmp_path: Path) -> None:
    _, root, end = ended(place, {"**/*": 0})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").touch()
    (root / "link").symlink_to(tmp_path / "outside")
    apply(end + 1.1 * DAY)
    assert not (root / "link").is_symlink()
    assert (tmp_path / "outside" / "x").exists()


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_a_driver_killed_while_it_removes_is_made_up_for(place: Place, apply: Apply) -> None:
    workflow, root, end = ended(place, {"**/*": 0})

    def kill(point: CrashPoint) -> None:
        if point is CrashPoint.ENTRY_REMOVED:
            raise KilledError

    crash_points.set_hook(kill)
    with pytest.raises(KilledError):
        apply(end + 1.1 * DAY)
    crash_points.set_hook(None)
    assert rules(place, workflow)[0]["status"] == "pending"
    assert len(names(root)) > 2
    refused = place.start(workflow, restart=True)
    assert refused.status_code == 403
    assert "being removed" in refused.json()["message"]
    assert apply(end + 1.1 * DAY) == 1
    assert rules(place, workflow)[0]["status"] == "applied"
    assert names(root) == {"data/in.txt", "results/out.txt"}


def test_what_cannot_be_removed_is_tried_again_an_hour_later(
    place: Place, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, root, end = ended(place, {"tmp/*": 0})
    now = end + 1.1 * DAY

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.service.retention.expire", refuse)
        apply(now)
    assert rules(place, workflow)[0]["status"] == "active"
    assert apply(now + 60) == 0
    assert (root / "tmp/a.root").exists()
    assert apply(now + 3601) == 1
    assert not (root / "tmp/a.root").exists()


def test_a_restart_ends_the_rules_of_the_run_before(place: Place, apply: Apply) -> None:
    workflow, root, end = ended(place, {"**/*": 0})
    assert place.start(workflow, restart=True).status_code == 200
    assert rules(place, workflow)[0]["status"] == "inactive"
    assert rules(place, f"{workflow}.1")[0]["status"] == "created"
    assert apply(end + 5 * DAY) == 0
    assert names(root) >= set(FILES)
    place.drive()


def test_a_deleted_run_has_nothing_to_remove(place: Place, apply: Apply) -> None:
    workflow, _, end = ended(place, {"**/*": 0})
    place.app.workflows.delete(workflow)
    assert apply(end + 5 * DAY) == 0


def test_one_driver_looks_once_an_hour(place: Place) -> None:
    _, _, end = ended(place, {"tmp/*": 0, "data/more.txt": 2})
    now = [end + 1.1 * DAY]
    each = RetentionPass(place.app.store, lambda: now[0])
    mine = lease(place)
    assert each.make(mine) == 1
    # A rule is due at the end of a day: at most one day later than its number says.
    now[0] += 2 * DAY
    assert each.make(mine) == 1
    now[0] += 10
    assert each.make(mine) == 0
    now[0] -= 30 * DAY
    assert each.make(mine) == 0


def test_a_tick_finds_work_when_only_a_rule_is_due(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, root, end = ended(place, {"tmp/*": 0})
    assert not place.app.has_work()
    monkeypatch.setattr("time.time", lambda: end + 1.1 * DAY)
    assert place.app.has_work()
    place.app.driver("tick").once(lambda _: None)
    assert not (root / "tmp/a.root").exists()
    assert not place.app.has_work()
    assert rules(place, workflow)[0]["status"] == "applied"


def test_rules_of_others_do_not_exist(place: Place) -> None:
    other = place.user("bob@example.org")
    workflow = place.create(spec({"*": 1}))
    reply = place.call("GET", f"/api/workflows/{workflow}/retention_rules", other)
    assert reply.status_code == 404


def test_sessions_are_not_there(place: Place) -> None:
    workflow = place.create()
    reply = place.call("POST", f"/api/workflows/{workflow}/open/jupyter", json={"image": "x"})
    assert reply.status_code == 501
    assert "not available" in reply.json()["message"]
    for path in ("close/", "close"):
        reply = place.call("POST", f"/api/workflows/{workflow}/{path}")
        assert (reply.status_code, "no open interactive session" in reply.text) == (404, True)
