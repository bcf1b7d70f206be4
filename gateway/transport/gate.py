"""The one way to a scheduler: every call is counted, limited, timed and written down.

A scheduler that does not answer is left alone for a while, longer each time. The state is a
value that can be stored, so that ticks from cron keep to the same budget as a daemon.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from gateway.quoting import shell_command
from gateway.transport.base import CallKind, CommandResult, Failure, Transport

logger = logging.getLogger(__name__)

BACKOFF_FIRST_S = 5.0
BACKOFF_LONGEST_S = 300.0
_JITTER = 0.25
_NO_ANSWER = frozenset({Failure.TIMEOUT, Failure.DISCONNECTED, Failure.NOT_ATTEMPTED})
_LOGGED_WORDS = 500


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One scheduler call that was made. ``complaint`` is empty if it went well."""

    cluster: str
    kind: CallKind
    at: float
    seconds: float
    ok: bool
    complaint: str


@dataclass(frozen=True, slots=True)
class GateState:
    """What a gate must remember between processes.

    Parameters
    ----------
    as_of
        When ``tokens`` were counted, seconds since the epoch.
    tokens
        Calls that may be made at once, by kind; a kind that is missing is full.
    failures
        Calls in a row that got no answer.
    retry_at
        No call before this time, seconds since the epoch.
    trouble
        What the last failed call complained of.
    """

    as_of: float = 0.0
    tokens: Mapping[CallKind, float] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        return {
            "as_of": self.as_of,
            "tokens": {kind.value: count for kind, count in self.tokens.items()},
            "failures": self.failures,
            "retry_at": self.retry_at,
            "trouble": self.trouble,
        }

    @classmethod
    def from_json(cls, data: Any) -> GateState:
        """Read what ``to_json`` wrote; a state that cannot be read is a fresh one."""
        try:
            return cls(
                as_of=float(data["as_of"]),
                tokens={CallKind(kind): float(n) for kind, n in data["tokens"].items()},
                failures=max(0, int(data["failures"])),
                retry_at=float(data["retry_at"]),
                trouble=str(data["trouble"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return cls()


def calls_per_minute(status: int) -> dict[CallKind, int]:
    """Return the limits of all kinds; that of bulk status calls is the site's to set.

    The others follow from work that is already bounded, so theirs only stops a runaway.
    """
    others = dict.fromkeys((CallKind.SUBMIT, CallKind.CANCEL, CallKind.FIND, CallKind.QUERY), 60)
    return {**others, CallKind.STATUS: status}


def burst(limit: int) -> int:
    """Return how many calls may come at once under a limit per minute."""
    return max(1, limit // 4)


def refilled(state: GateState, limits: Mapping[CallKind, int], now: float) -> GateState:
    """Return the state at a later time.

    A bucket holds ``burst`` tokens and fills so slowly that no minute sees more than the limit,
    also one that begins with a full bucket. A clock that was set back costs at most the
    present back-off.
    """
    elapsed = max(0.0, now - state.as_of)
    tokens = {}
    for kind, limit in limits.items():
        most = burst(limit)
        had = min(state.tokens.get(kind, most), most)
        tokens[kind] = min(float(most), had + elapsed * (limit - most + 1) / 60.0)
    retry_at = min(state.retry_at, now + BACKOFF_LONGEST_S)
    return replace(state, as_of=now, tokens=tokens, retry_at=retry_at)


def backoff_s(failures: int, jitter: float) -> float:
    """Return how long to leave a scheduler alone after that many failures in a row.

    ``jitter`` between 0 and 1 spreads the gateways of many users apart.
    """
    plain = BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 16)
    return min(BACKOFF_LONGEST_S, plain * (1.0 + _JITTER * jitter))


class ClusterGate:
    """The gate of one cluster; safe to use from several threads.

    Parameters
    ----------
    calls_per_minute
        Limit of each kind; a kind that is missing is not limited.
    clock
        Seconds since the epoch.
    log
        Gets every call that was made.
    state
        What an earlier process left.
    jitter
        Source of numbers between 0 and 1.
    is_silence
        Whether the answer of a command says that the scheduler did not answer it.
    """

    def __init__(
        self,
        cluster: str,
        transport: Transport,
        *,
        calls_per_minute: Mapping[CallKind, int],
        log: Callable[[CallRecord], None],
        clock: Callable[[], float] = time.time,
        state: GateState | None = None,
        jitter: Callable[[], float] = random.random,
        is_silence: Callable[[CommandResult], bool] = lambda _: False,
    ) -> None:
        self._cluster = cluster
        self._transport = transport
        self._limits = dict(calls_per_minute)
        self._log = log
        self._clock = clock
        self._state = self._shared = state or GateState()
        self._spent: Counter[CallKind] = Counter()
        self._jitter = jitter
        self._is_silence = is_silence
        self._lock = Lock()

    def call(
        self,
        kind: CallKind,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        enough: str = "",
    ) -> CommandResult:
        """Run one scheduler command, or say at once that it was not run and why."""
        at = self._clock()
        refusal = self._admit(kind, at)
        if refusal:
            return CommandResult(tuple(argv), None, "", refusal, 0.0, Failure.NOT_ATTEMPTED)
        result = self._transport.run(argv, stdin=stdin, timeout_s=timeout_s, enough=enough)
        self._learn(result)
        complaint = "" if result.ok else result.complaint
        self._log(CallRecord(self._cluster, kind, at, result.seconds, result.ok, complaint))
        _write_down(self._cluster, kind, result)
        return result

    def state(self) -> GateState:
        """Return what the next process should begin with."""
        with self._lock:
            return self._state

    def share(self, known: GateState) -> GateState:
        """Return what all processes should go on with, and go on with it.

        Parameters
        ----------
        known
            What was stored last, by whichever process: what others have spent is spent here too.
        """
        with self._lock:
            now = self._clock()
            mine = refilled(self._state, self._limits, now)
            if known != self._shared:
                theirs = refilled(known, self._limits, now)
                left = {kind: n - self._spent[kind] for kind, n in theirs.tokens.items()}
                tokens = {kind: max(0.0, n) for kind, n in left.items()}
                mine = replace(mine if self._spent else theirs, tokens=tokens)
            self._spent.clear()
            self._state = self._shared = mine
            return mine

    def close(self) -> None:
        """Give back the transport's connections."""
        self._transport.close()

    def _admit(self, kind: CallKind, now: float) -> str:
        """Take a token, or return why there is none."""
        with self._lock:
            self._state = refilled(self._state, self._limits, now)
            wait = self._state.retry_at - now
            if wait > 0:
                failures, trouble = self._state.failures, self._state.trouble
                return f"backing off for {wait:.0f} s after {failures} calls failed: {trouble}"
            if kind not in self._limits:
                return ""
            left = self._state.tokens[kind]
            if left < 1:
                return f"{self._limits[kind]} {kind} calls per minute are used up"
            tokens = {**self._state.tokens, kind: left - 1}
            self._state = replace(self._state, tokens=tokens)
            self._spent[kind] += 1
            return ""

    def _learn(self, result: CommandResult) -> None:
        """Back off after silence; any answer ends the back-off."""
        with self._lock:
            silent = result.failure in _NO_ANSWER or (not result.ok and self._is_silence(result))
            if not silent:
                self._state = replace(self._state, failures=0, retry_at=0.0, trouble="")
                return
            failures = self._state.failures + 1
            pause = backoff_s(failures, self._jitter())
            self._state = replace(
                self._state,
                failures=failures,
                retry_at=self._clock() + pause,
                trouble=result.complaint,
            )


def _write_down(cluster: str, kind: CallKind, result: CommandResult) -> None:
    """Log the command line, never its input, which may hold a user's script."""
    words = shell_command([word.replace("\0", "") for word in result.argv])[:_LOGGED_WORDS]
    outcome = "ok" if result.ok else result.complaint
    level = logging.INFO if result.ok else logging.WARNING
    logger.log(level, "%s %s %.2fs: %s: %s", cluster, kind, result.seconds, words, outcome)
