"""A registry on this host and an ``apptainer`` without containers, for real fetch processes."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DIGEST = "sha256:" + "ab" * 32
APPTAINER = """#!/bin/bash
here=${0%/*}
case " $* " in
*" build "*)
    echo built >>"$here/builds"
    while [ -e "$here/hold" ]; do sleep 0.02; done
    cp "$here/template" "${@: -2:1}"
    ;;
*" exec "*)
    directory=/
    while [[ $# -gt 0 && $1 != *.sif ]]; do
        [ "$1" = --pwd ] && directory=$2
        shift
    done
    shift
    for name in ${!APPTAINERENV_@}; do export "${name#APPTAINERENV_}=${!name}"; done
    cd "$directory" && exec "$@"
    ;;
*) echo "apptainer version 1.4.5" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where images come from.

    Parameters
    ----------
    programs
        Directory with ``apptainer``, to be put on PATH.
    image
        Name of the only image.
    """

    programs: Path
    image: str

    @property
    def sif(self) -> bytes:
        """The image as it must arrive."""
        return (self.programs / "template").read_bytes()

    @property
    def builds(self) -> int:
        """How many conversions were begun."""
        log = self.programs / "builds"
        return len(log.read_text().split()) if log.exists() else 0

    @property
    def hold(self) -> Path:
        """A file that keeps conversions from ending while it exists."""
        return self.programs / "hold"


class _Registry(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Docker-Content-Digest", DIGEST)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def image_source(folder: Path) -> Iterator[ImageSource]:
    """Serve one image until the end."""
    folder.mkdir()
    (folder / "template").write_bytes(_sif(b"squashfs" * 100_000))
    (folder / "apptainer").write_text(APPTAINER)
    (folder / "apptainer").chmod(0o755)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield ImageSource(folder, f"127.0.0.1:{server.server_port}/fit:1")
        server.shutdown()
        thread.join()


def _sif(content: bytes) -> bytes:
    header = struct.pack(
        "<32s10s3s3s16s8q", b"#!/usr/bin/env run\n", b"SIF_MAGIC\0", b"01\0", b"02\0", b"u" * 16,
        0, 0, 0, 0, 128, 0, 128, len(content),
    )  # fmt: skip
    return header + content
