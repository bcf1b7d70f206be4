"""What a client gets when it asks for files: bytes, headers, parts, archives, diffs."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import httpx2
import pytest

from gateway.api.file_names import disposition
from tests.api.conftest import SPEC, Place, make_place

FILES = {
    "results/plot.png": b"\x89PNG",
    "results/deep/table.csv": b"1,2\n",
    "page.html": b"<script>1</script>",
    "paper.pdf": b"%PDF",
    "letters": b"abcdefghij",
    "empty": b"",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Share one site and a workflow that no test changes."""
    for place in make_place(tmp_path_factory.mktemp("place")):
        place.create(name="w")
        root = Path(place.app.views.find("w").workspace)
        for name, content in FILES.items():
            place.upload("w", name, content)
        (root / "nothing-in-it").mkdir()
        (root / "inside").symlink_to("letters")
        (root / "outside").symlink_to("/etc/passwd")
        (root / "up").symlink_to("..")
        os.mkfifo(root / "pipe")
        yield place


def get(place: Place, path: str, method: str = "GET", **words: object) -> httpx2.Response:
    headers = {name.replace("_", "-"): str(value) for name, value in words.items() if name[0] < "a"}
    params = {name: value for name, value in words.items() if name[0] >= "a"}
    return place.call(method, f"/api/workflows/w/workspace/{path}", params=params, headers=headers)


def file_name(reply: httpx2.Response) -> str | None:
    """Read the name as REANA's client does."""
    message = Message()
    message["Content-Disposition"] = reply.headers["Content-Disposition"]
    return message.get_filename()


@pytest.mark.parametrize("path", ["letters", "/letters", "let*", "inside", "letters?file_name="])
def test_a_file_comes_as_bytes(place: Place, path: str) -> None:
    reply = get(place, path)
    assert (reply.status_code, reply.content) == (200, b"abcdefghij")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Length"] == "10"
    assert reply.headers["Content-Disposition"].startswith("attachment; ")


def test_the_name_in_the_query_counts_and_is_given_with_its_directories(place: Place) -> None:
    reply = get(place, "whatever", file_name="results/deep/table.csv")
    assert reply.content == b"1,2\n"
    assert file_name(reply) == "results/deep/table.csv"


@pytest.mark.parametrize("path", ["nope", "nope*", "nothing-in-it", "letters/x", "results/nope"])
def test_what_is_not_there_is_404_in_reanas_words(place: Place, path: str) -> None:
    reply = get(place, path)
    assert (reply.status_code, reply.json()["message"]) == (404, f"{path} does not exist.")


@pytest.mark.parametrize(
    "name", ["../x", "results/../../x", "/../../etc/passwd", "outside", "up/x", "up", "pipe",
             "a\0b", "n" * 300, "d/" * 2048 + "x"]
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_outside_and_nothing_but_files_comes(place: Place, name: str, method: str) -> None:
    reply = get(place, "x", method, file_name=name)
    assert reply.status_code in (400, 404), reply.text
    assert b"root:" not in reply.content
    if method == "GET":
        assert reply.json()["message"].isprintable()


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"abcd", "bytes 0-3/10"),
        ("bytes=4-", 206, b"efghij", "bytes 4-9/10"),
        ("bytes=-3", 206, b"hij", "bytes 7-9/10"),
        ("bytes=-99", 206, b"abcdefghij", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"ij", "bytes 8-9/10"),
        ("BYTES= 9-9 ", 206, b"j", "bytes 9-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=999999999999999999-", 416, None, "bytes */10"),
        ("bytes=5-4", 200, b"abcdefghij", None),
        ("bytes=-", 200, b"abcdefghij", None),
        ("bytes=0-1,3-4", 200, b"abcdefghij", None),
        ("bytes=x-y", 200, b"abcdefghij", None),
        ("lines=0-1", 200, b"abcdefghij", None),
        ("bytes=" + "9" * 40 + "-", 200, b"abcdefghij", None),
    ],
)
def test_parts(
    place: Place, asked: str, status: int, body: bytes | None, content_range: str | None
) -> None:
    reply = get(place, "letters", RANGE=asked)
    assert reply.status_code == status
    assert reply.headers.get("Content-Range") == content_range
    if body is None:
        assert "10 bytes" in reply.json()["message"]
    else:
        assert reply.content == body
        assert reply.headers["Content-Length"] == str(len(body))
        assert reply.headers["Accept-Ranges"] == "bytes"


