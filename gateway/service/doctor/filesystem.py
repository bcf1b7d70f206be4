"""The shared root: rename, hard links, locks, free space, free inodes, quota."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.tools import Run
from gateway.store.filesystem import filesystem_type, locks_work
from gateway.vocabulary.units import show_bytes

LITTLE_DISK = 1024**3
LITTLE_INODES = 10_000
NEARLY_FULL = 0.9
_NAME = "shared root"
_ROOM = (
    "make room: `gateway du`, `gateway delete`, `gateway tidy`; or set `shared_root` to another "
    "filesystem"
)
_OTHER = (
    "set `shared_root` to a directory that you can write, on a filesystem with hard links that "
    "worker nodes see"
)


def shared_root(root: Path, run: Run) -> Iterator[Check]:
    """Examine the directory that login and worker nodes share."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        yield fail(_NAME, f"{root}: {error.strerror}", _OTHER)
        return
    trouble = _what_fails(root)
    if trouble:
        yield fail(_NAME, f"{root} on {_kind(root)}: {trouble}", _OTHER)
        return
    yield ok(_NAME, f"{root} on {_kind(root)}: rename and hard links work{_locks(root)}")
    yield room(os.statvfs(root))
    yield from quota(run)


def _kind(root: Path) -> str:
    return filesystem_type(root) or "an unknown filesystem"


def _what_fails(root: Path) -> str:
    """Do what claims and exit records need; return what did not work."""
    place = root / f".doctor.{secrets.token_hex(6)}"
    step = "a directory cannot be made"
    try:
        place.mkdir(mode=0o700)
        mine, claim = place / "mine", place / "claim"
        step = "a file cannot be written"
        mine.write_text("probe")
        step = "hard links do not work"
        os.link(mine, claim)
        if claim.stat().st_ino != mine.stat().st_ino:
            return "a hard link is a copy here: two jobs could claim one attempt"
        step = "a second link to a name that exists is not refused"
        with suppress(FileExistsError):
            os.link(mine, claim)
            return step
        step = "a file cannot be renamed over another"
        (place / "part").write_text("whole")
        (place / "part").replace(mine)
        if mine.read_text() != "whole":
            return "a rename did not take effect"
    except OSError as error:
        return f"{step}: {error.strerror}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return ""


def _locks(root: Path) -> str:
    """Say whether locks work: nothing here needs them but a database in the same place."""
    try:
        return ", file locks work" if locks_work(root) else "; file locks do not (not needed here)"
    except OSError:
        return "; file locks do not (not needed here)"


def room(figures: os.statvfs_result) -> Check:
    """Judge free blocks and inodes; a filesystem without a count of inodes says 0 in all."""
    free, inodes = figures.f_bavail * figures.f_frsize, figures.f_favail
    counted = figures.f_files > 0
    found = f"{show_bytes(free)} and " + (f"{inodes:,} inodes free" if counted else "inodes free")
    name = f"{_NAME}: space"
    if free == 0 or (counted and inodes == 0):
        return fail(name, found, _ROOM)
    if free < LITTLE_DISK or (counted and inodes < LITTLE_INODES):
        return warn(name, found, _ROOM)
    return ok(name, found)


@dataclass(frozen=True, slots=True)
class Quota:
    """One line of ``quota``: used and allowed KiB and files; 0 means no limit."""

    filesystem: str
    kib: int
    most_kib: int
    files: int
    most_files: int

    @property
    def share(self) -> float:
        """How much of what is allowed is used, between 0 and 1 or more."""
        pairs = ((self.kib, self.most_kib), (self.files, self.most_files))
        return max((used / most for used, most in pairs if most), default=0.0)


def parse_quota(stdout: str) -> list[Quota]:
    """Read ``quota -w``: blocks, quota, limit, grace, files, quota, limit, grace in a row.

    A ``*`` marks what is exceeded; the grace column is empty or words such as ``6days``.
    """
    found = []
    for line in stdout.splitlines():
        words = line.split()
        numbers = [int(w.rstrip("*")) for w in words[1:] if re.fullmatch(r"\d{1,18}\*?", w)]
        if len(numbers) == 6:
            kib, soft, hard, files, few, most = numbers
            found.append(Quota(words[0], kib, soft or hard, files, few or most))
    return found


def quota(run: Run) -> Iterator[Check]:
    """Judge the user's quotas, where the command answers.

    ``quota`` ends with another status than 0 when one is exceeded.
    """
    for each in parse_quota(run(("quota", "-w")).stdout):
        name = f"quota on {each.filesystem}"
        if not each.most_kib and not each.most_files:
            continue
        blocks = f"{show_bytes(each.kib * 1024)} of {_most(each.most_kib and each.most_kib * 1024)}"
        files = f"{each.files:,} of {each.most_files or 'any number of'} files"
        if each.share >= 1:
            yield fail(name, f"used up: {blocks}, {files}", _ROOM)
        elif each.share >= NEARLY_FULL:
            yield warn(name, f"nearly used up: {blocks}, {files}", _ROOM)
        else:
            yield ok(name, f"{blocks}, {files}")


def _most(count: int) -> str:
    return show_bytes(count) if count else "any size"
