"""What commands that only read the state need of a site file that has been checked before.

Checking a site file loads a YAML reader and a validator, which takes as long as everything else
that `gateway status` does. So the few answers that such commands need are kept, under a hash of
all that they depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.site.load import find_site_file, read_site

if TYPE_CHECKING:
    from gateway.site.model import Site


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is kept of a site file.

    Parameters
    ----------
    clusters
        Their names.
    """

    database_url: str
    shared_root: Path
    state_dir: Path
    clusters: tuple[str, ...]

    @classmethod
    def of(cls, site: Site) -> SiteFacts:
        """Return the facts of a site."""
        return cls(site.database_url, site.shared_root, site.state_dir, tuple(site.clusters))


def site_facts(path: Path | None = None, environ: Mapping[str, str] | None = None) -> SiteFacts:
    """Return the facts of the site; raises as ``read_site`` does.

    Only those with a URL of SQLite are kept: others may hold a password.
    """
    environ = os.environ if environ is None else environ
    origin = find_site_file(path, environ)
    memory = _memory(origin, environ)
    kept = None if memory is None else _kept(memory)
    if kept is not None:
        return kept
    facts = SiteFacts.of(read_site(path, environ).site)
    if memory is not None and facts.database_url.startswith("sqlite"):
        _keep(memory, facts)
    return facts


def _memory(origin: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds the facts, ``None`` if the site file cannot be read."""
    try:
        content = b"" if origin is None else origin.read_bytes()
    except OSError:
        return None
    home = str(Path.home())
    # Paths in the file may name variables of the environment.
    parts = (__version__.encode(), os.fsencode(home), os.fsencode(str(origin)), content)
    seen = b"\0".join((*parts, os.path.expandvars(content)))
    cache = environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    return Path(cache) / "gateway" / f"site-facts-{hashlib.sha256(seen).hexdigest()[:32]}"


def _kept(memory: Path) -> SiteFacts | None:
    try:
        database_url, shared_root, state_dir, clusters = json.loads(memory.read_bytes())
        return SiteFacts(database_url, Path(shared_root), Path(state_dir), tuple(clusters))
    except (OSError, ValueError, TypeError):
        return None


def _keep(memory: Path, facts: SiteFacts) -> None:
    """Write the facts down, complete or absent; that they cannot be kept harms nothing."""
    part = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(json.dumps(astuple(facts), default=str), encoding="utf-8")
        part.replace(memory)
    except OSError:
        with suppress(OSError):
            part.unlink()
