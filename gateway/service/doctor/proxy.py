"""The user's X.509 proxy, also with VOMS attributes: whether it is there, and for how long."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.credentials import SHORT_S
from gateway.site.model import HTCondorCluster, Site
from gateway.vocabulary.units import show_seconds

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_NAME = "X.509 proxy"
_RENEW = "voms-proxy-init (or grid-proxy-init), with `-valid` as long as your runs last"
_LONGEST = 1024 * 1024
_VOMS = "1.3.6.1.4.1.8005.100.100.5"
"""The extension with the attribute certificates of VOMS (OGF GFD.182)."""
_TIMES = re.compile(rb"\x18\x0f(\d{14})Z")
"""GeneralizedTime in DER (RFC 5755): begin and end of each attribute certificate, in pairs."""
_WANTS = re.compile(r"\s*(use_)?x509userproxy\s*=(?!\s*false)", re.IGNORECASE)


def proxy(site: Site, environ: Mapping[str, str], now: float) -> Iterator[Check]:
    """Judge the proxy that jobs and tools of this user would take; most sites need none."""
    needed = _who_needs_it(site)
    path = Path(environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}")  # noqa: S108
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(_LONGEST)
    except OSError as error:
        named = f"none at {path} ({error.strerror})"
        if needed:
            yield fail(_NAME, f"{named}, and {needed}", _RENEW)
        else:
            yield ok(_NAME, f"{named}, and this site asks for none")
        return
    if stat.S_IMODE(mode) & 0o077:
        yield warn(f"{_NAME}: file", f"{path} is open to others", f"chmod 600 {path}")
    yield from _judged(path, data, now, needed)


def _who_needs_it(site: Site) -> str:
    for name, settings in site.clusters.items():
        if isinstance(settings, HTCondorCluster) and any(map(_WANTS.match, settings.extra_lines)):
            return f"cluster {name} sends one with its jobs (`extra_lines`)"
    return ""


def _judged(path: Path, data: bytes, now: float, needed: str) -> Iterator[Check]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        chain = load_pem_x509_certificates(data)
        ends = min(each.not_valid_after_utc for each in chain).timestamp()
        attributes = [end for each in chain for end in _attribute_ends(each)]
    except ValueError as error:
        found = f"{path} cannot be read as certificates: {str(error).partition(chr(10))[0]}"
        yield (fail if needed else warn)(_NAME, found, _RENEW)
        return
    words = "with VOMS attributes" if attributes else "without VOMS attributes"
    yield _lifetime(f"{path}, {words}", min([ends, *attributes]), now, needed)


def _attribute_ends(certificate: Certificate) -> list[float]:
    """Return when the attributes in a certificate end, seconds since the epoch."""
    values = [
        each.value.public_bytes()
        for each in certificate.extensions
        if each.oid.dotted_string == _VOMS
    ]
    times = [_TIMES.findall(value)[1::2] for value in values]
    return [_moment(text) for ends in times for text in ends]


def _moment(text: bytes) -> float:
    return datetime.strptime(text.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _lifetime(found: str, end: float, now: float, needed: str) -> Check:
    left = end - now
    if left <= 0:
        words = f"{found}: ended {show_seconds(-left)} ago"
        if needed:
            return fail(_NAME, f"{words}, and {needed}", _RENEW)
        return warn(_NAME, words, _RENEW)
    words = f"{found}: valid for {show_seconds(left)}"
    return warn(_NAME, f"{words} only", _RENEW) if left < SHORT_S else ok(_NAME, words)
