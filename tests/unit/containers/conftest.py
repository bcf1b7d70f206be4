from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

MakeSif = Callable[[Path], Path]


@pytest.fixture
def make_sif() -> MakeSif:
    """Write the smallest file that counts as a SIF image."""

    def make(path: Path, content: bytes = b"squashfs") -> Path:
        header = struct.pack(
            "<32s10s3s3s16s8q", b"#!/usr/bin/env run\n", b"SIF_MAGIC\0", b"01\0", b"02\0",
            b"u" * 16, 0, 0, 0, 0, 128, 0, 128, len(content),
        )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + content)
        return path

    return make
