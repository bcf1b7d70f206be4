"""What commands that only read the state need of a site file that has been checked before.

Checking a site file loads a YAML reader and a validator, which takes as long as everything else
that `gateway status` does. So the one answer that such commands need is kept, under a hash of
all that it depends on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from gateway import __version__
from gateway.site.load import find_site_file, read_site


def database_url(path: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Return the URL of the state; raises as ``read_site`` does.

    Only URLs of SQLite are kept: others may hold a password.
    """
    environ = os.environ if environ is None else environ
    origin = find_site_file(path, environ)
    memory = _memory(origin, environ)
    try:
        if memory is not None:
            return memory.read_text(encoding="utf-8")
    except OSError:
        pass
    url = read_site(path, environ).site.database_url
    if memory is not None and url.startswith("sqlite"):
        _keep(memory, url)
    return url


def _memory(origin: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds the answer, ``None`` if it depends on more than we can see."""
    try:
        content = b"" if origin is None else origin.read_bytes()
    except OSError:
        return None
    if b"$" in content:
        return None
    home = str(Path.home())
    seen = "\0".join((__version__, home, str(origin))).encode() + b"\0" + content
    cache = environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    return Path(cache) / "gateway" / f"site-{hashlib.sha256(seen).hexdigest()[:32]}"


def _keep(memory: Path, url: str) -> None:
    """Write the answer down, complete or absent; that it cannot be kept harms nothing."""
    part = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(url, encoding="utf-8")
        part.replace(memory)
    except OSError:
        part.unlink(missing_ok=True)
