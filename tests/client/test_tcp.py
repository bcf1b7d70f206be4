"""Over TCP: tokens, certificates, busy servers, and servers that are something else."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.api.application import create_api
from gateway.api.server import Listener, Tcp
from gateway.client import Client, connect
from gateway.client.http import Wire
from gateway.errors import ConflictError, GatewayError, SiteError, UnreachableError, UsageError
from tests.client.conftest import SPEC, Served


def self_signed(directory: Path) -> Path:
    """Write key and certificate of 127.0.0.1 into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = directory / "gateway.pem"
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_certificates_are_checked_unless_told_otherwise(served: Served, tmp_path: Path) -> None:
    file = self_signed(tmp_path)
    tcp = Tcp("127.0.0.1", 0, certificate=file)
    with Listener(create_api(served.app), tcp, None) as listener:
        url = listener.url
        with Client.tcp(url, served.token) as client:
            with pytest.raises(SiteError, match="not trusted: self-signed") as refused:
                client.ping()
            assert "verify=" in refused.value.hint
        with Client.tcp(url, served.token, verify=file) as client:
            assert client.create(SPEC, "w").full_name == "w.1"
        with Client.tcp(url, served.token, verify=False) as client:
            assert client.status("w").full_name == "w.1"
    with pytest.raises(UsageError, match="certificates"):
        Client.tcp(url, served.token, verify=tmp_path / "absent.pem")


def test_the_environment_names_server_and_token(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REANA_SERVER_URL", f" {served.url}/ ")
    monkeypatch.setenv("REANA_ACCESS_TOKEN", served.token)
    with connect() as client:
        assert client.wire.where == served.url
        assert client.ping().server_version


def test_without_any_name_it_is_the_gateway_beside_us(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REANA_SERVER_URL", "GATEWAY_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GATEWAY_SITE", str(served.site))
    with connect() as client:
        assert client.wire.where == str(served.socket)
    with pytest.raises(UsageError, match="name one place"):
        connect(host="a", url="b")
    with pytest.raises(UnreachableError, match="no gateway serves here") as refused:
        Client.local(socket=served.root / "absent.sock")
    assert "gateway serve" in refused.value.hint


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("", "t", "no gateway was named"),
        ("localhost:80", "t", "is no address of a gateway"),
        ("http://[", "t", "is no address of a gateway"),
        ("http://127.0.0.1:1", "", "there is no token"),
    ],
)
def test_half_an_address_is_refused(
    url: str, token: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REANA_SERVER_URL", "REANA_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=words):
        Client.tcp(url, token)


def test_a_wrong_token_is_told_with_what_to_do(served: Served) -> None:
    with (
        Client.tcp(served.url, "wrong") as client,
        pytest.raises(UsageError, match=r"does not let us in: Token not valid\.") as refused,
    ):
        client.ping()
    assert "REANA_ACCESS_TOKEN" in refused.value.hint


Answer = Callable[[httpx2.Request], httpx2.Response]


def wire(answer: Answer) -> tuple[Client, list[float], list[httpx2.Request]]:
    """Return a client of a server that answers as told, its rests and the requests."""
    seen: list[httpx2.Request] = []

    def note(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answer(request)

    rests: list[float] = []
    http = httpx2.Client(transport=httpx2.MockTransport(note), base_url="http://gateway")
    return Client(Wire(http, "there", sleep=rests.append)), rests, seen


def busy(status: int, wait: str | None) -> Answer:
    headers = {} if wait is None else {"Retry-After": wait}
    return lambda _: httpx2.Response(status, headers=headers, json={"message": "busy"})


def test_a_busy_server_is_asked_again_when_it_said() -> None:
    client, rests, seen = wire(busy(503, "2"))
    with client, pytest.raises(UnreachableError, match="busy"):
        client.ping()
    assert (rests, len(seen)) == ([2.0, 2.0, 3.0], 4)


@pytest.mark.parametrize(
    ("status", "wait", "ask", "tries"),
    [
        (503, "600", lambda c: c.ping(), 1),
        (503, None, lambda c: c.start("w"), 1),
        (429, "1", lambda c: c.start("w"), 4),
        (502, None, lambda c: c.ping(), 4),
        (500, None, lambda c: c.ping(), 1),
    ],
)
def test_it_is_asked_again_only_where_that_is_safe_and_soon(
    status: int, wait: str | None, ask: Callable[[Client], object], tries: int
) -> None:
    client, _, seen = wire(busy(status, wait))
    with client, pytest.raises(GatewayError, match="busy"):
        ask(client)
    assert len(seen) == tries


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        (httpx2.Response(200, text="<html>hello</html>"), UnreachableError, "is no JSON: <html>"),
        (httpx2.Response(404, text="<html>"), GatewayError, "answered with status 404: <html>"),
        (httpx2.Response(302, headers={"Location": "http://evil"}), GatewayError, "302"),
        (httpx2.Response(500, json=["x"]), GatewayError, "500"),
        (
            httpx2.Response(403, json={"message": "REANA_WORKON is set to x, but that"}),
            GatewayError,
            "there is no workflow 'x'",
        ),
        (
            httpx2.Response(403, json={"message": "Workflow x.1 is already running"}),
            ConflictError,
            "already running",
        ),
    ],
)
def test_other_servers_are_understood_as_far_as_possible(
    response: httpx2.Response, kind: type[Exception], words: str
) -> None:
    client, _, _ = wire(lambda _: response)
    with client, pytest.raises(kind, match=words):
        client.ping()


def test_the_token_goes_in_no_url() -> None:
    client, _, seen = wire(lambda _: httpx2.Response(200, json={}))
    with client:
        client.ping()
        assert "token" not in str(seen[0].url)
