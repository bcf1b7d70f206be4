"""What a user's ``environment`` means: an image of a registry, or a file or directory.

Pure text: nothing here looks at a file system or a network, so a specification can be checked
anywhere. The grammar is that of the OCI distribution specification, with Docker's rule for what
counts as a registry: the first component, if it holds a dot or a colon or is ``localhost``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import UsageError

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset(
    {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
)
_IMAGE_FILES = (".sif", ".simg", ".img")
_REGISTRY_SCHEMES = frozenset({"docker"})
_APPTAINER_SCHEMES = frozenset({"oras", "library", "shub"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_EXAMPLE = "write for example python:3.13-slim, ghcr.io/group/image:1.0 or /path/to/image.sif"


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """An image that a registry knows by name.

    Parameters
    ----------
    written
        What the user wrote.
    registry
        Host, with a port if one was written; every name of Docker Hub becomes ``docker.io``.
    repository
        Path below the registry; ``library/`` is filled in for Docker Hub's own images.
    tag
        ``latest`` where neither tag nor digest was written, empty where only a digest was.
    digest
        ``sha256:...`` if the user pinned one: it wins over the tag.
    """

    written: str
    registry: str
    repository: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        """The one spelling that all spellings of the same image share."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def is_pinned(self) -> bool:
        """Whether the name can never mean another image."""
        return bool(self.digest)

    def at(self, digest: str) -> str:
        """Return the name of exactly this content, without a tag."""
        return f"{self.registry}/{self.repository}@{digest}"


@dataclass(frozen=True, slots=True)
class PathImage:
    """A SIF file or an unpacked image, named by its absolute path."""

    written: str
    path: str


ImageReference = RegistryImage | PathImage


def parse_reference(text: str, *, workspace: Path, home: Path) -> ImageReference:
    """Read what a user wrote as ``environment``.

    Parameters
    ----------
    text
        A registry name with or without ``docker://``, or a path: absolute, below ``~``, starting
        with ``./`` or ``../``, or ending like an image file. REANA takes text with ``.sif`` or
        ``cvmfs`` for a path as well.
    workspace
        Relative paths are taken from here, where the commands run.
    home
        What ``~`` means.

    Raises
    ------
    UsageError
        If the text names no image; the message says what is wrong with it.
    """
    words = text.strip()
    if not words:
        raise UsageError("the environment of a step is empty", hint=_EXAMPLE)
    bare = _without_scheme(words)
    if _is_path(bare):
        return PathImage(text, _absolute(bare, workspace, home))
    if re.search(r"\s|[\x00-\x1f\x7f]", bare):
        raise _wrong(words, "a name cannot hold spaces or control characters")
    return parse_registry_name(bare, written=text)


def parse_registry_name(name: str, *, written: str | None = None) -> RegistryImage:
    """Read the name of an image of a registry, without scheme; see ``parse_reference``."""
    written = name if written is None else written
    rest, at, digest = name.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(name, "after '@' must come sha256: and 64 hexadecimal digits in lower case")
    head, slash, tail = rest.partition("/")
    if slash and _is_host(head):
        registry, path = _registry(name, head), tail
    else:
        registry, path = DOCKER_HUB, rest
    repository, tag = _split_tag(name, path)
    _check_repository(name, repository)
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return RegistryImage(written, registry, repository, tag or ("" if digest else "latest"), digest)


def _without_scheme(text: str) -> str:
    match = _SCHEME.fullmatch(text)
    if match is None:
        return text
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return rest if rest.startswith(("/", "~")) else f"./{rest}"
    if scheme in _REGISTRY_SCHEMES:
        if _is_path(rest) and not rest.lower().endswith(_IMAGE_FILES):
            raise _wrong(text, "after docker:// must come a name, not a path")
        return rest
    if scheme in _APPTAINER_SCHEMES:
        raise UsageError(
            f"images of {scheme}:// are not supported: {text!r}",
            hint=f"fetch it once with `apptainer pull image.sif {text}` and write the path of the "
            "file, or use an image of a container registry",
        )
    raise _wrong(text, f"{scheme}:// names no image that could be run")


def _is_path(text: str) -> bool:
    starts = text.startswith(("/", "~", "./", "../")) or text in {".", ".."}
    return starts or text.lower().endswith(_IMAGE_FILES)


def _absolute(path: str, workspace: Path, home: Path) -> str:
    if "\0" in path or "\n" in path:
        raise _wrong(path, "a path cannot hold NUL characters or line breaks")
    if path == "~" or path.startswith("~/"):
        path = f"{home}{path[1:]}"
    elif path.startswith("~"):
        raise _wrong(path, "only '~/' is understood; write the home directory of others in full")
    return posixpath.normpath(posixpath.join(str(workspace), path))


def _is_host(component: str) -> bool:
    return (
        "." in component
        or ":" in component
        or component == "localhost"
        or component.lower() != component
    )


def _registry(name: str, host: str) -> str:
    if not {":", "."} & set(host) and host.lower() != "localhost":
        raise _wrong(name, "a repository is written in lower case")
    if not _HOST.fullmatch(host):
        raise _wrong(name, f"{host!r} is not the name of a registry")
    return DOCKER_HUB if host.lower() in _HUB_NAMES else host.lower()


def _split_tag(name: str, path: str) -> tuple[str, str]:
    repository, colon, tag = path.partition(":")
    if ":" in tag:
        raise _wrong(name, "it has two colons; only one tag can follow the name")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(name, f"{tag!r} is not a tag: letters, digits, '.', '_' and '-', at most 128")
    return repository, tag


def _check_repository(name: str, repository: str) -> None:
    if not repository:
        raise _wrong(name, "it has no repository")
    if repository.lower() != repository:
        raise _wrong(name, "a repository is written in lower case")
    if len(repository) > 255:
        raise _wrong(name, "a repository has at most 255 characters")
    if re.fullmatch(r"[0-9a-f]{64}", repository):
        raise _wrong(name, "it is the id of an image in somebody's Docker, which no registry knows")
    for component in repository.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise _wrong(name, f"{component!r} cannot be part of a repository")


def _wrong(text: str, why: str) -> UsageError:
    shown = text if len(text) <= 200 else text[:200] + "..."
    return UsageError(f"{shown!r} is not an image: {why}", hint=_EXAMPLE)
