"""X.509 proxies as the doctor sees them; the certificates are made here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.service.doctor.check import Check, Level
from gateway.service.doctor.proxy import proxy
from gateway.site.model import Site

NOW = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = ec.generate_private_key(ec.SECP256R1())
VOMS = x509.ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")


def certificate(ends: datetime, attributes_end: datetime | None = None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW - 48 * HOUR)
        .not_valid_after(ends)
    )
    if attributes_end:
        times = b"".join(
            b"\x18\x0f" + each.strftime("%Y%m%d%H%M%SZ").encode()
            for each in (NOW - HOUR, attributes_end)
        )
        extension = x509.UnrecognizedExtension(VOMS, b"\x30\x22" + times)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM)


def private_key() -> bytes:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def judged(path: Path, *lines: str) -> list[Check]:
    cluster = {"type": "htcondor", "extra_lines": list(lines)}
    site = Site.model_validate({"shared_root": "/s", "clusters": {"main": cluster}})
    return list(proxy(site, {"X509_USER_PROXY": str(path)}, NOW.timestamp()))


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("first", "second", "level", "words"),
    [
        (12 * HOUR, 400 * HOUR, Level.OK, "valid for 12h"),
        (400 * HOUR, 12 * HOUR, Level.OK, "valid for 12h"),
        (HOUR / 2, 400 * HOUR, Level.WARN, "valid for 30m 0s only"),
        (-HOUR, 400 * HOUR, Level.WARN, "ended 1h"),
    ],
)
def test_the_certificate_that_ends_first_counts(
    tmp_path: Path, first: timedelta, second: timedelta, level: Level, words: str
) -> None:
    chain = (certificate(NOW + first), private_key(), certificate(NOW + second))
    (check,) = judged(write(tmp_path / "proxy", *chain))
    assert check.level is level
    assert words in check.found
    assert "without VOMS attributes" in check.found


@pytest.mark.parametrize(
    ("attributes_end", "level"), [(HOUR * 5, Level.OK), (HOUR / 6, Level.WARN)]
)
def test_voms_attributes_may_end_before_their_proxy(
    tmp_path: Path, attributes_end: timedelta, level: Level
) -> None:
    text = certificate(NOW + 24 * HOUR, NOW + attributes_end)
    (check,) = judged(write(tmp_path / "proxy", text))
    assert check.level is level
    assert ", with VOMS attributes" in check.found


def test_no_proxy_is_fine_where_none_is_needed(tmp_path: Path) -> None:
    (check,) = judged(tmp_path / "none")
    assert check.level is Level.OK
    assert "this site asks for none" in check.found


@pytest.mark.parametrize(
    "line", ["use_x509userproxy = true", "x509userproxy = /tmp/p", "X509UserProxy=$ENV(P)"]
)
def test_a_cluster_that_sends_a_proxy_needs_one(tmp_path: Path, line: str) -> None:
    (missing,) = judged(tmp_path / "none", line)
    assert (missing.level, "cluster main" in missing.found) == (Level.FAIL, True)
    (ended,) = judged(write(tmp_path / "proxy", certificate(NOW - HOUR)), line)
    assert ended.level is Level.FAIL
    assert "voms-proxy-init" in ended.fix


def test_a_cluster_that_sends_none_needs_none(tmp_path: Path) -> None:
    (check,) = judged(tmp_path / "none", "use_x509userproxy = False", "+x = 1")
    assert check.level is Level.OK


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\x00", private_key()])
def test_a_file_that_holds_no_certificate(tmp_path: Path, content: bytes) -> None:
    (check,) = judged(write(tmp_path / "proxy", content))
    assert check.level is Level.WARN
    assert "cannot be read as certificates" in check.found


def test_a_proxy_that_others_can_read(tmp_path: Path) -> None:
    path = write(tmp_path / "proxy", certificate(NOW + 12 * HOUR))
    path.chmod(0o644)
    file, lifetime = judged(path)
    assert (file.level, lifetime.level) == (Level.WARN, Level.OK)
    assert "chmod 600" in file.fix
