"""The event log of a submission, as text; pure.

HTCondor writes it into the control directory, so reading it costs the scheduler nothing. Its
format: HTCondor Manual, "Job Event Log Codes". Kinds of events that say nothing about the state
of a job, and everything that cannot be read, are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.submitters.htcondor import states
from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState, Source

SUBMIT, EXECUTE, EVICTED, TERMINATED, IMAGE_SIZE, SHADOW_EXCEPTION = 0, 1, 4, 5, 6, 7
ABORTED, SUSPENDED, UNSUSPENDED, HELD, RELEASED = 9, 10, 11, 12, 13
DISCONNECTED, RECONNECTED, RECONNECT_FAILED = 22, 23, 24

_HEADER = re.compile(
    r"(?P<kind>\d{3}) \((?P<cluster>\d+)\.(?P<proc>\d+)\.\d+\) "
    r"(?P<date>\d{4}-\d\d-\d\d|\d\d/\d\d)[ T](?P<clock>\d\d:\d\d:\d\d)(?:\.\d+)?(?P<utc>Z?)"
    r" (?P<title>.*)"
)
_END = re.compile(rb"(?:^|\n)\.\.\.\r?\n")
_RETURN_VALUE = re.compile(r"Normal termination \(return value (-?\d+)\)")
_SIGNAL = re.compile(r"Abnormal termination \(signal (\d+)\)")
_HOLD_CODE = re.compile(r"Code (\d+)(?: Subcode (\d+))?")
_SLOT = re.compile(r"SlotName: (\S+)")
_ALIAS = re.compile(r"[?&]alias=([^&>]+)")
_HOST = re.compile(r"on host: <?([^:>?\s]+)")
_USED_KIB = re.compile(r"(\d+)  -  ResidentSetSize of job \(KB\)")
_USED_MIB = re.compile(r"(\d+)  -  MemoryUsage of job \(MB\)")
_CPU = re.compile(
    r"Usr (\d+) (\d+):(\d+):(\d+), Sys (\d+) (\d+):(\d+):(\d+)  -  Total Remote Usage"
)

_FINAL = (SchedulerState.COMPLETED, SchedulerState.FAILED, SchedulerState.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, its job, when it happened, and its lines."""

    kind: int
    cluster: int
    proc: int
    at: float | None
    title: str
    body: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines after the title."""
        return "\n".join(self.body)


def split_events(data: bytes) -> tuple[list[str], int]:
    """Return the whole events in ``data``, and how many bytes they take.

    What follows is the beginning of an event that is still being written.
    """
    events, begin = [], 0
    for end in _END.finditer(data):
        events.append(data[begin : end.start()].decode("utf-8", "replace"))
        begin = end.end()
    return events, begin


def parse_event(text: str, year: int) -> Event | None:
    """Read one event; ``year`` is that of logs which do not write it."""
    head, *body = text.strip("\n").split("\n")
    match = _HEADER.match(head)
    if match is None:
        return None
    lines = tuple(line.strip() for line in body)
    kind, cluster, proc = (int(match[name]) for name in ("kind", "cluster", "proc"))
    return Event(kind, cluster, proc, _seconds(match, year), match["title"], lines)


def _seconds(match: re.Match[str], year: int) -> float | None:
    """Return the time of an event; without a zone it is the local time of the schedd's host."""
    date = match["date"]
    if "/" in date:
        date = f"{year}-{date.replace('/', '-')}"
    try:
        moment = datetime.fromisoformat(
            f"{date}T{match['clock']}{'+00:00' if match['utc'] else ''}"
        )
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(slots=True)
class JobTrace:
    """What the events of one job add up to."""

    cluster: int
    proc: int
    state: SchedulerState = SchedulerState.UNKNOWN
    raw: str = ""
    reason: str = ""
    hold: HoldCode | None = None
    exit_code: int | None = None
    signal: int | None = None
    starts: int = 0
    node: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    max_rss_mib: int | None = None
    cpu_s: float | None = None
    last_at: float | None = None
    """When the last event happened, of whatever kind."""
    said_at: float | None = None
    """The latest moment that the last event may speak of."""

    def add(self, event: Event) -> None:
        """Take in the next event."""
        self.last_at = self.said_at = event.at
        # Times are whole seconds, cut off. Nothing can come before a submission.
        if event.at is not None and event.kind != SUBMIT:
            self.said_at = event.at + 1.0
        change = _CHANGES.get(event.kind)
        if change is None:
            return
        if event.kind != IMAGE_SIZE:
            self.raw = f"{event.kind:03d} {event.title}"
        change(self, event)

    def observation(self, now: float) -> Observation:
        """Return what is known now; of a living job, as of its last event.

        The log is written after the queue knows: the queue may have said more since then.
        """
        news = self.state.is_terminal or self.said_at is None
        return Observation(
            state=self.state,
            raw=self.raw,
            source=Source.EVENT_LOG,
            observed_at=now if news else min(now, self.said_at or now),
            native_id=f"{self.cluster}.{self.proc}",
            reason=self.reason,
            hold=self.hold,
            exit_code=self.exit_code,
            signal=self.signal,
            restart_count=self.starts - 1 if self.starts else None,
            node=self.node,
            started_at=self.started_at,
            finished_at=self.finished_at,
            max_rss_mib=self.max_rss_mib,
            cpu_s=self.cpu_s,
        )

    def _to(self, state: SchedulerState, reason: str = "") -> None:
        self.state, self.reason, self.hold = state, reason, None


