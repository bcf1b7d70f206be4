"""An image to try hosts with: the smallest of the store, or one that is made for it.

Nothing can be fetched for a trial, and a file system of our own would need programs of every kind
of processor. So the image that is made holds mount points only, and runs programs of the host.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.service.doctor.tools import Run
from gateway.site.model import Site

_NAME = "trial.sif"
# $1 is a directory of ours. Apptainer needs mksquashfs here, and no more rights than a user has.
_MAKE = r"""
container=$(command -v apptainer || command -v singularity) ||
    { echo "neither apptainer nor singularity is on PATH here" >&2; exit 1; }
cd "$1" && mkdir root && cd root && mkdir bin dev etc home lib lib64 proc sys tmp usr var &&
    cd .. && exec "$container" -s build trial.sif root </dev/null >&2
"""


@dataclass(frozen=True, slots=True)
class TrialImage:
    """An image, or the reason why there is none.

    Parameters
    ----------
    is_bare
        Whether it holds no programs: they come from the host.
    """

    path: Path | None
    is_bare: bool = False
    trouble: str = ""

    def __str__(self) -> str:
        return "an image made for this" if self.is_bare else "an image of the store"


@contextmanager
def trial_image(site: Site, run: Run) -> Iterator[TrialImage]:
    """Give an image; one that was made is removed in the end."""
    if site.containers.runtime == "host":
        yield TrialImage(None, trouble="commands run without containers")
        return
    stored = smallest_image(site.images)
    if stored is not None:
        yield TrialImage(stored)
        return
    # Where worker nodes see it.
    directory = site.shared_root / f".doctor.{secrets.token_hex(6)}"
    try:
        yield _made(directory, run)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def smallest_image(images: Path) -> Path | None:
    """Return the image of the store that starts with the least to read."""
    try:
        found = [(path.stat().st_size, path) for path in images.glob("*.sif")]
    except OSError:
        return None
    return min(found)[1] if found else None


def _made(directory: Path, run: Run) -> TrialImage:
    try:
        directory.mkdir(mode=0o700)
    except OSError as error:
        return TrialImage(None, trouble=f"{directory}: {error.strerror}")
    answer = run(("/bin/sh", "-c", _MAKE, "doctor", str(directory)))
    path = directory / _NAME
    if answer.ok and path.exists():
        return TrialImage(path, is_bare=True)
    return TrialImage(None, trouble=answer.complaint)
