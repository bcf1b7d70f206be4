"""Streams against a server in a process of its own: memory, aborted and hostile ones, many."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from gateway.api import transfer
from gateway.api.problems import ApiError
from gateway.errors import NoRoomError
from tests.api.serving import Serving, serving

MIB = 1024 * 1024
CLIENTS = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("place")) as server:
        yield server


def upload_head(server: Serving, name: str, framing: str) -> bytes:
    return (
        f"POST {server.url(file_name=name)} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/octet-stream\r\n{framing}\r\n\r\n"
    ).encode()


def test_memory_does_not_grow_with_the_size_of_a_file(server: Serving) -> None:
    def there_and_back(mib: int) -> None:
        block = os.urandom(MIB)
        connection = server.connect()
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(mib * MIB)}
        body = (block for _ in range(mib))
        connection.request("POST", server.url(file_name=f"{mib}"), body, headers)
        assert connection.getresponse().read()
        connection.request("GET", server.url(f"/{mib}"))
        reply, size = connection.getresponse(), 0
        while got := reply.read(MIB):
            size += len(got)
        connection.close()
        assert size == mib * MIB == (server.root / f"{mib}").stat().st_size

    there_and_back(8)
    before = server.peak_memory_mib()
    there_and_back(64)
    assert server.peak_memory_mib() - before < 16


def test_an_archive_is_made_while_it_is_sent(server: Serving) -> None:
    """What is written into the last file after the first byte came is in the archive."""
    many = server.root / "many"
    many.mkdir()
    for number in range(3000):
        (many / f"{number:04}").write_bytes(bytes(8 * 1024))
    before = server.peak_memory_mib()
    with server.socket(receive_buffer=64 * 1024) as sock:
        sock.sendall(f"GET {server.url('/many')} HTTP/1.0\r\n\r\n".encode())
        first = sock.recv(4096)
        (many / "2999").write_bytes(b"late" * 2048)
        whole = first + b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, content = whole.partition(b"\r\n\r\n")
    assert b"content-type: application/zip" in head.lower()
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        assert len(bundle.namelist()) == 3000
        assert bundle.read("many/2999") == b"late" * 2048
    assert server.peak_memory_mib() - before < 16


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("way", ["close", "reset", "half-close"])
def test_an_aborted_upload_leaves_the_old_file(server: Serving, framing: str, way: str) -> None:
    name = f"aborted-{way}/{framing[:1]}"
    assert server.upload(name, b"old").status == 200
    with server.socket() as sock:
        sock.sendall(upload_head(server, name, framing))
        sock.sendall(b"8000\r\n" + bytes(32768) if "chunked" in framing else bytes(100_000))
        if way == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if way == "half-close":
            sock.shutdown(socket.SHUT_WR)
            assert b" 200 " not in sock.recv(65536)
    server.wait_until_nothing_is_open()
    path = server.root / name
    assert path.read_bytes() == b"old"
    assert list(path.parent.glob(".gateway*")) == []
    assert server.upload(name, b"new").status == 200
    assert path.read_bytes() == b"new"


def test_a_malformed_chunk_leaves_the_old_file(server: Serving) -> None:
    server.upload("chunk", b"old")
    head = upload_head(server, "chunk", "Transfer-Encoding: chunked")
    assert server.raw(head + b"3\r\nabc\r\nXYZ\r\n").startswith(b"HTTP/1.1 400")
    server.wait_until_nothing_is_open()
    assert (server.root / "chunk").read_bytes() == b"old"


def test_an_empty_chunked_upload_is_an_empty_file(server: Serving) -> None:
    head = upload_head(server, "empty", "Transfer-Encoding: chunked\r\nConnection: close")
    assert server.raw(head + b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert (server.root / "empty").read_bytes() == b""


def test_a_refused_upload_leaves_its_connection_usable(server: Serving) -> None:
    """The client sends everything before it reads the answer."""
    connection = server.connect()
    headers = {"Content-Type": "application/octet-stream"}
    connection.request("POST", server.url(file_name="../x"), bytes(4 * MIB), headers)
    reply = connection.getresponse()
    assert (reply.status, b"leads out" in reply.read()) == (400, True)
    connection.request("GET", server.url())
    assert connection.getresponse().status == 200
    connection.close()


def test_what_cannot_fit_is_refused_before_it_is_sent(server: Serving) -> None:
    with server.socket() as sock:
        sock.sendall(upload_head(server, "huge", f"Content-Length: {1 << 60}"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 507")
    assert not (server.root / "huge").exists()


def test_an_aborted_download_is_let_go(server: Serving) -> None:
    (server.root / "large").write_bytes(bytes(64 * MIB))
    for path in ("/large", "/%2A%2A"):
        with server.socket(receive_buffer=4096) as sock:
            sock.sendall(f"GET {server.url(path)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert sock.recv(1024).startswith(b"HTTP/1.1 200")
        server.wait_until_nothing_is_open()


def test_a_file_that_shrinks_is_not_passed_off_as_whole(server: Serving) -> None:
    path = server.root / "shrinks"
    path.write_bytes(bytes(64 * MIB))
    with server.socket(receive_buffer=4096) as sock:
        sock.sendall(f"GET {server.url('/shrinks')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        size = len(sock.recv(1024))
        os.truncate(path, MIB)
        while got := sock.recv(MIB):
            size += len(got)
    assert size < 64 * MIB
    assert server.call("GET", server.url("/shrinks")).content == bytes(MIB)


def test_many_clients_at_once(server: Serving) -> None:
    contents = [bytes([number]) * (2 * MIB) for number in range(CLIENTS)]

    def there_and_back(number: int) -> bool:
        assert server.upload("same", contents[number]).status == 200
        assert server.upload(f"many-clients/{number}", contents[number]).status == 200
        same = server.call("GET", server.url("/same")).content
        own = server.call("GET", server.url(f"/many-clients/{number}")).content
        return own == contents[number] and same in contents

    with ThreadPoolExecutor(CLIENTS) as threads:
        assert all(threads.map(there_and_back, range(CLIENTS)))
    assert (server.root / "same").read_bytes() in contents
    assert server.peak_memory_mib() < 200


REFUSED = (
    "/../../../../etc/passwd",
    "/..%2F..%2F..%2Fetc%2Fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2F",
    "/a/../../../x",
    "/%00",
    "/a%00b",
    "/%0d%0aSet-Cookie:%20x",
    "/%ff%fe",
    "/" + "n" * 300,
    "/" + "d/" * 3000,
)
HOSTILE = (*REFUSED, "//etc/passwd", "/[", "/**/**/**/**/**/x", "/{a,b}|c", "/%25%32%65")


def short(text: str) -> str:
    return ascii(text)[1:31]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", HOSTILE, ids=short)
def test_hostile_paths_get_a_clear_answer_and_nothing_else(
    server: Serving, path: str, method: str
) -> None:
    reply = server.call(method, server.url(path))
    assert reply.status in ((200,) if method == "DELETE" else ()) + (400, 404)
    assert b"root:" not in reply.content
    assert reply.headers.get("Set-Cookie") is None
    if method == "DELETE" and reply.status == 200:
        assert reply.content == b'{"deleted":{},"failed":{}}'
    elif method != "HEAD":
        assert b'"message":' in reply.content
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize("name", REFUSED, ids=short)
def test_hostile_names_are_stored_nowhere(server: Serving, name: str) -> None:
    def everything() -> list[str]:
        return sorted(map(str, server.root.parents[1].rglob("*")))

    before = everything()
    reply = server.call("POST", f"{server.url()}&file_name={name}", b"evil")
    assert (reply.status, b'"message":' in reply.content) == (400, True)
    assert everything() == before


def request_with(receive: Callable[[], Any]) -> Request:
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def collect(receive: Callable[[], Any]) -> list[bytes]:
    async def run() -> list[bytes]:
        return [bytes(block) async for block in transfer.received(request_with(receive))]

    return anyio.run(run)


def body_of(size: int, piece: int = 100_000) -> Callable[[], Any]:
    pieces = iter([*[piece] * (size // piece), size % piece])

    async def receive() -> dict[str, Any]:
        now = next(pieces)
        return {"type": "http.request", "body": bytes(now), "more_body": now == piece}

    return receive


def test_pieces_are_joined_into_large_blocks() -> None:
    blocks = collect(body_of(5 * MIB))
    assert sum(map(len, blocks)) == 5 * MIB
    full = [len(block) >= transfer.LARGEST_BLOCK for block in blocks]
    assert full == [True] * 4 + [False]


def test_many_transfers_share_the_memory_of_a_few() -> None:
    async def run() -> list[int]:
        traffic, sizes = transfer.traffic(), []
        with ExitStack() as stack:
            for _ in range(transfer.MOST_AT_ONCE):
                stack.enter_context(traffic.counted())
                sizes.append(traffic.block)
            with pytest.raises(ApiError, match="Too many transfers"):
                stack.enter_context(traffic.counted())
        return [*sizes, traffic.block]

    *sizes, after = anyio.run(run)
    assert (sizes[0], after) == (transfer.LARGEST_BLOCK, transfer.LARGEST_BLOCK)
    assert min(sizes) >= 16 * 1024
    assert all(number * size <= transfer.ROOM for number, size in enumerate(sizes, 1))


def test_a_block_comes_in_while_one_is_written_and_all_are_written_in_order() -> None:
    written: list[int] = []
    overlapped = threading.Event()
    receive = body_of(5 * MIB)

    async def told() -> dict[str, Any]:
        message: dict[str, Any] = await receive()
        if not message["more_body"]:
            overlapped.set()
        return message

    def write(block: bytearray) -> None:
        if len(written) == 3:
            assert overlapped.wait(30)
        written.append(len(block))

    anyio.run(transfer.store, request_with(told), write)
    assert (len(written), sum(written)) == (5, 5 * MIB)


def test_a_write_that_fails_ends_the_upload_with_its_reason() -> None:
    def write(_block: bytearray) -> None:
        raise NoRoomError("full")

    with pytest.raises(NoRoomError):
        anyio.run(transfer.store, request_with(body_of(9 * MIB)), write)


def test_a_sender_that_stalls_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.01)

    with pytest.raises(ApiError) as caught:
        collect(anyio.sleep_forever)
    assert caught.value.status == 408


def test_a_sender_that_leaves_ends_the_upload() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(ApiError) as caught:
        collect(receive)
    assert isinstance(caught.value.__cause__, ClientDisconnect)
