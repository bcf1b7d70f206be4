"""Which image a name means right here, without asking any network.

The order: the site's image map, an unpacked image (CVMFS), a converted image in the store. What
is not there yet must be fetched, by a job (``fetch``). Only the file system is looked at.

A workflow must not change its image half-way, so what is returned does not move: an unpacked
image is named by its real path (CVMFS publishes tags as links to directories that are named by
content), a converted one by its digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.containers.image_store import file_digest, is_sif, known_file_digest, read_record
from gateway.containers.reference import DOCKER_HUB, ImageReference, RegistryImage, parse_reference
from gateway.errors import UsageError
from gateway.vocabulary.image import ImageSource, ResolvedImage

if TYPE_CHECKING:
    from gateway.site.model import Containers

_HUB_DIRECTORIES = ("registry.hub.docker.com", "docker.io", "index.docker.io", "")
"""Names for Docker Hub below a directory of unpacked images. The first is that of
unpacked.cern.ch; singularity.opensciencegrid.org has the repositories at its top."""

_DIGEST_AT_ONCE = 1024**3
"""Bytes up to which an image file is read for its digest while somebody waits: 1 GiB, 1-2 s."""


@dataclass(frozen=True, slots=True)
class Usable:
    """The image is there."""

    image: ResolvedImage


@dataclass(frozen=True, slots=True)
class NeedsFetch:
    """The registry must be asked, and perhaps an image converted."""

    reference: RegistryImage


Lookup = Usable | NeedsFetch


def look_up(
    text: str,
    site: Containers,
    *,
    store: Path,
    workspace: Path,
    home: Path,
    now: float,
    resolved_since: float = 0.0,
) -> Lookup:
    """Find the image that a user's words name.

    Parameters
    ----------
    text
        The ``environment`` of a step. REANA's ``unpacked_img`` changes nothing: an unpacked image
        is always preferred.
    store
        Directory of converted images.
    workspace, home
        What relative paths and ``~`` mean.
    now
        Seconds since the epoch; becomes ``resolved_at`` of what needed no registry.
    resolved_since
        The registry's answer for a moving tag must be at least this young, seconds since the
        epoch. A digest never ages.

    Raises
    ------
    UsageError
        If the words name no image, or a path at which there is none.
    """
    if site.runtime == "host":
        return Usable(ResolvedImage(text, "", ImageSource.HOST, "", now))
    reference = mapped(text, site.image_map, workspace=workspace, home=home)
    if not isinstance(reference, RegistryImage):
        return Usable(_at_path(text, Path(reference.path), store, now))
    unpacked = _unpacked(reference, site.unpacked)
    if unpacked:
        return Usable(_directory(text, unpacked, now))
    record = read_record(store, reference.name)
    if record and (reference.is_pinned or record.resolved_at >= resolved_since):
        return Usable(record.resolved(text))
    return NeedsFetch(reference)


def mapped(
    text: str, image_map: Mapping[str, str], *, workspace: Path, home: Path
) -> ImageReference:
    """Read a reference, and replace it as the site's image map says; once, not again and again.

    A key counts if it is what the user wrote, or another spelling of the same image.
    """
    bare = text.strip()
    reference = None if bare in image_map else parse_reference(text, workspace=workspace, home=home)
    wanted = reference.name if isinstance(reference, RegistryImage) else None
    target = image_map.get(bare) or next(
        (value for key, value in image_map.items() if wanted and _name_of(key) == wanted), None
    )
    if target is None:
        return reference or parse_reference(text, workspace=workspace, home=home)
    return parse_reference(target, workspace=workspace, home=home)


def _name_of(key: str) -> str:
    try:
        reference = parse_reference(key, workspace=Path("/"), home=Path("/"))
    except UsageError:
        return ""
    return reference.name if isinstance(reference, RegistryImage) else ""


def _unpacked(image: RegistryImage, roots: Sequence[Path]) -> Path | None:
    for root in roots:
        for candidate in _unpacked_names(image):
            path = root / candidate
            if _is_root_directory(path):
                return path
    return None


def _unpacked_names(image: RegistryImage) -> Iterator[str]:
    registries = _HUB_DIRECTORIES if image.registry == DOCKER_HUB else (image.registry,)
    if image.digest:
        suffixes: tuple[str, ...] = (f"@{image.digest}",)
    else:
        suffixes = (f":{image.tag}",)
    for registry in registries:
        for suffix in suffixes:
            yield f"{registry}/{image.repository}{suffix}".lstrip("/")


def _at_path(text: str, path: Path, store: Path, now: float) -> ResolvedImage:
    if path.is_dir():
        if not _is_root_directory(path):
            raise UsageError(
                f"the environment {text!r} is a directory but not an unpacked image: it has "
                f"neither bin nor usr ({path})"
            )
        return _directory(text, path, now)
    _check_file(text, path)
    real = _steady(path)
    return ResolvedImage(text, str(real), ImageSource.FILE, _digest(store, real), now)


def _check_file(text: str, path: Path) -> None:
    if not os.path.lexists(path):
        raise UsageError(
            f"the environment {text!r} names the file {path}, which does not exist",
            hint="a path that is not absolute is taken from the workspace",
        )
    if not os.access(path, os.R_OK) or not path.is_file():
        raise UsageError(f"the environment {text!r} names {path}, which cannot be read as a file")
    if not is_sif(path):
        raise UsageError(
            f"the environment {text!r} names {path}, which is not a whole SIF image",
            hint="check with `apptainer inspect`; old formats convert with `apptainer build`",
        )


def _digest(store: Path, path: Path) -> str:
    if path.stat().st_size <= _DIGEST_AT_ONCE:
        return file_digest(store, path)
    return known_file_digest(store, path)


def _directory(text: str, path: Path, now: float) -> ResolvedImage:
    real = _steady(path)
    source = ImageSource.CVMFS if real.parts[:2] == ("/", "cvmfs") else ImageSource.DIRECTORY
    return ResolvedImage(text, str(real), source, "", now)


def _steady(path: Path) -> Path:
    """Follow a link, which may point elsewhere tomorrow; leave the names of automounters alone."""
    return path.resolve() if path.is_symlink() else path


def _is_root_directory(path: Path) -> bool:
    try:
        return (path / "usr").is_dir() or (path / "bin").is_dir()
    except OSError:
        return False
