"""Layers: directory trees built once, named by a hash of what they were built from.

A layer holds what one build step wrote on top of the layers below it. A tree appears under its
final name by a rename, so a killed build leaves nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError
from .process import apart, need_programs, run
from .settings import RECIPE, cache_directory, certificate_authorities

SPACE_NEEDED = 4 * 1024**3
TREE = "tree"


@dataclass(frozen=True)
class Layer:
    """A built tree and the trees below it, topmost first."""

    path: Path
    below: tuple[Path, ...] = ()

    @property
    def stack(self) -> tuple[Path, ...]:
        return (self.path / TREE, *self.below)

    @property
    def overlay(self) -> str:
        return ":".join(str(tree) for tree in self.stack)


def digest(*parts: str | Path) -> str:
    """Hash of texts and of the contents and modes of files and directories."""
    total = hashlib.sha256()
    for part in parts:
        for name, data in _contents(part):
            total.update(f"{name}\0{len(data)}\0".encode())
            total.update(data)
    return total.hexdigest()[:12]


def _contents(part: str | Path) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "text", part.encode()
    elif part.is_dir():
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            yield f"{file.relative_to(part)} {file.stat().st_mode & 0o111:o}", file.read_bytes()
    else:
        yield part.name, part.read_bytes()


@contextmanager
def build_lock() -> Iterator[None]:
    """One build at a time per cache; a second one waits and then finds the work done."""
    cache = cache_directory()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TestbedError(f"cannot use the cache {cache}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        _clear_leftovers(cache / "unfinished")
        yield
    finally:
        os.close(handle)


def _clear_leftovers(directory: Path) -> None:
    if mounted_below(directory):
        raise TestbedError(f"something is mounted below {directory}; unmount it first")
    if directory.exists():
        shutil.rmtree(directory)


def mounted_below(directory: Path) -> bool:
    """Whether removing the directory would reach into another file system."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return any(Path(point).is_relative_to(directory) for point in points)


def say(text: str) -> None:
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def find(name: str) -> Path:
    return cache_directory() / "layers" / name


def cached() -> list[Path]:
    """Every finished layer."""
    return sorted((cache_directory() / "layers").glob("*"))


def publish(name: str, what: str, build: Callable[[Path], None]) -> Path:
    """The finished directory of that name; built now if it is not there. Hold the build lock."""
    final = find(name)
    if final.exists():
        return final
    _check_space(cache_directory())
    work = cache_directory() / "unfinished" / name
    work.mkdir(parents=True)
    say(f"building {what}")
    start = time.monotonic()
    build(work)
    final.parent.mkdir(parents=True, exist_ok=True)
    work.rename(final)
    say(f"built {what} in {time.monotonic() - start:.0f} s")
    return final


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < SPACE_NEEDED:
        raise TestbedError(
            f"{directory} has {free / 1e9:.1f} GB free; a build needs {SPACE_NEEDED / 1e9:.0f} GB. "
            "Make room or set GATEWAY_TESTBED_CACHE to another place."
        )


def debian(tree: Path, suite: str, packages: Sequence[str], variant: str = "minbase") -> None:
    """A root file system from Debian packages."""
    need_programs("unshare", "setpriv")
    _need_mmdebstrap()
    argv: list[str | Path] = [
        *apart(), "mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory",
        "--skip=cleanup/apt/lists",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Retries "3"',
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--include=" + " ".join(packages),
        suite,
        tree,
    ]  # fmt: skip
    run(argv, f"mmdebstrap of {suite}", tree.parent / "log")


def _need_mmdebstrap() -> None:
    if shutil.which("mmdebstrap") is None:
        need_programs("apt-get")
        say("installing mmdebstrap")
        run(["apt-get", "update", "-qq"], "apt-get update")
        run(["apt-get", "install", "-y", "-qq", "mmdebstrap"], "installing mmdebstrap")


def on_top(
    work: Path,
    below: Sequence[Path],
    command: Sequence[str],
    network: bool = True,
    shares: Mapping[str, Path] | None = None,
) -> None:
    """Run a command over the trees below; what it writes becomes `work`/tree.

    It finds the recipe in /run/recipe and what is shared with it in /run/share, both read-only.
    """
    pip_cache = cache_directory() / "pip"
    pip_cache.mkdir(exist_ok=True)
    shared = [f"--share={path}={name}" for name, path in (shares or {}).items()]
    argv: list[str | Path] = [
        *apart("--uts", *([] if network else ["--net"])),
        RECIPE / "host" / "in-layer", ":".join(map(str, below)), work, RECIPE, pip_cache,
        certificate_authorities(), "yes" if network else "no", *shared, "--", *command,
    ]  # fmt: skip
    run(argv, f"build step {' '.join(command)}", work / "log")
    shutil.rmtree(work / "scratch")
    (work / "merged").rmdir()


def disk_use(path: Path) -> int:
    """Bytes used below a path, as du counts them."""
    answer = subprocess.run(
        ["du", "-sxk", str(path)], stdout=subprocess.PIPE, text=True, check=False
    )
    return int(answer.stdout.split()[0]) * 1024 if answer.stdout else 0
