"""Traffic that no client of ours sends: answered or dropped, never believed, never remembered."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

import pytest

from gateway.api import bodies, protocol, room, transfer
from tests.api.conftest import SPEC, Place

Address = tuple[str, int]


@contextmanager
def connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=30) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """Read until the server has said all or closes."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ontent-" in line[:8]
         and line.lower().startswith(b"content-length")), 0
    )  # fmt: skip
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def ask(address: Address, text: bytes) -> bytes:
    with connected(address) as connection:
        connection.sendall(text)
        return answer(connection)


def post(place: Place, path: str, body: bytes) -> bytes:
    return (
        f"POST {path}?access_token={place.token} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def is_well(address: Address) -> bool:
    return b" 200 " in ask(address, b"GET /gateway/health HTTP/1.1\r\nHost: x\r\n\r\n")[:20]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", b"no JSON"),
        (b"[" * 100_000, b"400"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"deep"),
        (b'{"a": 1' + b"0" * 10_000 + b"}", b"400"),
        (b"\xff\xfe", b"no JSON"),
        (b"[]", b"must be a JSON object"),
        (b'"text"', b"must be a JSON object"),
        (b'{"workflow": null}', b"400"),
        (b'{"workflow": {"type": "serial", "specification": []}}', b"400"),
        (b'{"workflow": {"type": {"$ne": 1}}}', b"400"),
    ],
)
def test_bodies_that_are_no_specification(
    place: Place, address: Address, body: bytes, words: bytes
) -> None:
    reply = ask(address, post(place, "/api/workflows", body))
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert words in reply
    assert place.call("GET", "/api/workflows").json()["total"] == 0


