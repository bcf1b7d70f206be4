"""The control directory: what the gateway and a job script tell each other through files.

Layout and file names are those of ``job.sh``. Everything is written by temp and rename, so a
reader sees a whole file or none. Knows no scheduler.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Container, Iterator, Mapping, MutableMapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from gateway.quoting import shell_command, shell_name, shell_word
from gateway.submitters.base import Submission
from gateway.vocabulary.evidence import Claim, ExitRecord
from gateway.vocabulary.launch import CONTAINER, MOUNTED, SCRATCH, SOURCED, Launch

Record = TypeVar("Record", Claim, ExitRecord)
_SUBDIRECTORIES = ("tasks", "stop", "claims", "logs", "exits")
_ATTEMPT_KEY = re.compile(r"[0-9a-f]{32}\.[0-9]+")
_RUNTIME_VARIABLES = {SCRATCH: "GATEWAY_SCRATCH", CONTAINER: "GATEWAY_CONTAINER"}


def prepare(submission: Submission, launches: Mapping[str, Launch]) -> None:
    """Write everything a job script needs; safe to repeat.

    Parameters
    ----------
    launches
        By attempt key.

    Raises
    ------
    OSError
        If the control directory cannot be written; nothing was sent then.
    """
    for name in _SUBDIRECTORIES:
        (submission.control_dir / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    script = files("gateway.submitters").joinpath("job.sh").read_text()
    write_whole(submission.control_dir / "job.sh", script)
    for task in submission.tasks:
        write_secrets(launches[task.key])
        text = task_script(task.key, launches[task.key])
        write_whole(submission.control_dir / "tasks" / f"{task.index}.sh", text)


def task_script(key: str, launch: Launch) -> str:
    """Return the shell text that ``job.sh`` sources for one task."""
    exports = _exports(launch.env, launch)
    if launch.secrets.env:
        environment = shell_word(str(Path(launch.secrets_dir, SOURCED)))
        exports += f"    . {environment} || exit 126\n"
    runtime = shell_command(launch.runtime, _RUNTIME_VARIABLES)
    return (
        f"GATEWAY_KEY={shell_word(key)}\n"
        "gateway_run() {\n"
        f"    cd {shell_word(launch.workspace)} || exit 126\n"
        f"{exports}"
        f"    exec {runtime} {shell_command(launch.inner)}\n"
        "}\n"
    )


def _exports(env: Mapping[str, str], launch: Launch) -> str:
    return "".join(
        f"    export {_exported_name(name, launch)}={shell_word(value)}\n"
        for name, value in sorted(env.items())
    )


def _exported_name(name: str, launch: Launch) -> str:
    """Apptainer hands on the variables whose names carry its own prefix."""
    name = shell_name(name)
    if launch.runtime and launch.runtime[0] == CONTAINER:
        return f'"${{container_prefix}}ENV_{name}"'
    return name


def write_secrets(launch: Launch) -> None:
    """Write the secrets of an attempt for its owner alone; safe to repeat.

    Each file is replaced whole: a late copy of an earlier call may be reading it.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    directory = Path(launch.secrets_dir)
    if not launch.secrets and not (launch.secrets_dir and directory.exists()):
        return
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mounted = directory / MOUNTED
    for each in (directory, mounted):
        each.mkdir(exist_ok=True, mode=0o700)
    for name, content in launch.secrets.files.items():
        _write_private(directory, mounted / name, content, 0o400)
    for name in set(os.listdir(mounted)) - set(launch.secrets.files):
        (mounted / name).unlink()
    text = _exports(launch.secrets.env, launch)
    _write_private(directory, directory / SOURCED, text.encode(), 0o600)


def _write_private(directory: Path, path: Path, content: bytes, mode: int) -> None:
    part = directory / ".part"
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)


def kept_secrets(root: Path) -> list[str]:
    """Return the keys of the attempts whose secrets lie below a directory."""
    try:
        return [name for name in os.listdir(root) if _ATTEMPT_KEY.fullmatch(name)]
    except FileNotFoundError:
        return []


