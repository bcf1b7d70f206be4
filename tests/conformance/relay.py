"""Accept on a socket that was handed over, and connect every caller with a port of this network.

usage: python -m tests.conformance.relay DESCRIPTOR PORT
"""

from __future__ import annotations

import socket
import sys
import threading

from tests.conformance.wiretap import pass_on


def _join(caller: socket.socket, port: int) -> None:
    with caller, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=pass_on, args=(server, caller), daemon=True)
        back.start()
        pass_on(caller, server)
        back.join()


def main() -> None:
    """Relay until told to end."""
    descriptor, port = map(int, sys.argv[1:])
    listening = socket.socket(fileno=descriptor)
    while True:
        caller, _ = listening.accept()
        threading.Thread(target=_join, args=(caller, port), daemon=True).start()


if __name__ == "__main__":
    main()