def test_a_body_that_is_too_large_is_refused_before_it_is_there(
    place: Place, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LARGEST_JSON", 1024 * 1024)
    head = (
        f"POST /api/workflows?access_token={place.token} HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with connected(address) as connection:
        connection.sendall(head + piece * 20)
        assert answer(connection).startswith(b"HTTP/1.1 413 ")
    assert is_well(address)


def test_a_body_that_does_not_come_is_given_up(
    place: Place, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.2)
    text = post(place, "/api/workflows", b"{}").replace(b"Length: 2", b"Length: 2000")
    assert ask(address, text).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/workflows HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"GET /api/you HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /api/you?access_token=%ff%00%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/workflows/%00/status HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_a_refusal_and_harms_nobody(address: Address, text: bytes) -> None:
    reply = ask(address, text)
    assert reply[9:10] == b"4"
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["message"]
    assert is_well(address)


def test_garbage_behind_a_request_ends_its_connection_and_no_more(
    place: Place, address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(address) as connection:
        request = post(place, "/api/workflows", b"{}")
        connection.sendall(request + b"\x00garbage\r\n\r\n" * 1000)
        assert answer(connection).startswith(b"HTTP/1.1 400 ")
    assert is_well(address)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_has_said_all_and_closes_that_direction_is_answered(
    place: Place, address: Address, method: str
) -> None:
    text = post(place, "/api/workflows", json.dumps(SPEC).encode())
    if method == "GET":
        text = f"GET /api/workflows?access_token={place.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connected(address) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        reply = answer(connection)
        assert reply.startswith(b"HTTP/1.1 20")
        assert connection.recv(1) == b""
    assert place.call("GET", "/api/workflows").json()["total"] == (method == "POST")


def test_who_closes_in_the_middle_of_a_request_has_done_nothing(
    place: Place, address: Address
) -> None:
    with connected(address) as connection:
        connection.sendall(post(place, "/api/workflows", json.dumps(SPEC).encode())[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert b" 20" not in answer(connection)[:12]
    assert is_well(address)
    assert place.call("GET", "/api/workflows").json()["total"] == 0


HALF = '"\\ud800"'


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/workflows", f'{{"version": {HALF}}}'),
        ("POST", "/api/workflows", '{"version": "\ud800"}'),
        ("POST", "/api/workflows/w/start", f'{{"input_parameters": {{"greeting": {HALF}}}}}'),
        ("POST", "/api/secrets/", f'{{{HALF}: {{"type": "env", "value": ""}}}}'),
        ("POST", "/api/launch", f'{{"url": {HALF}}}'),
        ("POST", "/api/launch", '{"url": "https://x", "parameters": "{\\"a\\": \\"\\\\ud800\\"}"}'),
        ("POST", "/gateway/validate", f'{{"specification": {{"version": {HALF}}}}}'),
        ("DELETE", "/api/secrets/", f"[{HALF}]"),
        ("GET", "/api/workflows/w/logs", f"[{HALF}]"),
        ("GET", "/api/workflows/w/disk_usage", f'{{"search": {HALF}}}'),
    ],
)  # fmt: skip
def test_half_a_letter_is_refused(place: Place, method: str, path: str, body: str) -> None:
    place.create(name="w")
    reply = place.call(method, path, content=body.encode(errors="surrogatepass"))
    assert (reply.status_code, bool(reply.json()["message"])) == (400, True)


@pytest.mark.parametrize("where", ["/api/workflows", "/api/workflows/w/workspace"])
@pytest.mark.parametrize("key", ["name", "size"])
def test_half_a_letter_is_found_nowhere(place: Place, where: str, key: str) -> None:
    place.create(name="w")
    reply = place.call("GET", where, params={"search": f'{{"{key}": [{HALF}]}}'})
    assert reply.status_code in (200, 400)


def test_letters_that_json_writes_in_two_halves_are_whole(place: Place) -> None:
    place.create(name="w")
    body = b'{"input_parameters": {"greeting": "\\ud83d\\ude00 \\\\ud800"}}'
    assert place.call("POST", "/api/workflows/w/start", content=body).status_code == 200
    found = place.call("GET", "/api/workflows/w/specification").json()
    assert found["parameters"] == {"greeting": "\U0001f600 \\ud800"}


def unfinished(place: Place, size: int) -> bytes:
    """Return the beginning of a request that is larger than what needs no room."""
    head = f"Content-Length: {size}\r\n\r\n".encode() + b" " * (room.SMALL + 1)
    return post(place, "/api/workflows", b"").partition(b"Content-Length")[0] + head


def test_a_sender_that_goes_away_in_the_middle_is_no_mistake_of_ours(
    place: Place, address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(address) as sender:
        sender.sendall(unfinished(place, room.SMALL * 4))
    assert b" 201 " in ask(address, post(place, "/api/workflows", json.dumps(SPEC).encode()))
    assert "Traceback" not in caplog.text
    assert "ClientDisconnect" not in caplog.text


def waits_long(place: Place, address: Address) -> bool:
    """Whether a request that needs room is not answered for half a second."""
    with connected(address) as late:
        late.settimeout(0.5)
        late.sendall(post(place, "/api/workflows", b" " * 200_000))
        try:
            return not late.recv(1)
        except TimeoutError:
            return True


def test_large_bodies_wait_for_room_and_small_ones_do_not(
    place: Place, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = bodies.LARGEST_JSON
    with ExitStack() as stack:
        for _ in range(room.ROOM // large):
            stack.enter_context(connected(address)).sendall(unfinished(place, large))
        # Those before are read some time after they were sent.
        deadline = time.monotonic() + 60
        while not waits_long(place, address):
            assert time.monotonic() < deadline
        assert b" 201 " in ask(address, post(place, "/api/workflows", json.dumps(SPEC).encode()))
        monkeypatch.setattr(bodies, "PATIENCE_S", 0.2)
        reply = ask(address, post(place, "/api/workflows", b" " * 200_000))
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b"Too many large requests" in reply
    with connected(address) as again:
        again.sendall(post(place, "/api/workflows", b" " * 200_000 + json.dumps(SPEC).encode()))
        assert b" 201 " in answer(again)[:20]


def test_a_body_that_is_announced_too_large_is_refused_when_it_needs_room(
    place: Place, address: Address
) -> None:
    reply = ask(address, unfinished(place, bodies.LARGEST_JSON + 1))
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_bodies_of_several_parts_are_transfers_like_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_AT_ONCE", 0)
    reply = place.call("POST", "/api/workflows/validate", files={"bundle": b"x"})
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "30")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "%2e%2e%2f", "a\nSet-Cookie: x=1", "\0", "é" * 300, "🙂", "'; --"]
)
def test_odd_workflow_names_are_just_unknown(place: Place, name: str) -> None:
    for tail in ("status", "specification", "logs", "parameters"):
        reply = place.call("GET", f"/api/workflows/{quote(name, safe='')}/{tail}")
        assert 400 <= reply.status_code < 500
        assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"}, {"page": "x"}, {"size": "-1"}, {"status": "nonsense"}, {"search": "{"},
        {"search": '{"name": 5}'}, {"search": '{"name": {}}'}, {"search": "[1]"}, {"sort": "up"},
        {"page": "99999999999999999999"},
    ],
)  # fmt: skip
def test_wrong_queries_are_400_with_words(place: Place, query: dict[str, str]) -> None:
    reply = place.call("GET", "/api/workflows", params=query)
    assert reply.status_code == 400
    assert reply.json()["message"]


def test_a_thousand_silent_connections_keep_nobody_out(address: Address) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(1000, (hard - 200) // 2)
    assert soft >= 2 * many
    with ExitStack() as stack:
        for number in range(many):
            connection = stack.enter_context(connected(address))
            connection.sendall(b"GET /api/ping HTTP/1.1\r\n" if number % 2 else b"")
        assert is_well(address)
    assert is_well(address)


def test_many_requests_on_one_connection_are_all_answered(place: Place, address: Address) -> None:
    line = f"GET /api/you?access_token={place.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connected(address) as connection:
        for _ in range(50):
            connection.sendall(line)
            reply = answer(connection)
            assert json.loads(reply.partition(b"\r\n\r\n")[2])["email"]


def test_connections_on_which_nothing_comes_are_closed(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S", 0.3)
    with connected(address) as silent, connected(address) as half, connected(address) as second:
        half.sendall(b"GET /api/ping HTTP/1.1\r\nHost:")
        second.sendall(b"GET /api/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in answer(second)
        second.sendall(b"GET /api/ping")
        for connection in (silent, half, second):
            assert connection.recv(100) == b""
    assert is_well(address)


def test_too_many_connections_are_turned_away(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 5)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(address)).sendall(b"GET /")
        with connected(address) as late:
            reply = answer(late)
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["message"]


def test_more_transfers_than_fit_are_told_to_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = place.create()
    monkeypatch.setattr(transfer, "MOST_AT_ONCE", 0)
    reply = place.upload(name, "x", b"x")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "30")


@pytest.mark.parametrize("shape", ["[[],[],[]", '{"a":1', "[{}"])
def test_many_small_values_are_refused_before_they_are_read(place: Place, shape: str) -> None:
    """Each takes a hundred times more memory than it has bytes."""
    body = '{"a": [' + ",".join([shape] * 60_000)
    reply = place.call("POST", "/api/workflows", content=body.encode())
    assert reply.status_code == 400
    assert "more than 100000 values" in reply.json()["message"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have(place: Place, word: str) -> None:
    name = place.create()
    body = f'{{"input_parameters": {{"greeting": {word}}}}}'.encode()
    reply = place.call("POST", f"/api/workflows/{name}/start", content=body)
    assert reply.status_code == 400
    assert place.status(name)["status"] == "created"


@pytest.mark.parametrize("number", ["9" * 20, "1." + "9" * 30, "9" * 5000, "٣", "1.٣"])
def test_run_numbers_that_nobody_has(place: Place, number: str) -> None:
    place.create(name="w")
    path = f"/api/workflows/w.{quote(number)}/status"
    assert place.call("GET", path).status_code == 404
    assert place.call("GET", f"/gateway/explain/w.{quote(number)}").status_code == 404
    query = {"workflow_id_or_name": f"w.{number}"}
    assert place.call("GET", "/api/workflows", params=query).status_code < 500


@pytest.mark.parametrize(
    "path", ["/api/ping", "/api/you", "/api/info", "/api/workflows", "/api/secrets",
             "/api/workflows/w/status", "/api/workflows/w/logs", "/gateway/health"],
)  # fmt: skip
def test_a_slash_at_the_end_means_nothing(place: Place, path: str) -> None:
    place.create(name="w")
    assert place.call("GET", path).status_code == place.call("GET", f"{path}/").status_code == 200