def remove_secrets(root: Path, key: str) -> None:
    """Remove the secrets of an attempt."""
    shutil.rmtree(root / key, ignore_errors=True)


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that it is complete or absent, also after a crash."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)


def forbid_start(control_dir: Path, index: int) -> None:
    """Keep a task that has not been claimed yet from ever starting its command."""
    write_whole(control_dir / "stop" / str(index), "")


def read_claims(
    control_dir: Path,
    wanted: Container[int] | None = None,
    known: MutableMapping[str, Claim] | None = None,
) -> dict[int, Claim]:
    """Return, for each wanted task that was claimed, the claim of its highest restart.

    ``known`` holds claims by file name, and gains those that are read: a claim never changes, and
    a shared filesystem should not be asked for it again and again. The name alone shows that a
    task was claimed: where the content cannot be seen yet, the claim says only that.

    Raises
    ------
    OSError
        If the filesystem does not answer: that is no proof that there are none.
    """
    known = {} if known is None else known
    folder = control_dir / "claims"
    found: dict[int, Claim] = {}
    for index, name in _named(folder, "", wanted):
        claim = known.get(name) or _build(Claim, _content(folder / name))
        if claim is None:
            restart, at = int(name.partition(".")[2]), (folder / name).stat().st_mtime
            claim = Claim(key="", restart=restart, native_id="", node="", claimed_at=at)
        else:
            known[name] = claim
        if index not in found or claim.restart > found[index].restart:
            found[index] = claim
    return found


def claimed(control_dir: Path) -> frozenset[int]:
    """Return the tasks that were claimed, by the names of their claims.

    Raises
    ------
    OSError
        If that cannot be known: also where the directory is not there.
    """
    names = (entry.name.partition(".") for entry in os.scandir(control_dir / "claims"))
    return frozenset(int(index) for index, _, _ in names if index.isdecimal())


def discard(control_dir: Path) -> None:
    """Remove the files of a submission that no scheduler has.

    A copy that comes all the same finds no job script, and so runs nothing.
    """
    shutil.rmtree(control_dir, ignore_errors=True)


def read_exit_records(
    control_dir: Path, wanted: Container[int] | None = None
) -> dict[int, ExitRecord]:
    """Return, for each wanted task that ended, the record of its highest restart.

    Raises
    ------
    OSError
        If the filesystem does not answer.
    """
    found: dict[int, ExitRecord] = {}
    folder = control_dir / "exits"
    for index, name in _named(folder, ".json", wanted):
        record = _build(ExitRecord, _content(folder / name))
        if record and (index not in found or record.restart > found[index].restart):
            found[index] = record
    return found


def _named(folder: Path, suffix: str, wanted: Container[int] | None) -> Iterator[tuple[int, str]]:
    """Yield index and file name of the records wanted; one listing, no locks."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return
    for name in names:
        index, _, restart = name.removesuffix(suffix).partition(".")
        if name.startswith(".") or not (index.isdecimal() and restart.isdecimal()):
            continue
        if wanted is None or int(index) in wanted:
            yield int(index), name


def _content(path: Path) -> dict[str, Any]:
    """Return a record, or nothing while it cannot be read whole."""
    try:
        # The last words of a program need not be UTF-8.
        data = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) and isinstance(data.get("restart"), int) else {}


def _build(kind: type[Record], data: dict[str, Any]) -> Record | None:
    """Build a record, or nothing where a half-seen file lacks a field."""
    try:
        return kind(**data)
    except TypeError:
        return None


def exit_record_path(control_dir: Path, index: int, restart: int) -> Path:
    """Return the file that says how a task ended."""
    return control_dir / "exits" / f"{index}.{restart}.json"


def log_paths(control_dir: Path, index: int, restart: int) -> tuple[Path, Path]:
    """Return the files of standard output and standard error."""
    stem = f"{index}.{restart}"
    return control_dir / "logs" / f"{stem}.out", control_dir / "logs" / f"{stem}.err"
