"""Where things lie, and which flavours there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[1]
PROJECT = RECIPE.parents[1]


@dataclass(frozen=True)
class Flavour:
    """One Debian suite, and with it one version of each batch system."""

    name: str
    slurm: str
    htcondor: str
    packages: tuple[str, ...] = ()
    extra_steps: tuple[str, ...] = ()


FLAVOURS = {
    "sid": Flavour("sid", slurm="26.05", htcondor="25.14", packages=("apptainer",)),
    "trixie": Flavour(
        "trixie", slurm="24.11", htcondor="23.9", extra_steps=("apptainer-from-sid.sh",)
    ),
}


def cache_directory() -> Path:
    """What is built once: layers of root file systems and the registry of images."""
    return _directory("GATEWAY_TESTBED_CACHE", "XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """What belongs to running instances; it must not lie on an overlay file system."""
    return _directory("GATEWAY_TESTBED_STATE", "XDG_STATE_HOME", ".local/state")


def certificate_authorities() -> Path:
    """The machine's own bundle, lent to pip while a layer is built."""
    for variable in ("PIP_CERT", "SSL_CERT_FILE"):
        if value := os.environ.get(variable):
            return Path(value)
    return Path("/etc/ssl/certs/ca-certificates.crt")


def _directory(own: str, xdg: str, below_home: str) -> Path:
    if value := os.environ.get(own):
        return Path(value).absolute()
    base = Path(os.environ.get(xdg) or Path.home() / below_home)
    return (base / "gateway-testbed").absolute()
