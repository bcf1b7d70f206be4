"""Listing, uploads, deletions, moves, disk usage and prune over the wire."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import NotFoundError
from gateway.vocabulary.states import WorkflowStatus
from gateway.workspace import upload as upload_module
from gateway.workspace.archive import archive_chunks
from tests.api.conftest import SPEC, Place, make_place

OUTSIDE = ("../x", "a/../../x", "/../x", "..", "a/..", "in/../../x")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Share one site: every test makes its own run, and ``w`` is the latest one."""
    yield from make_place(tmp_path_factory.mktemp("place"))


def workspace(place: Place, workflow: str = "w") -> Path:
    return Path(place.app.views.find(workflow).workspace)


@pytest.fixture
def filled(place: Place) -> Path:
    """Return the workspace of ``w`` with a few files and links in it."""
    place.create()
    root = workspace(place)
    for name in ("data/in.txt", "results/a.png", "results/deep/b.png", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "link").symlink_to("data/in.txt")
    (root / "way-out").symlink_to("/etc")
    return root


def listed(place: Place, **params: Any) -> dict[str, Any]:
    reply = place.call("GET", "/api/workflows/w/workspace", params=params)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def names(listing: dict[str, Any]) -> list[str]:
    return [item["name"] for item in listing["items"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [".hidden", "data/in.txt", "link", "results/a.png", "results/deep/b.png", "way-out"]),
        ({"file_name": "results"}, ["results/a.png", "results/deep", "results/deep/b.png"]),
        ({"file_name": "/results/"}, ["results/a.png", "results/deep", "results/deep/b.png"]),
        ({"file_name": "**/*.png"}, ["results/a.png", "results/deep/b.png"]),
        ({"file_name": "*.png"}, []),
        ({"file_name": "data/in.txt"}, ["data/in.txt"]),
        ({"file_name": "nothing"}, []),
        ({"search": '{"name": ["PNG"]}'}, ["results/a.png", "results/deep/b.png"]),
        ({"search": '{"name": ["png", "deep"]}'}, ["results/deep/b.png"]),
        ({"search": '{"size": ["13"]}'}, ["results/a.png"]),
        ({"search": '{"last-modified": ["1999"]}'}, []),
        ({"page": "2", "size": "2"}, ["link", "results/a.png"]),
        ({"page": "9", "size": "2"}, []),
    ],
)
def test_files_are_listed(
    place: Place, filled: Path, params: dict[str, str], expected: list[str]
) -> None:
    assert names(listed(place, **params)) == expected
    assert filled.is_dir()


def test_a_listing_has_sizes_times_and_pages(place: Place, filled: Path) -> None:
    os.utime(filled / ".hidden", (0, 1_000_000_000))
    found = listed(place, page="1", size="1")
    size = {"raw": 7, "human_readable": "7 Bytes"}
    assert found == {
        "items": [{"name": ".hidden", "size": size, "last-modified": "2001-09-09T01:46:40"}],
        "total": 6, "page": 1, "size": 1, "has_next": True, "has_prev": False,
    }  # fmt: skip
    assert "size" not in listed(place)


@pytest.mark.parametrize(
    "params",
    [{"page": "0"}, {"size": "0"}, {"page": "x"}, {"search": "{"}, {"search": '{"owner": ["x"]}'},
     {"search": "[]"}, {"file_name": "../*"}, {"file_name": "a*b*c*d*e*f"}, {"file_name": "a\0b"}],
)  # fmt: skip
def test_a_malformed_listing_is_400(place: Place, filled: Path, params: dict[str, str]) -> None:
    reply = place.call("GET", "/api/workflows/w/workspace", params=params)
    assert (reply.status_code, bool(reply.json()["message"])) == (400, True)
    assert filled.is_dir()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("/reana.yaml", "reana.yaml"),
        ("///deep/er/x.txt", "deep/er/x.txt"),
        ("with space.txt", "with space.txt"),
        ("süß/文件.txt", "süß/文件.txt"),
        ("dots..and...more", "dots..and...more"),
        (".hidden", ".hidden"),
        ("50%2F50", "50%2F50"),
        ("what?#&=+.txt", "what?#&=+.txt"),
        ("a[1]*.txt", "a[1]*.txt"),
        ("./x/./y", "x/y"),
        ("n" * 255, "n" * 255),
    ],
)
@pytest.mark.parametrize("content", [b"", b"hello\r\n\0"])
def test_an_upload_is_stored_under_its_name(
    place: Place, sent: str, stored: str, content: bytes
) -> None:
    place.create()
    reply = place.upload("w", sent, content)
    assert (reply.status_code, reply.json()) == (
        200,
        {"message": f"{sent} has been successfully uploaded."},
    )
    assert (workspace(place) / stored).read_bytes() == content
    down = place.call("GET", "/api/workflows/w/workspace/x", params={"file_name": stored})
    assert (down.status_code, down.content) == (200, content)
    assert names(listed(place)) == [stored]


