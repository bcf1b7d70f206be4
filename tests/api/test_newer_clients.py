"""What clients of REANA 0.95 find: bundles, live logs, and clear words about what is not there."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from gateway.api import multipart
from tests.api.conftest import SPEC, Place

YAML = yaml.safe_dump(SPEC)
YADAGE = yaml.safe_dump({"workflow": {"type": "yadage", "file": "workflow/main.yaml"}})


def bundle(**files: str | bytes) -> bytes:
    """Return a ZIP file; of names ``__`` stands for ``/`` and a last ``_`` for the dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def send(place: Place, path: str, content: bytes, field: str = "bundle", **words: Any) -> Any:
    """Post a file as a part of a body; ``data`` holds the other fields."""
    reply: httpx2.Response = place.call(
        "POST", path, files={field: ("reana.yaml", io.BytesIO(content))}, **words
    )
    assert reply.status_code < 500, reply.text
    return reply


def create(place: Place, content: bytes, name: str = "b") -> Any:
    return send(place, "/api/workflows", content, params={"workflow_name": name})


def test_bundles_are_announced(place: Place) -> None:
    reply = place.client.get("/api/ping").json()
    assert reply["api_capabilities"] == ["workflow-specification-bundles-v1"]
    assert reply["reana_server_version"]


def test_a_workflow_from_a_bundle_runs(place: Place) -> None:
    reply = create(place, bundle(reana_yaml=YAML, data__in_txt="in"))
    assert reply.status_code == 201
    assert reply.json()["workflow_name"] == "b.1"
    files = place.call("GET", "/api/workflows/b.1/workspace").json()["items"]
    assert {each["name"] for each in files} == {"reana.yaml", "data/in.txt"}
    assert place.start("b.1").status_code == 200
    place.drive()
    assert place.status("b.1")["status"] == "finished"
    assert place.call("GET", "/api/workflows/b.1/specification").json()["specification"] == SPEC


def test_files_of_a_specification_in_a_bundle_are_found(place: Place) -> None:
    steps = yaml.safe_dump(SPEC["workflow"]["specification"])
    outer = yaml.safe_dump({**SPEC, "workflow": {"type": "serial", "file": "steps.yaml"}})
    assert create(place, bundle(reana_yaml=outer, steps_yaml=steps)).status_code == 201
    missing = create(place, bundle(reana_yaml=outer))
    assert missing.status_code == 400
    assert "steps.yaml cannot be read: No such file" in missing.json()["message"]


