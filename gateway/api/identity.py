"""Who asks: a token over TCP, the owner of the socket's file over the unix socket."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.api.problems import ApiError
from gateway.composition.app import App
from gateway.composition.services import Services
from gateway.service.accounts import TokenRefusedError
from gateway.vocabulary.records import User

logger = logging.getLogger(__name__)

TRUSTED = "gateway.trusted"
"""Key of the ASGI scope that the unix socket's server sets: its file lets only its owner in."""

MOST_REFUSALS = 20
WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


class Throttle:
    """Counts refused tokens per address.

    A valid token is never throttled: behind one address may be all users of a login node, and
    nobody finds 256 random bits by trying.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[str, deque[float]] = {}

    def refused(self, address: str) -> float | None:
        """Note a refusal; return the seconds to wait if there were too many, else ``None``."""
        now = self._clock()
        times = self._refusals.pop(address, None) or deque(maxlen=MOST_REFUSALS + 1)
        times.append(now)
        self._refusals[address] = times
        if len(self._refusals) > MOST_ADDRESSES:
            self._refusals.pop(next(iter(self._refusals)))
        oldest = times[0]
        if len(times) <= MOST_REFUSALS or now - oldest > WINDOW_S:
            return None
        return WINDOW_S - (now - oldest)


@dataclass(frozen=True, slots=True)
class Caller:
    """A user who has shown who it is, with what it may do."""

    user: User
    services: Services


def signed_in(request: Request) -> Caller:
    """Return who asks.

    Raises
    ------
    ApiError
        401 without a token, 403 with one that gives no access, 429 after too many of either.
    """
    app: App = request.app.state.app
    token = _token(request)
    if token is None:
        if not request.scope.get(TRUSTED):
            raise _slowed(request) or ApiError(401, "User not signed in")
        user = app.accounts.default_user()
    else:
        try:
            user = app.accounts.user_of(token)
        except TokenRefusedError as error:
            raise _refusal(request, error) from error
    return Caller(user, app.services(user.id))


def _refusal(request: Request, error: TokenRefusedError) -> ApiError:
    slowed = _slowed(request)
    if slowed is None:
        logger.info("refused a token from %s: %s", _address(request), error.message)
    return slowed or ApiError(403, error.message)


def _slowed(request: Request) -> ApiError | None:
    """Note a refusal; return 429 if the address has had too many."""
    throttle: Throttle = request.app.state.throttle
    wait = throttle.refused(_address(request))
    if wait is None:
        return None
    words = "Too many requests with a wrong token, or without one."
    return ApiError(429, words, {"Retry-After": str(int(wait) + 1)})


def _address(request: Request) -> str:
    return request.client.host if request.client else "unix socket"


def _token(request: Request) -> str | None:
    """Find the token where REANA's client puts it, or in the standard header."""
    found = request.query_params.get("access_token")
    if found:
        return found
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if kind.lower() == "bearer" else None


SignedIn = Annotated[Caller, Depends(signed_in)]
"""A parameter of every route that needs to know who asks."""
