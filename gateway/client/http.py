"""Requests with time-outs, and repeated where that is safe.

Safe to repeat is what asks only, what the server knows by a key, and what provably was not sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway.client.answers import lost, refusal, untrusted
from gateway.errors import GatewayError, SiteError, UnreachableError, UsageError

if TYPE_CHECKING:
    import httpx2

PAUSES_S = (0.3, 1.0, 3.0)
"""Rests between tries; there is one try more than rests."""
LONGEST_WAIT_S = 10.0
"""A server that wants us to come back later than this is not waited for."""
KEEPALIVE_S = 20.0
"""Shorter than the server's 30 s, so that no request meets a connection that is being closed."""
LARGEST_ANSWER = 256 * 1024 * 1024
_BUSY = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds: for a connection, and for the next byte of an answer."""

    connect: float = 15.0
    read: float = 120.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Parameters
    ----------
    body
        Sent as JSON unless it is ``None``.
    content
        Makes the bytes of the body anew for each try.
    repeatable
        Whether doing it twice is the same as doing it once.
    """

    method: str
    path: str
    query: Mapping[str, str | int | bool] = field(default_factory=dict)
    body: Any = None
    content: Callable[[], Iterable[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False


def workflow_path(workflow: str, prefix: str = "/api/workflows") -> str:
    """Return the path of a workflow, by name, name.run or id.

    Raises
    ------
    UsageError
        If the name is empty, which would be the path of something else.
    """
    if not workflow:
        raise UsageError("no workflow was named")
    return f"{prefix}/{quote(workflow, safe='')}"


class Wire:
    """Sends calls to one server.

    Parameters
    ----------
    http
        Knows where and with which token.
    where
        What messages call the server.
    close
        Gives back what the connection stands on.
    """

    def __init__(
        self,
        http: httpx2.Client,
        where: str,
        close: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self.where = where
        self._close = close
        self.sleep = sleep

    def close(self) -> None:
        """Give back connections."""
        self._http.close()
        self._close()

    def get(self, path: str, **query: str | int | bool | None) -> Any:
        """Ask for something; return the decoded answer."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self.send(Call("GET", path, wanted, repeatable=True))

    def send(self, call: Call) -> Any:
        """Send a call, again where that is safe; return the decoded answer.

        Raises
        ------
        GatewayError
            What the server said, or that it said nothing.
        """
        return self.patiently(lambda: self._once(call), repeatable=call.repeatable)

    def _once(self, call: Call) -> Any:
        with self.stream(call) as response:
            return decoded(_bounded(response))

    def patiently(self, work: Callable[[], Any], *, repeatable: bool) -> Any:
        """Do something until it succeeds, fails for good, or has failed too often."""
        for pause in (*PAUSES_S, None):
            try:
                return work()
            except BrokenError as error:
                if "CERTIFICATE_VERIFY_FAILED" in str(error.cause):
                    raise untrusted(self.where, error.cause) from error.cause
                if pause is None or not (repeatable or error.unsent):
                    raise lost(
                        self.where, error.cause, unsent=error.unsent, repeatable=repeatable
                    ) from error.cause
            except BusyError as error:
                may = repeatable or error.status == 429
                if pause is None or not may or error.wait_s > LONGEST_WAIT_S:
                    raise error.refusal from None
                pause = max(pause, error.wait_s)  # noqa: PLW2901 - the server knows better
            self.sleep(pause)
        raise AssertionError("not reached")

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx2.Response]:
        """Send a call once; yield the answer, whose body has not been read.

        Raises
        ------
        BrokenError
            If the line broke, also while the block reads.
        BusyError
            If the server wants to be asked later.
        GatewayError
            If it refused.
        """
        import httpx2

        headers = dict(call.headers)
        content: Any = call.content() if call.content else None
        if call.body is not None:
            content = json.dumps(call.body).encode()
            headers["Content-Type"] = "application/json"
        try:
            with self._http.stream(
                call.method,
                call.path,
                params=_words(call.query),
                content=content,
                headers=headers,
            ) as response:
                if response.status_code >= 300:
                    raise self._refused(response)
                yield response
        except httpx2.TransportError as error:
            raise BrokenError(error, unsent=_unsent(error)) from error

    def _refused(self, response: httpx2.Response) -> Exception:
        data = _bounded(response)
        try:
            body: Any = json.loads(data)
        except ValueError:
            body = data.decode("utf-8", "replace")
        error = refusal(response.status_code, body, self.where)
        if response.status_code not in _BUSY:
            return error
        wait = response.headers.get("Retry-After", "")
        return BusyError(response.status_code, float(wait) if wait.isdigit() else 0.0, error)


class BrokenError(Exception):
    """The line broke; ``unsent`` if the request provably did not leave."""

    def __init__(self, cause: Exception, *, unsent: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.unsent = unsent


class BusyError(Exception):
    """The server wants to be asked later, in ``wait_s`` seconds if it said so."""

    def __init__(self, status: int, wait_s: float, error: GatewayError) -> None:
        super().__init__(str(error))
        self.status = status
        self.wait_s = wait_s
        self.refusal = error


def _unsent(error: Exception) -> bool:
    import httpx2

    return isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)


def _words(query: Mapping[str, str | int | bool]) -> dict[str, str]:
    shown = {name: str(value) for name, value in query.items()}
    return {n: v.lower() if isinstance(query[n], bool) else v for n, v in shown.items()}


def _bounded(response: httpx2.Response) -> bytes:
    pieces = bytearray()
    for piece in response.iter_bytes():
        pieces += piece
        if len(pieces) > LARGEST_ANSWER:
            raise SiteError(f"an answer is larger than {LARGEST_ANSWER // 1024**2} MiB")
    return bytes(pieces)


def decoded(data: bytes) -> Any:
    """Return the JSON of an answer.

    Raises
    ------
    UnreachableError
        If it is none: something else than a gateway answers there.
    """
    try:
        return json.loads(data) if data.strip() else None
    except ValueError as error:
        words = " ".join(data[:100].decode("utf-8", "replace").split())
        raise UnreachableError(
            f"the answer is no JSON: {words}", hint="check the address: is it a gateway's?"
        ) from error