def test_other_languages_are_stored_and_refused_at_start(place: Place) -> None:
    reply = create(place, bundle(reana_yaml=YADAGE, workflow__main_yaml="stages: []"))
    assert reply.status_code == 201
    assert "cannot be run yet" in reply.json()["validation_warnings"][0]["message"]
    refused = place.start("b.1")
    assert refused.status_code == 400
    assert "cannot be run yet" in refused.json()["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a zip file"),
        (b"PK\x03\x04 broken", "not a zip file"),
        (bundle(other_yaml=YAML), "no reana.yaml"),
        (bundle(reana_yaml="workflow: ["), "reana.yaml:1:"),
        (bundle(reana_yaml="workflow: {type: serial}"), "workflow"),
        (bundle(reana_yaml=b"\xff\xfe"), "not UTF-8"),
    ],
)
def test_what_is_no_bundle_is_refused_and_leaves_nothing(
    place: Place, content: bytes, words: str
) -> None:
    reply = create(place, content)
    assert reply.status_code == 400
    assert words in reply.json()["message"]
    assert "/tmp" not in reply.json()["message"]
    assert place.call("GET", "/api/workflows").json()["items"] == []


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "a\\b"])
def test_names_that_lead_out_are_refused(place: Place, tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("reana.yaml", YAML)
        archive.writestr(name, "x")
    reply = create(place, out.getvalue())
    assert reply.status_code == 400
    assert "refused" in reply.json()["message"] or "lead" in reply.json()["message"]
    assert list(tmp_path.rglob("out")) == []


def test_a_link_in_a_bundle_is_refused(place: Place) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("reana.yaml", YAML)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "no plain file" in create(place, out.getvalue()).json()["message"]


def test_bodies_that_are_too_large_or_torn(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "LARGEST", 100_000)
    large = create(place, bundle(reana_yaml=YAML, data="x" * 200_000))
    assert large.status_code == 413
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        torn = place.call(
            "POST", "/api/workflows", content=b"--x\r\nhello", headers={"Content-Type": kind}
        )
        assert torn.status_code == 400, torn.text
        assert "Malformed" in torn.json()["message"]
    assert place.call("POST", "/api/workflows/validate", json={}).status_code == 400


def test_an_unpacked_bundle_may_not_be_larger_than_it_may_come(place: Place) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reana.yaml", YAML)
        with archive.open("zeros", "w", force_zip64=True) as member:
            for _ in range(101):
                member.write(bytes(1024 * 1024))
    assert "more than may be unpacked" in create(place, out.getvalue()).json()["message"]


def test_validation_says_everything(place: Place) -> None:
    path = "/api/workflows/validate"
    good = send(place, path, bundle(reana_yaml=YAML), params={"environments": "true"}).json()
    assert (good["valid"], good["errors"]) == (True, [])
    assert [each["image"] for each in good["environments"]] == ["img:1"]
    steps = [{"environment": "i:1", "commands": ["echo ${x} ${y}"], "colour": "red"}]
    wrong = {"workflow": {"type": "serial", "specification": {"steps": steps}}, "inpts": {}}
    bad = send(place, path, bundle(reana_yaml=yaml.safe_dump(wrong))).json()
    assert bad["valid"] is False
    words = "\n".join(each["message"] for each in bad["errors"])
    assert "colour" in words
    assert "inpts" in words
    assert "environments" not in bad
    yadage = send(place, path, bundle(reana_yaml=YADAGE)).json()
    assert "cannot be run yet" in yadage["errors"][0]["message"]
    assert place.call("GET", "/api/workflows").json()["items"] == []


def test_a_restart_with_another_specification(place: Place) -> None:
    create(place, bundle(reana_yaml=YAML, data__in_txt="in"))
    place.start("b.1")
    place.drive()
    other = YAML.replace("results/out.txt", "results/other.txt").encode()
    path = "/api/workflows/b.1/restart"
    given = {"parameters": json.dumps({"input_parameters": {"greeting": "bye"}})}
    assert send(place, path, b"x: [", "replacement").status_code == 400
    assert send(place, path, other, "replacement", data={"parameters": "[]"}).status_code == 400
    reply = send(place, path, other, "replacement", data=given)
    assert reply.status_code == 200, reply.text
    assert (reply.json()["workflow_name"], str(reply.json()["run_number"])) == ("b", "1.1")
    place.drive()
    assert place.status("b.1.1")["status"] == "finished"
    text = place.call("GET", "/api/workflows/b.1.1/workspace/results/other.txt").text
    assert text == "bye\n"
    assert place.call("GET", "/api/workflows/b/workspace/reana.yaml").content == other
    assert send(place, "/api/workflows/nope/restart", other, "replacement").status_code == 403


def test_a_bundle_again_under_its_key_changes_nothing_that_runs(place: Place) -> None:
    def again(content: str) -> Any:
        words = {"workflow_name": "b", "key": "k"}
        return send(place, "/api/workflows", bundle(reana_yaml=YAML, x=content), params=words)

    assert again("first").status_code == 201
    assert again("second").status_code == 201
    place.start("b.1")
    assert again("third").json()["workflow_name"] == "b.1"
    assert place.call("GET", "/api/workflows/b.1/workspace/x").text == "second"


@pytest.mark.parametrize(
    "name", ["..", "a\0b", "a\x01b", "n" * 300, ".gateway-000000000000-1-1-1.part"]
)
def test_a_replacement_of_a_name_that_no_file_may_have(place: Place, name: str) -> None:
    create(place, bundle(reana_yaml=YAML, data__in_txt="in"))
    place.start("b.1")
    place.drive()
    boundary = "x"
    head = f'--x\r\nContent-Disposition: form-data; name="replacement"; filename="{name}"\r\n\r\n'
    reply = place.call(
        "POST",
        "/api/workflows/b.1/restart",
        content=f"{head}{YAML}\r\n--x--\r\n".encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert reply.status_code == 400, reply.text
    assert [each["name"] for each in place.call("GET", "/api/workflows").json()["items"]] == ["b.1"]


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