def test_an_upload_replaces_the_file_in_any_status(place: Place) -> None:
    name = place.create()
    place.upload(name, "data/in.txt", b"one")
    place.start(name)
    place.drive()
    assert place.status(name)["status"] == "finished"
    assert place.upload(name, "data/in.txt", b"two").status_code == 200
    assert (workspace(place) / "data/in.txt").read_bytes() == b"two"


BAD_NAMES = (
    *OUTSIDE, "", "/", "a\0b", "a\nb", "a\r\nSet-Cookie: x", "\x1b[2J", "\x7f", "n" * 256,
    "d/" * 2048 + "x", "data", "link", "way-out/x", "way-out", "data/in.txt/x",
    ".gateway-0123456789ab-1-1-1.part",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[1:31])
def test_an_upload_under_a_bad_name_is_400_and_changes_nothing(
    place: Place, filled: Path, name: str
) -> None:
    before = sorted(filled.rglob("*"))
    reply = place.upload("w", name, b"evil")
    assert reply.status_code == 400, reply.text
    assert reply.json()["message"].isprintable()
    assert sorted(filled.rglob("*")) == before
    assert b"evil" not in {path.read_bytes() for path in filled.rglob("*") if path.is_file()}
    assert not (filled.parent / "x").exists()


def test_a_name_that_is_no_utf_8_is_refused(place: Place) -> None:
    place.create()
    reply = place.client.post(
        f"/api/workflows/w/workspace?file_name=%ff.txt&access_token={place.token}",
        content=b"x", headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert reply.status_code == 400
    assert reply.json()["message"] == "The file name \\xff.txt is no UTF-8."
    assert names(listed(place)) == []


def test_a_file_whose_name_is_no_utf_8_can_be_listed_fetched_and_removed(place: Place) -> None:
    place.create()
    (workspace(place) / os.fsdecode(b"\xff.txt")).write_bytes(b"bytes")
    assert names(listed(place)) == ["\\xff.txt"]
    base = "/api/workflows/w/workspace/%ff.txt?access_token=" + place.token
    found = place.client.get(base)
    assert (found.status_code, found.content) == (200, b"bytes")
    assert place.client.delete(base).json()["deleted"] == {"\\xff.txt": {"size": 5}}
    assert place.client.get(base).json()["message"] == "\\xff.txt does not exist."


@pytest.mark.parametrize("kind", ["text/plain", "", "multipart/form-data; boundary=x"])
def test_an_upload_of_another_type_is_refused(place: Place, kind: str) -> None:
    place.create()
    reply = place.call(
        "POST", "/api/workflows/w/workspace", params={"file_name": "x"}, content=b"x",
        headers={"Content-Type": kind},
    )  # fmt: skip
    assert reply.status_code == 400
    assert reply.json()["message"].endswith("use application/octet-stream")
    assert names(listed(place)) == []


def test_a_full_disk_is_507_and_the_old_file_stays(
    place: Place, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(upload_module, "write_all", full)
    reply = place.upload("w", "data/in.txt", b"new")
    assert reply.status_code == 507
    assert "the filesystem is full" in reply.json()["message"]
    assert reply.json()["hint"]
    assert (filled / "data/in.txt").read_text() == "data/in.txt"
    assert [path.name for path in (filled / "data").iterdir()] == ["in.txt"]


def test_what_the_filesystem_refuses_is_not_a_full_disk(
    place: Place, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_fd: int, _data: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(upload_module, "write_all", refused)
    assert place.upload("w", "data/in.txt", b"new").status_code == 500
    assert (filled / "data/in.txt").exists()


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("data%2Fin.txt", {"data/in.txt"}),
        ("data/in.txt", {"data/in.txt"}),
        ("%2Fdata%2Fin.txt", {"data/in.txt"}),
        ("%2A%2A%2F%2A.png", {"results/a.png", "results/deep/b.png"}),
        ("results", {"results/a.png", "results/deep/b.png", "results/deep"}),
        ("link", {"link"}),
        ("way-out", {"way-out"}),
        ("%2Ehidden", {".hidden"}),
        ("nothing", set()),
        ("nothing%2A", set()),
    ],
)
def test_files_are_deleted(place: Place, filled: Path, path: str, gone: set[str]) -> None:
    before = {str(each.relative_to(filled)) for each in filled.rglob("*")}
    reply = place.call("DELETE", f"/api/workflows/w/workspace/{path}")
    assert reply.status_code == 200
    assert set(reply.json()["deleted"]) == gone
    assert reply.json()["failed"] == {}
    assert {str(each.relative_to(filled)) for each in filled.rglob("*")} == before - gone
    assert Path("/etc/passwd").exists()


def test_deletions_say_sizes_and_failures(
    place: Place, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink

    def unlink(name: str, **words: Any) -> None:
        if name == "b.png":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(name, **words)

    monkeypatch.setattr(os, "unlink", unlink)
    reply = place.call("DELETE", "/api/workflows/w/workspace/%2A%2A%2F%2A.png").json()
    assert reply == {
        "deleted": {"results/a.png": {"size": 13}},
        "failed": {"results/deep/b.png": {"error": "Operation not permitted"}},
    }
    assert (filled / "results/deep/b.png").exists()


def test_a_name_with_letters_of_globs_means_that_file_alone(place: Place) -> None:
    place.create()
    for name in ("a[1].txt", "a1.txt"):
        place.upload("w", name, name.encode())
    base = "/api/workflows/w/workspace/a%5B1%5D.txt"
    assert place.call("GET", base).content == b"a[1].txt"
    assert place.call("DELETE", base).json()["deleted"] == {"a[1].txt": {"size": 8}}
    assert place.call("DELETE", base).json()["deleted"] == {"a1.txt": {"size": 6}}


@pytest.mark.parametrize("name", [*OUTSIDE, "way-out/passwd"])
def test_nothing_outside_is_deleted(place: Place, filled: Path, name: str) -> None:
    (filled.parent / "x").write_text("mine")
    path = name.replace("/", "%2F").replace(".", "%2E")
    reply = place.call("DELETE", f"/api/workflows/w/workspace/{path}")
    assert reply.status_code == 400
    assert (filled.parent / "x").exists()


def move(place: Place, source: str, target: str) -> tuple[int, dict[str, Any]]:
    reply = place.call(
        "PUT", "/api/workflows/move_files/w", params={"source": source, "target": target}
    )
    return reply.status_code, reply.json()


def test_files_are_moved(place: Place, filled: Path) -> None:
    assert move(place, "data/in.txt", "data/new name.txt") == (
        200,
        {
            "message": "File(s) data/in.txt were successfully moved",
            "workflow_id": place.status("w")["id"],
            "workflow_name": place.status("w")["name"],
        },
    )
    assert (filled / "data/new name.txt").read_text() == "data/in.txt"
    assert move(place, "results/deep", "data")[0] == 200
    assert (filled / "data/deep/b.png").exists()


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("../x", "y", "Source path is outside workspace"),
        ("/etc/passwd", "y", "Source path is outside workspace"),
        ("data/in.txt", "../y", "Target path is outside workspace"),
        ("data/in.txt", "/tmp/y", "Target path is outside workspace"),
        ("way-out/passwd", "y", "Something went wrong"),
        ("data/in.txt", "way-out", "Something went wrong"),
        ("nothing", "y", "Something went wrong:\n nothing does not exist."),
        ("data/in.txt", "no/such/directory", "Something went wrong"),
        ("results", "results/deep", "Something went wrong"),
        ("", "y", "Something went wrong"),
    ],
)
def test_what_cannot_be_moved_is_409(
    place: Place, filled: Path, source: str, target: str, words: str
) -> None:
    before = sorted(filled.rglob("*"))
    status, body = move(place, source, target)
    assert (status, body["message"].startswith(words)) == (409, True), body
    assert sorted(filled.rglob("*")) == before


