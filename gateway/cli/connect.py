"""``gateway connect``: the API on standard input and output, for clients that come by ssh."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

import click

from gateway import __version__
from gateway.cli.follow import driving
from gateway.cli.main import app_of
from gateway.composition.app import App
from gateway.vocabulary.greeting import GREETING, PROTOCOL

_CHUNK = 64 * 1024


@click.command("connect")
@click.pass_context
def connect_command(context: click.Context) -> None:
    """Speak the API on standard input and output; `gateway --host` and Python clients use it.

    It passes on to the `gateway serve` that runs here. If there is none, it answers itself and
    drives workflows as long as the connection lasts.

    Example: ssh login.example.org gateway connect
    """
    app = app_of(context)
    output = _private_output()
    # A client that goes away ends us by the end of input; a signal in between would leave a
    # request half done.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    served = _running_serve(app)
    if served is not None:
        _greet(output)
        _bridge(served, output)
        return
    from gateway.api.application import create_api
    from gateway.api.connection import serve_connection

    app.prepare_to_serve()
    ours, theirs = socket.socketpair()
    api = create_api(app)
    with driving(app, "connect"):
        server = threading.Thread(
            target=serve_connection, args=(api, theirs), name="api", daemon=True
        )
        server.start()
        _greet(output)
        _bridge(ours, output)
        server.join(timeout=5.0)


def _private_output() -> int:
    """Return the way out, and send to standard error what else is printed on it."""
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def _running_serve(app: App) -> socket.socket | None:
    from gateway.api.server import SOCKET_FILE

    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.connect(str(app.site.state_dir / SOCKET_FILE))
    except OSError:
        found.close()
        return None
    return found


def _greet(output: int) -> None:
    _write(output, f"{GREETING} {PROTOCOL} {__version__}\n".encode())


def _bridge(connection: socket.socket, output: int) -> None:
    """Pass bytes both ways until the server has closed, which it does at the end of input."""
    up = threading.Thread(target=_pump_in, args=(connection,), name="input", daemon=True)
    up.start()
    with suppress(OSError), connection:
        while piece := connection.recv(_CHUNK):
            _write(output, piece)
    with suppress(OSError):
        os.close(output)


def _pump_in(connection: socket.socket) -> None:
    with suppress(OSError):
        while piece := os.read(0, _CHUNK):
            connection.sendall(piece)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _write(output: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(output, view) :]
