"""The user's Kerberos ticket: whether it is there, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.tools import Run
from gateway.site.model import HTCondorCluster, Site
from gateway.store.filesystem import filesystem_type
from gateway.vocabulary.units import show_seconds

SHORT_S = 3600.0
_NAME = "Kerberos ticket"
_RENEW = "kinit; for long runs from cron, a keytab or `k5start`"
# MIT in the C locale: "11/20/26 09:00:00  11/20/26 19:00:00  krbtgt/EXAMPLE.ORG@EXAMPLE.ORG".
_MIT = re.compile(
    r"^\s*\S+ \S+\s+(\d\d/\d\d/(?:\d{4}|\d\d) \d\d:\d\d:\d\d)\s+krbtgt/", re.MULTILINE
)
# Heimdal: "Nov 20 09:00:00 2026  Nov 20 19:00:00 2026  krbtgt/...", or ">>>Expired<<<".
_HEIMDAL = re.compile(
    r"^\s*\w{3} +\d+ \S+ \d{4}\s+(\w{3} +\d+ \d\d:\d\d:\d\d \d{4})\s+krbtgt/", re.MULTILINE
)


def credentials(site: Site, run: Run, now: float) -> Iterator[Check]:
    """Judge the ticket; a host without ``klist`` has none, and most sites need none."""
    needed = _who_needs_it(site)
    valid = run(("klist", "-s"))
    if valid.exit_status is None:
        if needed:
            yield warn(_NAME, f"klist is not here, and {needed}", "install the Kerberos tools")
        return
    if not valid.ok:
        if needed:
            yield fail(_NAME, f"none that is valid, and {needed}", _RENEW)
        else:
            yield ok(_NAME, "none, and this site asks for none")
        return
    yield _lifetime(ticket_end(run(("klist",)).stdout), now, bool(needed))


def _who_needs_it(site: Site) -> str:
    for name, settings in site.clusters.items():
        if isinstance(settings, HTCondorCluster) and settings.send_credential:
            return f"cluster {name} has `send_credential`"
    for path in (site.shared_root, site.state_dir):
        if path.parts[:2] == ("/", "afs") or (path.exists() and filesystem_type(path) == "afs"):
            return f"{path} is on AFS"
    return ""


def ticket_end(text: str) -> float | None:
    """Return when the ticket-granting ticket ends, seconds since the epoch, by local time."""
    mit = _MIT.search(text)
    if mit:
        year = "%Y" if len(mit[1].split()[0]) == len("11/20/2026") else "%y"
        return _moment(mit[1], f"%m/%d/{year} %H:%M:%S")
    heimdal = _HEIMDAL.search(text)
    return _moment(" ".join(heimdal[1].split()), "%b %d %H:%M:%S %Y") if heimdal else None


def _moment(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).timestamp()
    except ValueError:
        return None


def _lifetime(end: float | None, now: float, needed: bool) -> Check:
    if end is None:
        return ok(_NAME, "valid; `klist` does not say until when in words that are known")
    left = show_seconds(max(0.0, end - now))
    if needed and end - now < SHORT_S:
        return warn(_NAME, f"valid for {left} only", _RENEW)
    return ok(_NAME, f"valid for {left}")