@pytest.mark.parametrize("target", ["a\nb", "\x1b[2J", ".gateway-0123456789ab-1-1-1.part"])
def test_a_file_cannot_be_moved_to_a_name_that_nobody_could_type(
    place: Place, filled: Path, target: str
) -> None:
    assert move(place, "data/in.txt", target)[0] == 400
    assert (filled / "data/in.txt").exists()


def usage(place: Place, body: Any = None) -> dict[str, Any]:
    words = {} if body is None else {"json": body}
    reply = place.call("GET", "/api/workflows/w/disk_usage", **words)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_disk_usage_is_asked_with_a_body_of_get(place: Place, filled: Path) -> None:
    whole = usage(place)
    lines = {line["name"]: line["size"] for line in whole["disk_usage_info"]}
    allocated = (filled / "data/in.txt").stat().st_blocks * 512
    assert lines["/data/in.txt"]["raw"] == allocated
    assert lines["/data/in.txt"]["human_readable"] == "4 KiB"
    assert set(lines) >= {"", "/data", "/results/deep", "/results/deep/b.png"}
    assert (whole["workflow_name"], whole["workflow_id"]) == ("w", place.status("w")["id"])
    total = usage(place, {"summarize": True})["disk_usage_info"]
    assert total == [{"name": "", "size": lines[""]}]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"name": ["data/*"]}, ["/data/in.txt"]),
        ({"name": ["data/*", "results/*.png"]}, ["/data/in.txt", "/results/a.png"]),
        ({"name": ["nothing"]}, []),
        ({"size": ["1"]}, []),
        ({"name": ["data/*"], "size": ["4096"]}, ["/data/in.txt"]),
        ({}, None),
    ],
)
def test_disk_usage_is_filtered(
    place: Place, filled: Path, search: dict[str, list[str]], expected: list[str] | None
) -> None:
    found = usage(place, {"summarize": False, "search": json.dumps(search)})
    shown = [line["name"] for line in found["disk_usage_info"]]
    assert shown == expected if expected is not None else len(shown) > 5
    assert filled.is_dir()


