"""Open one checked ssh connection, and say in words why it could not be opened.

Knows fabric and paramiko, both imported late. Must not know what commands are run.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import SiteError, UnreachableError

if TYPE_CHECKING:
    from fabric import Connection  # type: ignore[import-untyped]

    from gateway.site.model import Ssh

_SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
KEEPALIVE_S = 30


def require_fabric() -> None:
    """Check for the optional dependency.

    Raises
    ------
    SiteError
        If fabric is not installed.
    """
    if find_spec("fabric") is None:
        raise SiteError(
            "a cluster is configured with `ssh`, and the ssh support is not installed",
            hint="pip install 'reana-batch-gateway[ssh]'",
        )


def open_connection(ssh: Ssh, timeout_s: float) -> Connection:
    """Connect and log in with the user's own ssh configuration, keys and agent.

    Raises
    ------
    UnreachableError
        If the host does not answer.
    SiteError
        If its key is not the known one, or it accepts no key of the user.
    """
    from fabric import Connection
    from paramiko.ssh_exception import SSHException  # type: ignore[import-untyped]

    timeouts = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), timeout_s)
    connection = Connection(
        ssh.host,
        user=ssh.user,
        port=ssh.port,
        connect_timeout=max(1, round(timeout_s)),
        connect_kwargs=dict(timeouts),
    )
    _use_kerberos(connection)
    _check_host_keys(connection, ssh.known_hosts or Path("~/.ssh/known_hosts").expanduser())
    try:
        connection.open()
    except (OSError, SSHException, EOFError, ValueError) as error:
        connection.close()
        raise _in_words(error, connection.host, ssh) from error
    _tune(connection)
    return connection


def _tune(connection: Connection) -> None:
    """Notice a dead line, and do not let small packets wait for each other (45 ms a command)."""
    connection.transport.set_keepalive(KEEPALIVE_S)
    line = connection.transport.sock
    if isinstance(line, socket.socket):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _use_kerberos(connection: Connection) -> None:
    """Follow ``GSSAPIAuthentication``, which fabric leaves aside."""
    wanted = connection.ssh_config.get("gssapiauthentication", "no") == "yes"
    if wanted and find_spec("gssapi"):
        connection.connect_kwargs["gss_auth"] = True


def _check_host_keys(connection: Connection, known_hosts: Path) -> None:
    """Refuse unknown hosts, on the jump hosts too: fabric would add them in silence."""
    from paramiko import RejectPolicy  # type: ignore[import-untyped]

    hop: Any = connection
    while hop is not None and not isinstance(hop, str):
        hop.client.set_missing_host_key_policy(RejectPolicy())
        for file in (_SYSTEM_KNOWN_HOSTS, known_hosts):
            if file.is_file():
                hop.client.load_system_host_keys(str(file))
        hop = hop.gateway


def _in_words(error: Exception, host: str, ssh: Ssh) -> SiteError:
    """Turn what went wrong into a sentence with a hint."""
    from paramiko.ssh_exception import AuthenticationException, BadHostKeyException

    by_hand = f"ssh {ssh.host}"
    if isinstance(error, BadHostKeyException):
        return SiteError(
            f"the host key of {host} is not the one in known_hosts; nothing was sent",
            hint=f"ask the site whether the key changed, then try `{by_hand}`",
        )
    if isinstance(error, AuthenticationException):
        return SiteError(
            f"{host} accepted no key of yours for {ssh.user or 'your login'}: {error}",
            hint=f"make `{by_hand}` work without a password (key, agent or Kerberos)",
        )
    if "not found in known_hosts" in str(error):
        return SiteError(
            f"the host key of {host} is not known, so nothing was sent",
            hint=f"run `{by_hand}` once and check the key",
        )
    return UnreachableError(f"cannot connect to {host}: {_network_words(error)}")


def _network_words(error: Exception) -> str:
    from paramiko.ssh_exception import NoValidConnectionsError

    if isinstance(error, NoValidConnectionsError):
        causes = {cause.strerror or str(cause) for cause in error.errors.values()}
        return ", ".join(sorted(causes)).lower()
    if isinstance(error, socket.gaierror):
        return "no such host name"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
