"""Fetch what a URL names into an empty directory: a git repository, an archive or one file.

URLs come from users of the API. Only http and https are spoken; no setting, login or key of the
account takes part; size and time are bounded; addresses of the local network are refused unless
the site allows them.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from gateway.errors import SiteError, UnreachableError, UsageError
from gateway.workspace.unpack import Budget, links_that_lead_out, only_directory, unpack

MOST_BYTES = 1024**3
LONGEST_S = 60.0
LONGEST_URL = 2000
_SOCKET_S = 15.0
_LOOK_S = 0.2
_CHUNK = 256 * 1024
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_TREE = re.compile(r"(?P<repository>/.+?)(?:/-)?/tree/(?P<ref>.+?)/?")


@dataclass(frozen=True, slots=True)
class Source:
    """What a URL means.

    Parameters
    ----------
    kind
        ``git``, ``archive`` or ``file``.
    url
        What to ask for.
    ref
        Branch or tag, of a repository.
    name
        A name for a workflow.
    """

    kind: str
    url: str
    ref: str
    name: str


def parse(url: str) -> Source:
    """Find out what a URL means.

    Raises
    ------
    UsageError
        If it is none of which anything is fetched.
    """
    parts = _checked(url)
    path = unquote(parts.path).rstrip("/")
    base = path.rpartition("/")[2]
    if path.endswith((".yaml", ".yml")):
        return Source("file", url, "", _name(base.rpartition(".")[0]))
    for suffix in _ARCHIVES:
        if path.endswith(suffix):
            return Source("archive", url, "", _name(base.removesuffix(suffix)))
    tree = _TREE.fullmatch(path)
    ref = tree["ref"] if tree else ""
    if ref and (not _REF.fullmatch(ref) or ".." in ref):
        raise UsageError(f"{ref[:80]!a} is not the name of a branch or tag")
    repository = parts._replace(path=tree["repository"]) if tree else parts
    if not repository.path.strip("/"):
        raise UsageError(f"{url}: names no repository")
    name = _name("-".join(filter(None, (repository.path.rstrip("/").rpartition("/")[2]
                                        .removesuffix(".git"), ref))))  # fmt: skip
    return Source("git", urlunsplit(repository._replace(query="", fragment="")), ref, name)


def _checked(url: str) -> SplitResult:
    printable = url.isascii() and url.isprintable() and " " not in url
    if not printable or len(url) > LONGEST_URL:
        raise UsageError("the URL is too long, or holds what a URL cannot hold")
    try:
        parts = urlsplit(url)
        known = parts.port != 0 and parts.hostname
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not known:
        raise UsageError(f"{url}: only http:// and https:// URLs are fetched")
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL with a user name or password is refused: others could read it")
    return parts


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]


class Fetcher:
    """Fetches one source.

    Parameters
    ----------
    allow_private
        Whether addresses of this machine and of the local network are allowed.
    most_bytes, longest_s
        Bounds of everything that is fetched and unpacked.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        most_bytes: int = MOST_BYTES,
        longest_s: float = LONGEST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow_private = allow_private
        self._most_bytes = most_bytes
        self._longest_s = longest_s
        self._clock = clock
        self._end = clock() + longest_s

    def fetch(self, source: Source, place: Path) -> Path:
        """Fetch into an empty directory; return the directory that holds what was meant.

        Raises
        ------
        UsageError
            If there is no such thing, it is too large, or it is refused.
        UnreachableError
            If the server does not answer.
        """
        content = place / "content"
        content.mkdir()
        if source.kind == "git":
            self._clone(source, content)
            return content
        name = unquote(urlsplit(source.url).path).rstrip("/").rpartition("/")[2]
        if source.kind == "file":
            self._download(source.url, content / f"reana{Path(name).suffix}")
            return content
        archive = place / "archive"
        self._download(source.url, archive)
        unpack(archive, content, Budget(self._most_bytes, self._tick))
        return only_directory(content)

    def _tick(self) -> None:
        if self._clock() > self._end:
            raise UsageError(f"it takes longer than {self._longest_s:.0f} s and was given up")

    def _download(self, url: str, target: Path) -> None:
        try:
            with self._opener().open(url, timeout=_SOCKET_S) as reply, target.open("xb") as file:
                left = self._most_bytes
                while piece := reply.read1(_CHUNK):
                    self._tick()
                    left -= len(piece)
                    if left < 0:
                        raise UsageError(f"{url} is larger than {self._most_bytes} bytes")
                    file.write(piece)
        except urllib.error.HTTPError as error:
            error.close()
            raise UsageError(f"{url}: the server answers {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise UnreachableError(f"{url} cannot be fetched: {reason}") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        """Return what speaks http and https alone, and looks at whom it speaks to."""
        check = self._check_peer

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                check(self.sock, self.host, self.port)

        class SafeConnection(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                check(self.sock, self.host, self.port)

        class Http(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(Connection, request)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(SafeConnection, request)

        class Redirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *words: Any) -> Any:
                _checked(words[-1])
                return super().redirect_request(*words)

        opener = urllib.request.OpenerDirector()
        handlers = (urllib.request.ProxyHandler(), Http(), Https(), Redirect(),
                    urllib.request.HTTPDefaultErrorHandler(),
                    urllib.request.HTTPErrorProcessor())  # fmt: skip
        for handler in handlers:
            opener.add_handler(handler)
        return opener

    def _check_peer(self, sock: socket.socket, host: str, port: int) -> None:
        """Refuse a server of the local network, before anything is asked of it.

        A proxy of the site is spoken to on purpose; what it lets through is the site's affair.
        """
        if not self._allow_private and (host, port) not in _proxies():
            _require_public(sock.getpeername()[0])

    def _clone(self, source: Source, content: Path) -> None:
        git = shutil.which("git")
        if git is None:
            raise SiteError("there is no git here", hint="install it, or launch from an archive")
        argv = [git, *self._settings(source.url), "clone", "--quiet", "--no-tags",
                "--single-branch", "--no-recurse-submodules",
                *(("--branch", source.ref) if source.ref else ())]  # fmt: skip
        said = self._run([*argv, "--depth=1", "--", source.url, str(content)], content)
        if said and "shallow" in said:
            said = self._run([*argv, "--", source.url, str(content)], content)
        if said is not None:
            raise UsageError(f"{source.url} cannot be cloned: {said}")
        shutil.rmtree(content / ".git")
        out = links_that_lead_out(content)
        if out:
            raise UsageError(f"the repository is refused: the link {out[0]!a} leads out of it")

    def _settings(self, url: str) -> list[str]:
        """Return git's settings: http alone, no redirects, and the address that was looked at."""
        settings = ["protocol.allow=never", "protocol.http.allow=always",
                    "protocol.https.allow=always", "http.followRedirects=false",
                    "core.hooksPath=/dev/null", "credential.helper="]  # fmt: skip
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not self._allow_private and not _is_proxied(parts.scheme, host):
            port = parts.port or (443 if parts.scheme == "https" else 80)
            address = _public_address(host, port)
            # Older than 2.37, git looks the name up again.
            settings += [f"http.curloptResolve={host}:{port}:{address}"] * (host != address)
        return [word for setting in settings for word in ("-c", setting)]

    def _run(self, argv: list[str], content: Path) -> str | None:
        """Run git within the bounds; return what it said if it failed."""
        home = str(content.parent)
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"HOME": home, "XDG_CONFIG_HOME": home, "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C"}  # fmt: skip
        with (content.parent / "said").open("w+b") as said:
            process = subprocess.Popen(argv, env=env, cwd=home, stdin=subprocess.DEVNULL,
                                       stdout=said, stderr=said,
                                       start_new_session=True)  # fmt: skip
            try:
                self._attend(process, content)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            said.seek(0)
            text = said.read(4000).decode("utf-8", "replace")
        return " ".join(text.split())[-500:] if process.returncode else None

    def _attend(self, process: subprocess.Popen[bytes], content: Path) -> None:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
            self._tick()
            if _tree_size(content) > self._most_bytes:
                raise UsageError(f"the repository is larger than {self._most_bytes} bytes")
            if process.returncode is not None:
                return


def _tree_size(root: Path) -> int:
    """Return the bytes of a tree that somebody is writing to."""
    total = 0
    for folder, _, files in os.walk(root):
        for name in files:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def _proxies() -> set[tuple[str | None, int]]:
    """Return host and port of the proxies that the environment names."""
    named = urllib.request.getproxies()
    found = [named[scheme] for scheme in ("http", "https") if scheme in named]
    parts = [urlsplit(each if "//" in each else f"//{each}") for each in found]
    return {(each.hostname, each.port or 80) for each in parts}


def _is_proxied(scheme: str, host: str) -> bool:
    """Say whether git would ask a proxy of the site for a host."""
    return scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)


def _public_address(host: str, port: int) -> str:
    """Return an address of a host; all that it has must be public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnreachableError(f"{host} cannot be found: {error.strerror or error}") from error
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        _require_public(address)
    return addresses[0]


def _require_public(address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise UsageError(
            f"{address} is an address of this machine or of the local network, from which nothing "
            "is fetched here",
            hint="the site file can allow it: launch_from_local_network: true",
        )