@pytest.mark.parametrize(
    "body",
    [{"summarize": "yes"}, {"search": {"name": []}}, {"search": "{"}, {"search": "[1]"},
     {"search": '{"name": "x"}'}, {"search": '{"name": [{}]}'}, [1], "x",
     {"search": '{"name": ["../x"]}'}, {"search": '{"name": ["\\ud800"]}'}],
)  # fmt: skip
def test_a_malformed_question_for_disk_usage_is_400(place: Place, filled: Path, body: Any) -> None:
    reply = place.call("GET", "/api/workflows/w/disk_usage", json=body)
    assert (reply.status_code, bool(reply.json()["message"])) == (400, True)
    assert filled.is_dir()


def fill_for_prune(place: Place) -> Path:
    spec = {**SPEC, "outputs": {"files": ["results/out.txt"], "directories": ["plots"]}}
    place.create(spec)
    for name in ("data/in.txt", "results/out.txt", "results/log", "plots/a/b.png", "reana.yaml"):
        place.upload("w", name, b"x")
    return workspace(place)


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ({}, ["data/in.txt", "plots/a/b.png", "results/out.txt"]),
        ({"include_inputs": "true"}, ["plots/a/b.png", "results/out.txt"]),
        ({"include_outputs": "true"}, ["data/in.txt"]),
        ({"include_inputs": "true", "include_outputs": "true"}, []),
    ],
)
def test_prune_keeps_what_is_declared(
    place: Place, params: dict[str, str], left: list[str]
) -> None:
    root = fill_for_prune(place)
    reply = place.call("POST", "/api/workflows/w/prune", params=params)
    assert reply.json() == {
        "message": "The workspace has been correctly pruned.",
        "workflow_id": place.status("w")["id"],
        "workflow_name": "w",
    }
    assert [str(p.relative_to(root)) for p in sorted(root.rglob("*")) if p.is_file()] == left


@pytest.mark.parametrize("state", [s for s in WorkflowStatus if s.is_active])
def test_prune_does_not_take_files_from_a_run_that_needs_them(
    place: Place, state: WorkflowStatus
) -> None:
    root = fill_for_prune(place)
    workflow = place.status("w")["id"]
    with place.app.store.write() as transaction:
        transaction.workflows.set(workflow, status=state)
    reply = place.call("POST", "/api/workflows/w/prune")
    with place.app.store.write() as transaction:
        transaction.workflows.set(workflow, status=WorkflowStatus.FINISHED)
    assert (reply.status_code, state.value in reply.json()["message"]) == (409, True)
    assert (root / "results/log").exists()


