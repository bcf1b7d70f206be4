"""The list of workflows: pages, filters, order."""

from __future__ import annotations

import json

from tests.api.conftest import SPEC, Place


def names(place: Place, **query: str) -> list[str]:
    reply = place.call("GET", "/api/workflows", params=query)
    assert reply.status_code == 200, reply.text
    return [item["name"] for item in reply.json()["items"]]


def test_pages_are_parts_of_one_list(place: Place) -> None:
    made = [place.create(name=name) for name in ("a", "b", "c")]
    assert names(place) == made[::-1]
    assert names(place, size="2") == made[:0:-1]
    assert names(place, size="2", page="2") == made[:1]
    page = place.call("GET", "/api/workflows", params={"size": "2"}).json()
    assert (page["total"], page["has_next"], page["has_prev"]) == (3, True, False)
    assert names(place, sort="asc") == made


def test_filters_are_by_status_name_and_run(place: Place) -> None:
    first, second = place.create(name="Fit"), place.create(name="Fit")
    place.create(name="other")
    assert names(place, search=json.dumps({"name": ["fit"]})) == [second, first]
    assert names(place, workflow_id_or_name="Fit") == [second, first]
    assert names(place, workflow_id_or_name=place.status(first)["id"]) == [first]
    assert names(place, status="queued,running") == []
    assert names(place, search=json.dumps({"name": ["100%"]})) == []


def test_the_order_may_be_by_what_was_used(place: Place) -> None:
    busy = {**SPEC, "workflow": json.loads(json.dumps(SPEC["workflow"]))}
    busy["workflow"]["specification"]["steps"][0]["commands"] = [
        "i=0; while [ $$i -lt 200000 ]; do i=$$((i+1)); done"
    ]
    hot = place.create(busy, name="hot")
    large = place.create(name="large")
    plain = place.create(name="plain")
    place.upload(large, "data/big.bin", b"x" * 1_000_000)
    for each in (hot, large, plain):
        place.start(each)
    place.drive()
    place.app.usage.measure(place.app.accounts.default_user().id)
    assert names(place, sort="cpu-desc")[0] == hot
    assert names(place, sort="disk-desc")[0] == large
    assert names(place, sort="disk-desc", size="1", page="2") != [large]
