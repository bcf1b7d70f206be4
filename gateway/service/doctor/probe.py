"""Probe jobs: one real job for each cluster, all at once, and what their way back shows."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway.core.probe import Fate, Probe, ProbeReport
from gateway.service.doctor.check import Check, Level, fail, ok, warn
from gateway.service.doctor.node import judge_node, look_launch, parse_look
from gateway.service.doctor.tools import Endpoint
from gateway.service.doctor.trial_image import TrialImage
from gateway.site.model import Site
from gateway.vocabulary.units import show_seconds

SKEW_S = 5.0
HARMFUL_SKEW_S = 60.0
"""Less than what a second witness has to become visible (``Patience.settle_s``)."""
SLOW_S = 30.0
_BY_HAND = "submit a small job by hand with the same account, partition and directory"
_FIXES = {
    Fate.REFUSED: "correct the settings of the cluster in the site file; the words say which",
    Fate.NO_ROOM: "try again later; if it stays so, read the words",
    Fate.NO_ANSWER: "is the scheduler up? `gateway doctor` again in a minute",
    Fate.LATE: "nothing, if the cluster is full; else see the reason; `--timeout` waits longer",
    Fate.FAILED: "do worker nodes see `shared_root` under the same path? " + _BY_HAND,
}
_LEVELS = {
    Fate.REFUSED: Level.FAIL,
    Fate.NO_ROOM: Level.WARN,
    Fate.NO_ANSWER: Level.WARN,
    Fate.LATE: Level.WARN,
    Fate.FAILED: Level.FAIL,
}


def probe_all(
    site: Site,
    image: TrialImage,
    endpoints: Sequence[Endpoint],
    timeout_s: float,
    clock: Callable[[], float],
) -> Iterator[Check]:
    """Send one job to each cluster and judge what comes back.

    An exception that ends the wait (Ctrl-C) has the jobs removed first.
    """
    enough = threading.Event()

    def send(endpoint: Endpoint) -> ProbeReport:
        directory = site.control / f"gw{secrets.token_hex(8)}"
        launch = look_launch(site, image, directory)
        probe = Probe(
            endpoint.cluster,
            directory,
            launch,
            timeout_s,
            clock=clock,
            told_to_end=enough.is_set,
            rest=time.sleep,
        )
        return probe.run()

    if not endpoints:
        return
    with ThreadPoolExecutor(max_workers=len(endpoints)) as pool:
        try:
            for endpoint, report in zip(endpoints, pool.map(send, endpoints), strict=True):
                yield from judge_probe(endpoint.cluster.name, report, site, image)
        finally:
            enough.set()


def judge_probe(name: str, report: ProbeReport, site: Site, image: TrialImage) -> Iterator[Check]:
    """Say what the way of one probe shows."""
    title = f"cluster {name}: probe job"
    if report.fate is Fate.CAME_BACK:
        yield from _came_back(name, report, site, image)
    else:
        job = f"job {report.native_id}: " if report.native_id else ""
        words = f"{report.fate.value}: {job}{report.words}"
        yield Check(title, _LEVELS[report.fate], words, _FIXES[report.fate])
    if report.left:
        yield warn(f"{title}, remains", report.left, "remove it by hand")


def _came_back(name: str, report: ProbeReport, site: Site, image: TrialImage) -> Iterator[Check]:
    claim, record = report.claim, report.record
    assert record is not None
    node = claim.node if claim else record.node
    started = (report.claim_seen_at or report.record_seen_at or report.called_at) - report.called_at
    yield ok(
        f"cluster {name}: probe job",
        f"job {report.native_id} ran on {node}, started {show_seconds(started)} after submission",
    )
    yield _visibility(name, report)
    yield _clock(name, report)
    yield from judge_node(parse_look(report.output), f"on {node} of {name}", site, image)


def skew(report: ProbeReport) -> tuple[float, float]:
    """Return between which bounds the node's clock is ahead of ours, in seconds.

    The claim was written after our call and before we saw it, the exit record before we saw it.
    """
    assert report.record is not None
    assert report.record_seen_at is not None
    begun = report.claim.claimed_at if report.claim else report.record.started_at
    seen = report.claim_seen_at if report.claim_seen_at is not None else report.record_seen_at
    least = max(begun - seen, report.record.finished_at - report.record_seen_at)
    return least, begun - report.called_at


def _clock(name: str, report: ProbeReport) -> Check:
    least, most = skew(report)
    title = f"cluster {name}: clock"
    off = max(0.0, least, -most)
    if off <= SKEW_S:
        return ok(title, f"agrees with that of the node, as far as can be seen ({off:.1f} s off)")
    direction = "ahead of" if least > 0 else "behind"
    found = f"the node's clock is at least {off:.0f} s {direction} ours"
    fix = "ask for NTP on both; Kerberos and file times need it too"
    return fail(title, found, fix) if off > HARMFUL_SKEW_S else warn(title, found, fix)


def _visibility(name: str, report: ProbeReport) -> Check:
    """Judge how long a file of the node took to be seen here, by both clocks."""
    assert report.record is not None
    assert report.record_seen_at is not None
    waited = max(0.0, report.record_seen_at - report.record.finished_at)
    title = f"cluster {name}: shared filesystem"
    found = f"the node saw our files; its exit record was seen here after {show_seconds(waited)}"
    if waited > SLOW_S:
        fix = "cached file attributes (NFS `acregmax`), or clocks that disagree; ends are seen late"
        return warn(title, found, fix)
    return ok(title, found)