CALLS: tuple[tuple[str, str, int], ...] = (
    ("GET", "/api/workflows/{}/workspace", 404),
    ("POST", "/api/workflows/{}/workspace?file_name=x", 404),
    ("GET", "/api/workflows/{}/workspace/x", 404),
    ("DELETE", "/api/workflows/{}/workspace/x", 404),
    ("PUT", "/api/workflows/move_files/{}?source=a&target=b", 404),
    ("GET", "/api/workflows/{}/disk_usage", 403),
    ("POST", "/api/workflows/{}/prune", 403),
)


@pytest.mark.parametrize(("method", "path", "status"), CALLS)
def test_an_unknown_workflow_is_said_in_reanas_words(
    place: Place, method: str, path: str, status: int
) -> None:
    other = place.user(f"{method}{path.count('/')}{path[-6:]}@example.org")
    place.create()
    headers = {"Content-Type": "application/octet-stream"}
    for name, token in (("nope", place.token), ("w", other), ("w.7000", place.token)):
        url = path.format(name) + ("&" if "?" in path else "?") + f"access_token={token}"
        reply = place.client.request(method, url, headers=headers)
        assert reply.status_code == status
        assert reply.json()["message"].startswith(f"REANA_WORKON is set to {name}, but that")


@pytest.mark.parametrize(("method", "path", "_status"), CALLS)
def test_no_token_is_401(place: Place, method: str, path: str, _status: int) -> None:
    place.create()
    headers = {"Content-Type": "application/octet-stream"}
    assert place.client.request(method, path.format("w"), headers=headers).status_code == 401


def test_a_workspace_that_is_gone_is_404(place: Place) -> None:
    place.create()
    assert place.call(
        "PUT", "/api/workflows/w/status", params={"status": "deleted"}, json={"workspace": True}
    ).is_success
    for reply in (
        place.call("GET", "/api/workflows/w/workspace"),
        place.upload("w", "x", b"x"),
        place.call("GET", "/api/workflows/w/workspace/x"),
        place.call("GET", "/api/workflows/w/disk_usage"),
    ):
        assert (reply.status_code, reply.json()["message"]) == (404, "Workspace does not exist.")


def test_files_of_a_workflow_that_is_called_workspace(place: Place) -> None:
    """Its name stands in the path like the word after it."""
    name = place.create(name="workspace")
    for path in ("x.txt", "workspace/x.txt"):
        place.upload(name, path, path.encode())
    url = "/api/workflows/workspace/workspace"
    assert place.call("GET", f"{url}/workspace/x.txt").content == b"workspace/x.txt"
    deleted = place.call("DELETE", f"{url}/workspace/x.txt").json()["deleted"]
    assert list(deleted) == ["workspace/x.txt"]
    assert place.call("GET", f"{url}/x.txt").content == b"x.txt"


def test_the_name_of_a_route_is_no_name_of_a_workflow(place: Place) -> None:
    reply = place.call("POST", "/api/workflows", params={"workflow_name": "move_files"}, json=SPEC)
    assert (reply.status_code, "word of REANA" in reply.json()["message"]) == (400, True)


def test_a_name_with_a_line_end_can_be_read_and_removed(place: Place) -> None:
    """Nobody may upload such a name, but a job may make one."""
    name = place.create()
    root = workspace(place, name)
    (root / "a\nb").write_text("odd")
    url = f"/api/workflows/{name}/workspace/a%0Ab"
    assert place.call("GET", url).text == "odd"
    assert list(place.call("DELETE", url).json()["deleted"]) == ["a\nb"]
    assert not (root / "a\nb").exists()


def test_an_archive_breaks_off_when_its_workspace_goes(place: Place, tmp_path: Path) -> None:
    name = place.create()
    for number in range(5):
        place.upload(name, f"d/{number}", b"x" * 1000)
    root = workspace(place, name)
    pieces = archive_chunks(root, [f"d/{number}" for number in range(5)], "zip")
    next(pieces)
    shutil.rmtree(root)
    with pytest.raises(NotFoundError):
        list(pieces)
