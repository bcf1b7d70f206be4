"""The state of the gateway: its directory, database, driver, and the traffic it has made."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.core.ledger import avoided_nodes
from gateway.core.nodes import Avoided
from gateway.errors import GatewayError
from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.tools import Tools
from gateway.site.model import ClusterBase, Site
from gateway.store.filesystem import filesystem_type, journal_mode, locks_work
from gateway.store.store import Store
from gateway.vocabulary.records import ClusterState, Lease
from gateway.vocabulary.units import show_seconds

WINDOW_MINUTES = 60
_DIRECTORY, _DATABASE, _DRIVER = "state directory", "database", "driver"


def state(site: Site, tools: Tools) -> Iterator[Check]:
    """Examine where the gateway remembers things, and what it remembers of its own doing."""
    yield _directory(site)
    try:
        store = tools.store()
        with store.read() as transaction:
            number = transaction.workflows.count_active()
        yield ok(_DATABASE, f"answers, {number} active workflows")
        yield driver(_lease(store), number, tools.clock(), socket.gethostname())
        yield from _traffic(site, store, tools.clock())
    except GatewayError as error:
        yield fail(_DATABASE, error.message, error.hint)


def _directory(site: Site) -> Check:
    directory = site.state_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        working = locks_work(directory)
    except OSError as error:
        return fail(
            _DIRECTORY,
            f"{directory}: {error.strerror}",
            "set `state_dir` to a directory of yours on a local disk",
        )
    kind = filesystem_type(directory) or "unknown"
    found = f"{directory} on {kind}, journal {journal_mode(directory)}"
    if not working:
        return fail(_DIRECTORY, f"{found}: locks do not work", "use a local disk")
    if kind in ("afs", "nfs", "nfs4", "fuse.sshfs"):
        return warn(
            _DIRECTORY,
            f"{found}: locks work between processes of this host; between hosts is not known",
            "drive from one host only, use a local disk, or PostgreSQL (`database`)",
        )
    return ok(_DIRECTORY, found)


def _lease(store: Store) -> Lease | None:
    with store.read() as transaction:
        return transaction.leases.current()


def driver(lease: Lease | None, active: int, now: float, host: str) -> Check:
    """Say who drives now."""
    if lease is not None and _drives(lease, now, host):
        age = show_seconds(max(0.0, now - lease.heartbeat_at))
        return ok(
            _DRIVER,
            f"`gateway {lease.purpose}` on {lease.host}, process {lease.pid}, last seen {age} ago",
        )
    if active:
        return warn(
            _DRIVER,
            f"nobody drives {active} active workflows now",
            "start `gateway serve`, or call `gateway tick` from cron every minute",
        )
    return ok(_DRIVER, "nobody drives now, and nothing has to be driven")


def _drives(lease: Lease, now: float, host: str) -> bool:
    gone = lease.host == host and not Path(f"/proc/{lease.pid}").exists()
    return lease.pid != 0 and not gone and now < lease.expires_at


def _traffic(site: Site, store: Store, now: float) -> Iterator[Check]:
    with store.read() as transaction:
        made = transaction.clusters.calls_since(int(now // 60) - WINDOW_MINUTES)
        known = {name: transaction.clusters.get(name) for name in site.clusters}
        nodes = {name: avoided_nodes(transaction, name, now) for name in site.clusters}
    for name, settings in site.clusters.items():
        if settings.type != "local":
            yield calls(name, settings, made.get(name, {}))
            yield from blocked(known[name], now)
        yield from bad_nodes(name, nodes[name], now)


def calls(name: str, settings: ClusterBase, made: Mapping[str, tuple[int, int, int]]) -> Check:
    """Compare the calls of the last hour with the budget."""
    number = sum(count for count, _, _ in made.values())
    failures = sum(count for _, count, _ in made.values())
    peak, budget = made.get("status", (0, 0, 0))[2], settings.status_calls_per_minute
    title = f"cluster {name}: calls"
    found = (
        f"{number} in the last hour, {failures} failed; most status calls in a minute: {peak}, "
        f"the budget is {budget}"
    )
    if peak > budget:
        fix = "several gateways use one cluster at once, or the budget was lowered: drive with one"
        return warn(title, found, fix)
    if number >= 10 and failures * 2 > number:
        return warn(title, found, f"look at the scheduler: `gateway cluster list`, `{name}`")
    return ok(title, found)


def blocked(known: ClusterState, now: float) -> Iterator[Check]:
    """Say that a cluster takes nothing at the moment."""
    if known.blocked_until is not None and now < known.blocked_until:
        yield warn(
            f"cluster {known.name}: submission",
            f"takes nothing for {show_seconds(known.blocked_until - now)}: {known.blocked_reason}",
            "nothing, if it is full; else what the words say",
        )


def bad_nodes(name: str, nodes: Sequence[Avoided], now: float) -> Iterator[Check]:
    """Say which nodes eat jobs."""
    for each in nodes:
        left = show_seconds(max(0.0, each.until - now))
        yield warn(
            f"cluster {name}: node {each.node}",
            f"avoided for another {left}: {each.words}",
            "tell those who run the cluster; `gateway explain JOB` shows what the jobs met there",
        )
