"""One object for everything that the command line can do with workflows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gateway.client import places
from gateway.client.file_calls import FileCalls
from gateway.client.http import Timeouts, Wire
from gateway.client.places import DEFAULT_TIMEOUTS
from gateway.client.results import Workflow
from gateway.client.site_calls import SiteCalls
from gateway.client.transfers import OnProgress
from gateway.client.workflow_calls import NOTHING, Specification, WorkflowCalls
from gateway.errors import UsageError
from gateway.vocabulary.states import WorkflowStatus

if TYPE_CHECKING:
    from gateway.client.ssh import Login


class Client(WorkflowCalls, FileCalls, SiteCalls):
    """A gateway; a context manager that closes its connections. May be used by several threads.

    Make one with `connect`, or with one of the class methods.
    """

    def __init__(self, wire: Wire, login: Login | None = None) -> None:
        self.wire = wire
        self.login = login
        """The ssh connection that it goes through, if it does."""

    @classmethod
    def local(
        cls,
        *,
        site: str | Path | None = None,
        socket: str | Path | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Self:
        """Use the unix socket of the `gateway serve` that runs here.

        Parameters
        ----------
        site
            Site file in which to look for the socket's place; default: the usual ones.
        """
        places.require_httpx()
        path = Path(socket) if socket else places.socket_of(Path(site) if site else None)
        return cls(places.beside(path, timeouts))

    @classmethod
    def tcp(
        cls,
        url: str | None = None,
        token: str | None = None,
        *,
        verify: bool | str | Path = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Self:
        """Use a server on TCP; default: that of REANA_SERVER_URL and REANA_ACCESS_TOKEN.

        Parameters
        ----------
        verify
            For a self-signed certificate the file that holds it. ``False`` checks nothing: whoever
            is on the way can then read the token.
        """
        places.require_httpx()
        checked = verify if isinstance(verify, bool) else Path(verify)
        return cls(places.on_tcp(url, token, checked, timeouts))

    @classmethod
    def ssh(
        cls,
        host: str,
        *,
        command: str | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Self:
        """Use a login node through ssh; nothing need listen there.

        Parameters
        ----------
        host
            ``host``, ``user@host`` or ``user@host:port``; an alias of ``~/.ssh/config`` too.
        command
            The gateway there; default: GATEWAY_REMOTE_COMMAND, then ``gateway``.
        """
        places.require_httpx()
        wire, login = places.on_login_node(host, command, timeouts)
        return cls(wire, login)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.wire.close()

    def run(
        self,
        specification: Specification,
        name: str = "",
        *,
        key: str | None = None,
        cluster: str | None = None,
        parameters: Mapping[str, Any] = NOTHING,
        options: Mapping[str, Any] = NOTHING,
        progress: OnProgress = lambda _: None,
    ) -> Workflow:
        """Create a workflow, upload its declared inputs, and start it; does not wait.

        With a ``key``, a repeated call returns the same workflow and starts nothing twice; another
        specification or other parameters under the same key are refused.
        """
        found = self.create(specification, name, key=key, cluster=cluster)
        if found.status is not WorkflowStatus.CREATED:
            return self.same_start(found, parameters)
        self.upload_inputs(found.id, specification, progress=progress)
        return self.start_once(found.id, parameters=parameters, options=options)

    def upload_inputs(
        self,
        workflow: str,
        specification: Specification,
        *,
        base: Path | None = None,
        progress: OnProgress = lambda _: None,
    ) -> tuple[str, ...]:
        """Upload the inputs that a specification declares, and its file; return their names.

        Parameters
        ----------
        base
            Directory of the inputs; default: that of the file, else the current one.

        Raises
        ------
        UsageError
            If an input is missing; nothing was sent.
        """
        from gateway.client.inputs import declared_inputs

        if isinstance(specification, Mapping):
            named, _ = declared_inputs(specification, base or Path.cwd())
            return self.upload_as(workflow, named, progress=progress)
        from gateway.client.workflow_calls import specification_data

        file = Path(specification)
        named, _ = declared_inputs(specification_data(file), base or file.resolve().parent)
        if file.is_file():
            named = [*named, (file.name, file)]
        return self.upload_as(workflow, named, progress=progress)


def connect(
    *,
    host: str | None = None,
    url: str | None = None,
    token: str | None = None,
    site: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Client:
    """Return a client of the gateway that is meant.

    An argument decides; else GATEWAY_HOST (ssh), else REANA_SERVER_URL (TCP), else the gateway
    that serves here.

    Raises
    ------
    UsageError
        If two places are named.
    """
    if sum(each is not None for each in (host, url, site)) > 1:
        raise UsageError("name one place: host, url or site")
    if host is None and url is None and site is None:
        host = environ.get("GATEWAY_HOST") or None
        url = None if host else environ.get("REANA_SERVER_URL") or None
    if host is not None:
        return Client.ssh(host)
    if url is not None:
        return Client.tcp(url, token)
    return Client.local(site=site)
