from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import pytest

from gateway.containers.credentials import Credentials
from gateway.containers.failure import ImageUnavailableError
from gateway.containers.reference import parse_registry_name
from gateway.containers.registry import Resolution, resolve
from gateway.errors import ExitCode

DIGEST = "sha256:" + "cd" * 32
LOGIN = Credentials("alice", "pass-word-1")
BASIC = f"Basic {base64.b64encode(b'alice:pass-word-1').decode()}"
MANIFEST = json.dumps({"schemaVersion": 2}).encode()


@dataclass
class Script:
    """How the double answers, and what it was asked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Docker-Content-Digest": DIGEST})
    body: bytes = MANIFEST
    head_allowed: bool = True
    challenge: str = ""
    wants: str = ""
    token_status: int = 200
    token_body: bytes = b'{"token": "the-token"}'
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        script = self.script
        authorization = self.headers.get("Authorization", "")
        script.asked.append((self.command, self.path, authorization))
        if self.path.startswith("/token"):
            self._reply(script.token_status, {}, script.token_body)
        elif script.wants and authorization != script.wants:
            self._reply(401, {"WWW-Authenticate": script.challenge}, b"secret details")
        elif self.command == "HEAD" and not script.head_allowed:
            self._reply(405, {}, b"")
        else:
            self._reply(script.status, script.headers, script.body)

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # Who has read enough hangs up.
                self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    script = Script()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Scripted", (Handler,), {"script": script}))
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def ask(registry: Script, login: Credentials | None = None, tag: str = ":1") -> Resolution:
    return resolve(parse_registry_name(f"{registry.host}/group/image{tag}"), login, timeout_s=5)


def refusal(registry: Script, login: Credentials | None = None) -> ImageUnavailableError:
    with pytest.raises(ImageUnavailableError) as raised:
        ask(registry, login)
    assert f"{registry.host}/group/image:1" in raised.value.message
    assert "pass-word-1" not in raised.value.message + raised.value.hint
    assert "the-token" not in raised.value.message + raised.value.hint
    return raised.value


def test_one_head_request_is_enough(registry: Script) -> None:
    assert ask(registry) == Resolution(DIGEST, plain_http=True)
    assert registry.asked == [("HEAD", "/v2/group/image/manifests/1", "")]


def test_a_digest_is_asked_for_by_itself(registry: Script) -> None:
    ask(registry, tag=f":1@{DIGEST}")
    assert registry.asked[0][1] == f"/v2/group/image/manifests/{DIGEST}"


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": "sha256:short"}])
def test_without_the_header_the_digest_is_computed(
    registry: Script, headers: dict[str, str]
) -> None:
    registry.headers = headers
    assert ask(registry).digest == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


def test_a_registry_that_knows_no_head_is_asked_with_get(registry: Script) -> None:
    registry.head_allowed = False
    assert ask(registry).digest == DIGEST
    assert [method for method, _, _ in registry.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("login", [None, LOGIN])
@pytest.mark.parametrize("body", [b'{"token": "the-token"}', b'{"access_token": "the-token"}'])
def test_a_token_is_fetched_and_shown(
    registry: Script, login: Credentials | None, body: bytes
) -> None:
    registry.wants, registry.token_body = "Bearer the-token", body
    registry.challenge = (
        f'Bearer realm="http://{registry.host}/token",service="the registry",'
        'scope="repository:group/image:pull"'
    )
    assert ask(registry, login).digest == DIGEST
    token = registry.asked[1]
    assert token[:2] == (
        "GET", "/token?service=the+registry&scope=repository%3Agroup%2Fimage%3Apull",
    )  # fmt: skip
    assert token[2] == (BASIC if login else "")
    assert [one[2] for one in registry.asked[::2]] == ["", "Bearer the-token"]


def test_basic_authentication(registry: Script) -> None:
    registry.wants, registry.challenge = BASIC, 'Basic realm="x"'
    assert ask(registry, LOGIN).digest == DIGEST
    assert refusal(registry).permanent


def test_a_login_that_the_token_server_refuses(registry: Script) -> None:
    registry.wants, registry.token_status = "Bearer the-token", 401
    registry.challenge = f'Bearer realm="http://{registry.host}/token"'
    error = refusal(registry, LOGIN)
    assert error.permanent
    assert "login of alice" in error.message
    assert "registry login" in error.hint


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 3}', b'{"token": "a\\nb: c"}'])
def test_a_token_server_that_talks_nonsense(registry: Script, body: bytes) -> None:
    registry.wants, registry.token_body = "Bearer the-token", body
    registry.challenge = f'Bearer realm="http://{registry.host}/token"'
    assert "no token" in refusal(registry).message


@pytest.mark.parametrize(
    ("status", "permanent", "word"),
    [
        (404, True, "no such image"),
        (401, True, "may not read it"),
        (403, True, "may not read it"),
        (429, False, "too many requests"),
        (500, False, "500"),
        (503, False, "503"),
        (408, False, "408"),
        (418, True, "418"),
    ],
)
def test_an_error_status_in_words(
    registry: Script, status: int, permanent: bool, word: str
) -> None:
    registry.status, registry.headers = status, {}
    error = refusal(registry)
    assert word in error.message
    assert error.permanent == permanent
    assert error.exit_code == (ExitCode.SITE if permanent else ExitCode.UNREACHABLE)


def test_a_rate_limit_says_how_long_to_wait(registry: Script) -> None:
    registry.status, registry.headers = 429, {"Retry-After": "90"}
    assert refusal(registry).retry_after_s == 90
    registry.headers = {"Retry-After": "tomorrow"}
    assert refusal(registry).retry_after_s == 0


def test_authorization_does_not_follow_a_redirect(registry: Script) -> None:
    elsewhere = Script()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Elsewhere", (Handler,), {"script": elsewhere})
    )
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        registry.wants, registry.challenge, registry.status = BASIC, "Basic", 307
        registry.headers = {"Location": f"http://127.0.0.1:{server.server_address[1]}/moved"}
        assert ask(registry, LOGIN).digest == DIGEST
        server.shutdown()
        thread.join()
    assert [one[1:] for one in elsewhere.asked] == [("/moved", "")]


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        script = Script(port=probe.getsockname()[1])
    error = refusal(script)
    assert not error.permanent
    assert "Connection refused" in error.message


class Failing:
    """An opener whose every request fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.urls: list[str] = []

    def open(self, fullurl: Request, *, timeout: float) -> Any:
        self.urls.append(fullurl.full_url)
        raise self.error


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "permanent", "word"),
    [
        (URLError(socket.gaierror(socket.EAI_NONAME, "x")), True, "no host ghcr.io"),
        (URLError(socket.gaierror(socket.EAI_AGAIN, "x")), False, "no host ghcr.io"),
        (URLError(certificate_error()), True, "self-signed certificate"),
        (URLError(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x")), False, "no TLS"),
        (URLError(TimeoutError()), False, "within 5 s"),
        (TimeoutError("The read operation timed out"), False, "within 5 s"),
        (URLError(ConnectionResetError(104, "Connection reset by peer")), False, "reset"),
        (URLError(OSError("Tunnel connection failed: 403 Forbidden")), False, "403 Forbidden"),
        (ValueError("nonsense in the answer"), False, "nonsense"),
    ],
)
def test_a_registry_out_of_reach_in_words(error: Exception, permanent: bool, word: str) -> None:
    opener = Failing(error)
    with pytest.raises(ImageUnavailableError, match=word) as raised:
        resolve(parse_registry_name("ghcr.io/a/b"), LOGIN, timeout_s=5, opener=opener)
    assert raised.value.permanent == permanent
    assert opener.urls == ["https://ghcr.io/v2/a/b/manifests/latest"]


def test_docker_hub_has_another_host() -> None:
    opener = Failing(TimeoutError())
    with pytest.raises(ImageUnavailableError, match=r"docker\.io/library/python:3"):
        resolve(parse_registry_name("python:3"), None, opener=opener)
    assert opener.urls == ["https://registry-1.docker.io/v2/library/python/manifests/3"]


def test_a_login_is_never_sent_without_tls_for_a_registry_with_tls() -> None:
    class Challenging(Failing):
        def open(self, fullurl: Request, *, timeout: float) -> Any:
            self.urls.append(fullurl.full_url)
            headers = {"WWW-Authenticate": 'Bearer realm="http://elsewhere/token"'}
            return Reply(401, headers)

    @dataclass
    class Reply:
        status: int
        headers: dict[str, str]

        def read(self, _: int) -> bytes:
            return b""

        def __enter__(self) -> Reply:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    opener = Challenging(Exception())
    with pytest.raises(ImageUnavailableError, match="without TLS"):
        resolve(parse_registry_name("ghcr.io/a/b"), LOGIN, opener=opener)
    assert len(opener.urls) == 1


def test_an_endless_answer_is_not_read(registry: Script) -> None:
    registry.head_allowed, registry.body = False, b" " * (5 * 1024 * 1024)
    assert "longer than any manifest" in refusal(registry).message
