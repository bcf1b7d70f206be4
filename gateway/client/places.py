"""Where a gateway is: beside us on a unix socket, on TCP, or on a login node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.client.http import KEEPALIVE_S, Timeouts, Wire
from gateway.errors import SiteError, UnreachableError, UsageError

if TYPE_CHECKING:
    import httpx2

    from gateway.client.ssh import Login

DEFAULT_TIMEOUTS = Timeouts()
SOCKET_FILE = "gateway.sock"
REMOTE_COMMAND = "GATEWAY_REMOTE_COMMAND"
_MOST_CONNECTIONS = 8


def _client(timeouts: Timeouts, **words: Any) -> httpx2.Client:
    import httpx2

    limits = httpx2.Timeout(timeouts.read, connect=timeouts.connect, pool=None, write=timeouts.read)
    # No redirects: a token belongs to the server that it was given for.
    return httpx2.Client(timeout=limits, follow_redirects=False, **words)


def _limits() -> httpx2.Limits:
    import httpx2

    return httpx2.Limits(
        max_connections=_MOST_CONNECTIONS,
        max_keepalive_connections=_MOST_CONNECTIONS,
        keepalive_expiry=KEEPALIVE_S,
    )


def require_httpx() -> None:
    """Check for the optional dependency.

    Raises
    ------
    SiteError
        If it is not installed.
    """
    from importlib.util import find_spec

    if find_spec("httpx2") is None:
        raise SiteError(
            "what the client needs is not installed",
            hint="pip install 'reana-batch-gateway[client]'",
        )


def beside(socket: Path, timeouts: Timeouts) -> Wire:
    """Return the wire to the unix socket of a running `gateway serve`.

    Raises
    ------
    UnreachableError
        If there is no such socket.
    """
    import httpx2

    if not socket.exists():
        raise UnreachableError(
            f"no gateway serves here: there is no {socket}", hint="start one: gateway serve"
        )
    transport = httpx2.HTTPTransport(uds=str(socket), limits=_limits())
    http = _client(timeouts, transport=transport, base_url="http://gateway", trust_env=False)
    return Wire(http, str(socket))


def socket_of(site_file: Path | None) -> Path:
    """Return where `gateway serve` of a site listens."""
    from gateway.site.load import load_site

    return load_site(site_file).state_dir / SOCKET_FILE


def on_tcp(
    url: str | None,
    token: str | None,
    verify: bool | Path,
    timeouts: Timeouts,
    environ: Mapping[str, str] = os.environ,
) -> Wire:
    """Return the wire to a server with a token.

    Parameters
    ----------
    verify
        Whether to check the server's certificate, or the file of certificates to trust: for a
        self-signed one, that certificate itself.

    Raises
    ------
    UsageError
        If address or token are missing.
    """
    import ssl

    url = _address((url or environ.get("REANA_SERVER_URL", "")).strip().rstrip("/"))
    token = (token or environ.get("REANA_ACCESS_TOKEN", "")).strip()
    if not token:
        raise UsageError(
            f"there is no token for {url}",
            hint="set REANA_ACCESS_TOKEN; `gateway token show` prints it on the login node",
        )
    checked: ssl.SSLContext | bool = verify if isinstance(verify, bool) else True
    if isinstance(verify, Path):
        try:
            checked = ssl.create_default_context(cafile=str(verify))
        except OSError as error:
            raise UsageError(f"the certificates {verify} cannot be read: {error}") from error
    http = _client(
        timeouts,
        base_url=url,
        verify=checked,
        limits=_limits(),
        headers={"Authorization": f"Bearer {token}"},
    )
    return Wire(http, url)


def _address(url: str) -> str:
    import httpx2

    hint = "set REANA_SERVER_URL to something like https://host:8444"
    if not url:
        raise UsageError("no gateway was named", hint=hint)
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise UsageError(f"{url!r} is no address of a gateway: {error}", hint=hint) from error
    if parsed.scheme not in ("http", "https") or not parsed.host or "%" in parsed.host:
        raise UsageError(f"{url!r} is no address of a gateway", hint=hint)
    return url


def on_login_node(
    host: str, command: str | None, timeouts: Timeouts, environ: Mapping[str, str] = os.environ
) -> tuple[Wire, Login]:
    """Return the wire to a login node, and the login that it uses.

    Raises
    ------
    SiteError
        If the ssh support is not installed.
    """
    from gateway.client.ssh import Login

    login = Login(host, command or environ.get(REMOTE_COMMAND) or "gateway", timeouts.connect)
    return through(login, timeouts), login


def through(login: Login, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Wire:
    """Return the wire through a login."""
    from gateway.client.login_transport import LoginTransport

    http = _client(
        timeouts,
        transport=LoginTransport(login, KEEPALIVE_S),
        base_url="http://gateway",
        trust_env=False,
    )
    return Wire(http, login.destination, login.close)