def _submitted(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.PENDING)


def _executing(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.RUNNING)
    trace.starts += 1
    trace.started_at = event.at
    slot = _SLOT.search(event.text)
    host = _ALIAS.search(event.title) or _HOST.search(event.title)
    trace.node = states.node_of_slot(slot[1]) if slot else (host[1] if host else "")


def _waiting_again(trace: JobTrace, event: Event) -> None:
    lines = [line.removeprefix("Reason: ") for line in event.body if line.startswith("Reason: ")]
    trace._to(SchedulerState.PENDING, lines[0] if lines else event.title)


def _thrown_back(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.PENDING, " ".join(event.body[:2]) or event.title)


def _terminated(trace: JobTrace, event: Event) -> None:
    code, signal = _RETURN_VALUE.search(event.text), _SIGNAL.search(event.text)
    if not (code or signal):
        return
    trace.exit_code = int(code[1]) if code else None
    trace.signal = int(signal[1]) if signal else None
    trace._to(states.ended_state(trace.exit_code, trace.signal))
    trace.finished_at = event.at
    cpu = _CPU.search(event.text)
    trace.cpu_s = _cpu_seconds(cpu) if cpu else None


def _cpu_seconds(match: re.Match[str]) -> float:
    numbers = [int(part) for part in match.groups()]
    spans = (numbers[:4], numbers[4:])
    return float(sum(((d * 24 + h) * 60 + m) * 60 + s for d, h, m, s in spans))


def _measured(trace: JobTrace, event: Event) -> None:
    kib, mib = _USED_KIB.search(event.text), _USED_MIB.search(event.text)
    used = max(int(kib[1]) // 1024 if kib else 0, int(mib[1]) if mib else 0)
    if kib or mib:
        trace.max_rss_mib = max(trace.max_rss_mib or 0, used)


def _aborted(trace: JobTrace, event: Event) -> None:
    # An ended job stays in the queue for a while; taking it away there changes nothing.
    if trace.state in _FINAL:
        return
    trace.finished_at = event.at
    reason = " ".join(event.body) or event.title
    trace._to(states.removed_state(reason), reason)


def _suspended(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.SUSPENDED)


def _running_on(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.RUNNING)


def _disconnected(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.RUNNING, f"{event.title}: {' '.join(event.body[:1])}")


def _held(trace: JobTrace, event: Event) -> None:
    code = _HOLD_CODE.search(event.body[-1]) if event.body else None
    hold = HoldCode(int(code[1]), int(code[2] or 0)) if code else None
    trace._to(states.held_state(hold), " ".join(event.body[:-1] if code else event.body))
    trace.hold = hold


def _released(trace: JobTrace, event: Event) -> None:
    trace._to(SchedulerState.PENDING)


_CHANGES = {
    SUBMIT: _submitted,
    EXECUTE: _executing,
    EVICTED: _waiting_again,
    TERMINATED: _terminated,
    IMAGE_SIZE: _measured,
    SHADOW_EXCEPTION: _thrown_back,
    ABORTED: _aborted,
    SUSPENDED: _suspended,
    UNSUSPENDED: _running_on,
    HELD: _held,
    RELEASED: _released,
    DISCONNECTED: _disconnected,
    RECONNECTED: _running_on,
    RECONNECT_FAILED: _thrown_back,
}


@dataclass(slots=True)
class LogTrace:
    """What an event log adds up to, job by job; can be continued."""

    jobs: dict[tuple[int, int], JobTrace] = field(default_factory=dict)

    def add(self, data: bytes, year: int) -> int:
        """Take in more of the log; return how many bytes were whole events."""
        events, used = split_events(data)
        for text in events:
            event = parse_event(text, year)
            if event:
                where = (event.cluster, event.proc)
                self.jobs.setdefault(where, JobTrace(*where)).add(event)
        return used

    def clusters(self) -> Iterator[int]:
        """Yield the clusters that the log tells of, in its order."""
        return iter(dict.fromkeys(cluster for cluster, _ in self.jobs))
