"""Plan a staging: look at everything that is listed before anything is copied."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from gateway.errors import UsageError
from gateway.workspace.ignore import IGNORE_FILES, Rule, is_ignored, read_rules
from gateway.workspace.paths import relative_parts
from gateway.workspace.trouble import explain, show_path, translated


class Kind(Enum):
    """What will be made in the workspace."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing to make: its name in the workspace, its original, for a link its target."""

    name: str
    kind: Kind
    source: Path
    target: str = ""


@dataclass(slots=True)
class _Plan:
    base: Path
    rules: tuple[Rule, ...]
    skip: frozenset[tuple[int, int]]
    items: dict[str, Planned] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ignored: int = 0


def plan(
    files: Sequence[str], directories: Sequence[str], source_base: Path, workspace: Path
) -> tuple[list[Planned], list[str]]:
    """Return what to make, directories before what they hold and links last, and the notices.

    Raises
    ------
    UsageError
        Names everything that is missing or of the wrong kind.
    SiteError
        If a directory cannot be read.
    """
    base = Path(os.path.realpath(source_base))
    sheet = _Plan(base, _rules(base), _identities(workspace, workspace.parent))
    for name in files:
        _plan_named_file(sheet, name)
    for name in directories:
        _plan_named_directory(sheet, name)
    if sheet.problems:
        raise UsageError(
            "inputs cannot be staged: " + "; ".join(sheet.problems),
            hint=f"names are relative to {show_path(base)}",
        )
    _plan_links(sheet)
    if sheet.ignored:
        names = " and ".join(name for name in IGNORE_FILES if (base / name).is_file())
        sheet.notices.append(f"{sheet.ignored} files left out by {names}")
    order = {Kind.DIRECTORY: 0, Kind.FILE: 1, Kind.LINK: 2}
    return sorted(sheet.items.values(), key=lambda item: order[item.kind]), sheet.notices


def _rules(base: Path) -> tuple[Rule, ...]:
    lines: list[str] = []
    for name in IGNORE_FILES:
        if (base / name).is_file():
            with translated("read", base / name):
                lines += (base / name).read_text(encoding="utf-8", errors="replace").split("\n")
    return read_rules(lines)


def _identities(*paths: Path) -> frozenset[tuple[int, int]]:
    """Return what tells directories apart whatever they are called."""
    found = [path.stat() for path in paths if path.is_dir()]
    return frozenset((info.st_dev, info.st_ino) for info in found)


def _source(sheet: _Plan, name: str, wanted: str) -> tuple[str, Path] | None:
    """Find something that was named; what is wrong goes to the problems."""
    if name.startswith("/"):
        sheet.problems.append(f"{show_path(name)} is an absolute path")
        return None
    clean = "/".join(relative_parts(name))
    path = sheet.base / clean
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        sheet.problems.append(f"{show_path(name)} does not exist")
    except OSError as error:
        sheet.problems.append(str(explain(error, "read", path)))
    else:
        if stat.S_ISDIR(mode) == (wanted == "directory") and _is_plain(mode):
            return clean, path
        sheet.problems.append(f"{show_path(name)} is not a {wanted}")
    return None


def _is_plain(mode: int) -> bool:
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


def _plan_named_file(sheet: _Plan, name: str) -> None:
    found = _source(sheet, name, "file")
    if found:
        clean, path = found
        if path.is_symlink():
            sheet.notices.append(f"{show_path(clean)} is a link: its contents are staged")
        sheet.items[clean] = Planned(clean, Kind.FILE, path)


def _plan_named_directory(sheet: _Plan, name: str) -> None:
    found = _source(sheet, name, "directory")
    if found:
        _plan_tree(sheet, *found)


def _plan_tree(sheet: _Plan, top: str, path: Path) -> None:
    """Plan everything below a directory, without recursion and without following links."""
    todo = [(top, path)]
    while todo:
        name, where = todo.pop()
        if name:
            sheet.items.setdefault(name, Planned(name, Kind.DIRECTORY, where))
        with translated("read", where):
            entries = sorted(os.scandir(where), key=lambda entry: entry.name)
        for entry in entries:
            below = f"{name}/{entry.name}" if name else entry.name
            if entry.is_dir(follow_symlinks=False):
                if _is_ours(sheet, entry):
                    sheet.notices.append(f"{show_path(below)} belongs to the gateway: left out")
                else:
                    todo.append((below, Path(entry.path)))
            else:
                _plan_entry(sheet, below, entry)


def _is_ours(sheet: _Plan, entry: os.DirEntry[str]) -> bool:
    info = entry.stat(follow_symlinks=False)
    return (info.st_dev, info.st_ino) in sheet.skip


def _plan_entry(sheet: _Plan, name: str, entry: os.DirEntry[str]) -> None:
    if is_ignored(name, sheet.rules):
        sheet.ignored += name not in sheet.items
    elif entry.is_symlink():
        sheet.links[name] = entry.path
    elif entry.is_file(follow_symlinks=False):
        sheet.items.setdefault(name, Planned(name, Kind.FILE, Path(entry.path)))
    else:
        sheet.notices.append(f"{show_path(name)} is a FIFO, socket or device: left out")


def _plan_links(sheet: _Plan) -> None:
    """Keep the links whose targets are staged too, as relative links."""
    for name, path in sheet.links.items():
        if name in sheet.items:
            continue
        target = _inside(sheet, path)
        if target is None:
            sheet.notices.append(f"{show_path(name)} is a link to what is not staged: left out")
        else:
            relative = os.path.relpath(target, Path(name).parent)
            sheet.items[name] = Planned(name, Kind.LINK, Path(path), relative)


def _inside(sheet: _Plan, path: str) -> str | None:
    """Return where a link ends, relative to the base, if that is staged."""
    try:
        end = Path(os.path.realpath(path, strict=True)).relative_to(sheet.base)
    except (OSError, ValueError):
        return None
    name = "" if end == Path() else str(end)
    return name if name in sheet.items else None