def test_an_empty_file_has_no_part(place: Place) -> None:
    assert (get(place, "empty").status_code, get(place, "empty").content) == (200, b"")
    assert get(place, "empty", RANGE="bytes=0-").status_code == 416


def test_a_part_is_sent_only_of_the_file_that_the_client_knows(place: Place) -> None:
    place.create(name="changing")
    path = Path(place.app.views.find("changing").workspace) / "x"
    url = "/api/workflows/changing/workspace/x"
    path.write_bytes(b"first")
    known = place.call("GET", url).headers
    ask = {"Range": "bytes=1-2", "If-Range": known["ETag"]}
    assert place.call("GET", url, headers=ask).content == b"ir"
    path.write_bytes(b"again")
    assert place.call("GET", url, headers=ask).content == b"again"
    os.utime(path, ns=(0, 0))
    again = place.call("GET", url).headers
    assert again["ETag"] != known["ETag"]
    assert again["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    dated = ask | {"If-Range": again["Last-Modified"]}
    assert place.call("GET", url, headers=dated).status_code == 200


@pytest.mark.parametrize(("path", "size"), [("letters", "10"), ("empty", "0"), ("results", None)])
def test_head_says_the_same_without_bytes(place: Place, path: str, size: str | None) -> None:
    head, whole = get(place, path, "HEAD", RANGE="bytes=0-1"), get(place, path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.get("Content-Length") == size
    for name in ("Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers.get(name) == whole.headers.get(name)
    assert get(place, "nope", "HEAD").status_code == 404


@pytest.mark.parametrize(
    ("path", "kind", "sandboxed"),
    [
        ("results/plot.png", "image/png", True),
        ("page.html", "text/html", True),
        ("paper.pdf", "application/pdf", False),
        ("letters", None, False),
        ("results/deep/table.csv", None, False),
    ],
)
def test_previews(place: Place, path: str, kind: str | None, sandboxed: bool) -> None:
    reply = get(place, path, preview="true")
    assert reply.headers["Content-Type"] == (kind or "application/octet-stream")
    assert reply.headers["Content-Disposition"].split(";")[0] == (
        "inline" if kind else "attachment"
    )
    assert (reply.headers.get("Content-Security-Policy") == "sandbox") is sandboxed
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    plain = get(place, path)
    assert plain.headers["Content-Type"] == "application/octet-stream"


RESULTS = {name: content for name, content in FILES.items() if name.startswith("results/")}


@pytest.mark.parametrize("path", ["results", "/results/", "results/**", "**/*.[cp][sn][vg]"])
def test_several_files_come_as_a_zip(place: Place, path: str) -> None:
    reply = get(place, path)
    assert reply.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as bundle:
        assert bundle.testzip() is None
        assert {name: bundle.read(name) for name in bundle.namelist()} == RESULTS
    form = r"download_w\.1_[^/]*_\d{4}-\d\d-\d\d-\d{6}\.zip"
    assert re.fullmatch(form, file_name(reply) or "")


def test_a_tar_comes_when_asked_for(place: Place) -> None:
    reply = get(place, "results", archive="tar")
    assert reply.headers["Content-Type"] == "application/x-tar"
    assert (file_name(reply) or "").endswith(".tar")
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as bundle:
        assert sorted(bundle.getnames()) == sorted(RESULTS)


def test_one_file_comes_as_an_archive_when_asked_for(place: Place) -> None:
    reply = get(place, "letters", archive="zip")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as bundle:
        assert bundle.namelist() == ["letters"]
    assert get(place, "letters", archive="rar").status_code == 400


def test_the_whole_workspace_comes_without_what_lies_outside(place: Place) -> None:
    reply = get(place, "x", file_name=".")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as bundle:
        assert set(bundle.namelist()) == {*FILES, "inside"}


def test_no_name_is_400(place: Place) -> None:
    assert get(place, "").status_code == 400
    assert get(place, "").json()["message"] == "No file_name provided"


@pytest.mark.parametrize(
    "name",
    ["with space", "süß/文件.txt", 'quo"te', "back\\slash", "per%20cent", "semi;colon", "a\nb",
     "a\r\nX-Evil: 1", "\x1b[2J", "..hidden"],
)  # fmt: skip
def test_every_name_survives_its_header(place: Place, name: str) -> None:
    place.create(name="odd")
    path = Path(place.app.views.find("odd").workspace) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    reply = place.call("GET", "/api/workflows/odd/workspace/x", params={"file_name": name})
    assert (reply.status_code, reply.content) == (200, b"x")
    assert "X-Evil" not in reply.headers
    assert reply.headers["Content-Disposition"].isprintable()
    assert reply.headers["Content-Disposition"].isascii()
    assert file_name(reply) == name


def test_simple_names_have_a_simple_header() -> None:
    assert disposition("attachment", "results/plot.png") == (
        'attachment; filename="results/plot.png"'
    )
    assert disposition("inline", 'a"b') == "inline; filename*=UTF-8''a%22b"


def diff(place: Place, left: str, right: str, **params: str) -> httpx2.Response:
    return place.call("GET", f"/api/workflows/{left}/diff/{right}", params=params)


@pytest.fixture(scope="module")
def pair(place: Place) -> tuple[str, str]:
    """Make two workflows that differ in a parameter, an added section, and files."""
    one = place.create(name="pair")
    changed = {**SPEC, "inputs": {"parameters": {"greeting": "bye"}}, "tests": {"files": ["t"]}}
    other = place.create(changed, name="pair")
    lines = "\n".join(str(number) for number in range(20))
    for name, last in ((one, "\n\nold\fpage\n"), (other, "\n\nnew\n\n\f\n")):
        place.upload(name, "sub/x.txt", (lines + last).encode())
    place.upload(one, "only", b"")
    return one, other


def test_specifications_and_files_are_compared(place: Place, pair: tuple[str, str]) -> None:
    one, other = pair
    reply = diff(place, one, other).json()
    sections = json.loads(reply["reana_specification"])
    assert "-{'files': ['data/in.txt'], 'parameters': {'greeting': 'hello'}}" in sections["inputs"]
    assert "+{'parameters': {'greeting': 'bye'}}" in sections["inputs"]
    assert sections["workflow"] == []
    assert "+{'files': ['t']}" in sections["tests"]
    text = json.loads(reply["workspace_listing"])
    assert f"Only in {one}: only" in text
    assert f"+++ {other}/sub/x.txt" in text
    assert str(place.app.site.workspaces) not in text
    assert all([*text.splitlines(), *(line for lines in sections.values() for line in lines)])


def test_brief_and_context(place: Place, pair: tuple[str, str]) -> None:
    def text(**params: str) -> str:
        return str(json.loads(diff(place, *pair, **params).json()["workspace_listing"]))

    assert text(brief="true").splitlines() == [
        f"Only in {pair[0]}: only",
        f"Files {pair[0]}/sub/x.txt and {pair[1]}/sub/x.txt differ",
    ]
    assert len(text(context_lines="0")) < len(text()) < len(text(context_lines="50"))


def test_parameters_given_at_start_count(place: Place) -> None:
    one, other = place.create(name="given"), place.create(name="given")
    for name in (one, other):
        place.upload(name, "data/in.txt", b"x")
    assert place.start(other, input_parameters={"greeting": "given"}).status_code == 200
    sections = json.loads(diff(place, one, other).json()["reana_specification"])
    assert any("'greeting': 'given'" in line for line in sections["inputs"])


def test_the_same_workflow_does_not_differ(place: Place) -> None:
    reply = diff(place, "w", "w").json()
    assert not any(json.loads(reply["reana_specification"]).values())
    assert json.loads(reply["workspace_listing"]) == ""


def test_a_workspace_that_is_gone_is_a_sentence(place: Place) -> None:
    gone = place.create(name="gone")
    place.call("PUT", f"/api/workflows/{gone}/status", params={"status": "deleted"}, json={})
    for left, right in ((gone, "w"), ("w", gone)):
        reply = diff(place, left, right)
        assert reply.status_code == 200
        said = json.loads(reply.json()["workspace_listing"])
        assert said == f"Workspace of {gone} does not exist."


@pytest.mark.parametrize(("left", "right", "missing"), [("x", "w", "x"), ("w", "w.9", "w.9")])
def test_an_unknown_workflow_of_a_pair_is_named(
    place: Place, left: str, right: str, missing: str
) -> None:
    reply = diff(place, left, right)
    assert (reply.status_code, reply.json()["message"]) == (
        404,
        f"Workflow {missing} does not exist.",
    )


@pytest.mark.parametrize("params", [{"context_lines": "-1"}, {"context_lines": "x"},
                                    {"context_lines": "1e9"}, {"brief": "maybe"}])  # fmt: skip
def test_a_malformed_comparison_is_400(place: Place, params: dict[str, str]) -> None:
    assert diff(place, "w", "w", **params).status_code == 400
