"""Finding and reading the site file, with every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import SpecError, UsageError

if TYPE_CHECKING:
    from gateway.documents.document import Document
    from gateway.site.model import Site

SYSTEM_FILE = Path("/etc/gateway/site.yaml")


@dataclass(frozen=True, slots=True)
class LoadedSite:
    """A site, and where it comes from.

    Parameters
    ----------
    site
        Complete, defaults filled in.
    origin
        The file, or ``None`` for the built-in defaults.
    positions
        Keys that the file sets, ``clusters.a.type``, with ``site.yaml:3:5``.
    """

    site: Site
    origin: Path | None = None
    positions: Mapping[str, str] = field(default_factory=dict)


def load_site(path: Path | None = None) -> Site:
    """Return the site: of ``path``, else of the first file found, else the built-in defaults.

    Raises
    ------
    SpecError
        If the file is wrong; ``problems`` holds ``site.yaml:3:5: ...`` lines.
    UsageError
        If a file that was asked for does not exist.
    """
    return read_site(path).site


def read_site(path: Path | None = None, environ: Mapping[str, str] | None = None) -> LoadedSite:
    """Return the site with its origin; raises as ``load_site`` does.

    Parameters
    ----------
    path
        The site file, or ``None`` to search for it.
    environ
        Environment for the search; default: that of the process.
    """
    from gateway.site.model import Site

    origin = find_site_file(path, os.environ if environ is None else environ)
    return LoadedSite(Site()) if origin is None else _read(origin)


def find_site_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the site file to use, or ``None`` where there is none.

    The first of: ``path``, ``$GATEWAY_SITE``, ``$XDG_CONFIG_HOME/gateway/site.yaml``
    (``~/.config``), ``/etc/gateway/site.yaml``. The first two must exist.

    Raises
    ------
    UsageError
        If ``path`` or ``$GATEWAY_SITE`` names no file.
    """
    named = environ.get("GATEWAY_SITE")
    if path is not None:
        return _existing(path, "--site")
    if named:
        return _existing(Path(named).expanduser(), "$GATEWAY_SITE")
    home = environ.get("HOME") or "~"
    configuration = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    candidates = (Path(configuration).expanduser() / "gateway" / "site.yaml", SYSTEM_FILE)
    return next((candidate for candidate in candidates if _may_exist(candidate)), None)


def _may_exist(path: Path) -> bool:
    """Say whether there is a file, or may be one that we are not allowed to see.

    Passing over the second would run with other settings than the site wants; reading it says why
    it cannot be read.
    """
    try:
        return path.exists()
    except OSError:
        return True


def _existing(path: Path, source: str) -> Path:
    if not _may_exist(path):
        hint = f"correct {source}, or leave it away to use the defaults"
        raise UsageError(f"the site file {path} does not exist", hint=hint)
    return path


def _read(path: Path) -> LoadedSite:
    from gateway.documents.document import dotted
    from gateway.documents.reading import read_document

    document = read_document(path)
    site = _check(document, path)
    positions = {dotted(key): str(position) for key, position in document.keys.items()}
    return LoadedSite(site, path, positions)


def _check(document: Document, path: Path) -> Site:
    from pydantic import ValidationError

    from gateway.documents.validation import translate
    from gateway.site.model import Site

    problems: tuple[str, ...]
    try:
        return Site.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        problems = translate(error, Site, document)
    except OverflowError:
        problems = (f"{path}: a number is too large",)
    raise SpecError(f"the site file {path} is not valid", problems=problems)
