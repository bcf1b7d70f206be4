"""The directory of converted images, shared by every node and every user who may write it.

Layout below the store::

    sha256-<hex>-<arch>.sif     images, read-only, complete or absent
    references/<sha256>.json    what a name meant when it was last asked for
    files/<sha256>.json         digests of image files outside the store, by path
    claims/                     who converts what now (``claims``)
    partial/                    conversions under way; may be deleted when none is

An image is named by the digest that the tag pointed to (of the index, where the image exists for
several architectures: it is what registries show and what can be pulled again) and by the
architecture it was converted for.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import platform
import secrets
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.crash_points import CrashPoint, crash_point
from gateway.vocabulary.image import ImageSource, ResolvedImage

_ABANDONED_S = 600.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SIF_MAGIC = b"SIF_MAGIC\0"
_SIF_HEADER = struct.Struct("<32s10s3s3s16s8q")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What a name meant, and where the converted image lies.

    Parameters
    ----------
    reference, name
        As the user wrote it, and normalised.
    digest
        That the registry gave for the name.
    path
        SIF file, absolute.
    resolved_at
        When the registry was asked, seconds since the epoch.
    size
        Bytes of the SIF file.
    runtime
        Version of the program that converted it.
    """

    reference: str
    name: str
    digest: str
    path: str
    resolved_at: float
    size: int
    arch: str
    runtime: str = ""
    converted_at: float = 0.0
    source: str = ImageSource.STORE.value

    def resolved(self, written: str) -> ResolvedImage:
        """Return the image as jobs use it, under the name that the user wrote."""
        return ResolvedImage(written, self.path, ImageSource.STORE, self.digest, self.resolved_at)


def architecture() -> str:
    """Return this host's architecture in the registries' words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def sif_path(store: Path, digest: str, arch: str) -> Path:
    """Return where the image with this digest lies or will lie."""
    return store / f"{digest.replace(':', '-')}-{arch}.sif"


def record_path(store: Path, name: str) -> Path:
    """Return the file that says what a normalised name meant."""
    return store / "references" / f"{_hash(name)}.json"


def read_record(store: Path, name: str) -> ImageRecord | None:
    """Return the record of a name if it is whole and its image is there."""
    data = read_json(record_path(store, name))
    try:
        record = ImageRecord(**data)
    except TypeError:
        return None
    return record if record.name == name and is_sif(Path(record.path)) else None


def write_record(store: Path, record: ImageRecord) -> None:
    """Write down what a name means; later records replace earlier ones."""
    write_json(record_path(store, record.name), asdict(record))


def is_sif(path: Path) -> bool:
    """Tell whether a file is a SIF image and not cut short, from its header alone.

    The header is 32 bytes of launch script, magic, version, architecture and UUID, then eight
    numbers, the last two of which are offset and size of the data section (SIF specification,
    sylabs/sif ``pkg/sif/sif.go``).
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(_SIF_HEADER.size)
            size = os.fstat(handle.fileno()).st_size
        _, magic, *_, data_offset, data_size = _SIF_HEADER.unpack(head)
    except (OSError, struct.error):
        return False
    return bool(magic == _SIF_MAGIC and 0 < data_size <= size - data_offset)


def known_file_digest(store: Path, path: Path) -> str:
    """Return the digest of an image file if it was computed before and the file is the same."""
    try:
        identity = _identity(path)
    except OSError:
        return ""
    known = read_json(_file_digest_path(store, path))
    return str(known.get("digest", "")) if known.get("identity") == identity else ""


def file_digest(store: Path, path: Path) -> str:
    """Return ``sha256:...`` of an image file; reads all of it once, then remembers.

    Raises
    ------
    OSError
        If the file cannot be read. That the digest cannot be remembered is no error.
    """
    known = known_file_digest(store, path)
    if known:
        return known
    identity = _identity(path)
    with path.open("rb") as handle:
        digest = f"sha256:{hashlib.file_digest(handle, 'sha256').hexdigest()}"
    try:
        record = {"path": str(path), "identity": identity, "digest": digest}
        write_json(_file_digest_path(store, path), record)
    except OSError:
        pass
    return digest


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file, or an empty one where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any], mode: int = 0o644) -> None:
    """Write an object so that readers see all of it or none, also after a crash.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            json.dump(data, handle, indent=1)
            handle.write("\n")
            handle.flush()
            os.fsync(handle.fileno())
        crash_point(CrashPoint.RECORD_WRITTEN)
        _remove_abandoned(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(path: Path, part: Path) -> None:
    """Remove what killed writers of the same file left; all times are the file server's."""
    now = part.stat().st_mtime
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if now - other.stat().st_mtime > _ABANDONED_S:
                other.unlink()


def _file_digest_path(store: Path, path: Path) -> Path:
    return store / "files" / f"{_hash(str(path))}.json"


def _identity(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
