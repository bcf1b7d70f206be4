"""The files of workspaces."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from gateway.client import transfers
from gateway.client.http import Call, Wire, workflow_path
from gateway.client.parallel import ParallelTransfers
from gateway.client.results import (
    Diff,
    RemoteFile,
    Removal,
    RetentionRule,
    Transfer,
    Usage,
    time_of,
)
from gateway.client.transfers import OnProgress, workspace_path
from gateway.errors import NotFoundError, UsageError


def _nobody(_: Transfer) -> None:
    pass


class FileCalls:
    """What can be done with the files of a workflow."""

    wire: Wire

    def ls(
        self,
        workflow: str,
        pattern: str | None = None,
        *,
        search: str | None = None,
        size: int | None = None,
        last_modified: str | None = None,
    ) -> tuple[RemoteFile, ...]:
        """Return the files of a workspace: all, or those of a glob or directory.

        Parameters
        ----------
        search
            Part of the name.
        size, last_modified
            Part of the number of bytes, and of the time as the server writes it.
        """
        asked = {"name": search, "size": size, "last-modified": last_modified}
        words = {key: [str(value)] for key, value in asked.items() if value is not None}
        found = self.wire.get(
            workspace_path(workflow),
            page=1,
            file_name=pattern or None,
            search=json.dumps(words) if words else None,
        )
        return tuple(RemoteFile.read(each) for each in found["items"])

    def upload(
        self,
        workflow: str,
        sources: Iterable[str | Path],
        *,
        base: Path | None = None,
        progress: OnProgress = _nobody,
    ) -> tuple[str, ...]:
        """Upload files and directories; return their names in the workspace.

        Parameters
        ----------
        base
            Names are relative to it; default: the current directory. What lies outside keeps its
            whole path, as with REANA's client.

        Raises
        ------
        NotFoundError, UsageError
            If a source does not exist or is neither file nor directory; nothing was sent.
        """
        root = Path(os.path.abspath(base or Path.cwd()))  # noqa: PTH100 - links stay as they are
        found = {name_in_workspace(path, root): path for path in _files_below(sources, root)}
        return self.upload_as(workflow, found.items(), progress=progress)

    def upload_as(
        self,
        workflow: str,
        named: Iterable[tuple[str, Path]],
        *,
        progress: OnProgress = _nobody,
    ) -> tuple[str, ...]:
        """Upload files under given names; return the names."""
        names = []
        for name, source in named:
            transfers.store(self.wire, workflow, name, source, progress)
            names.append(name)
        return tuple(names)

    def download(
        self,
        workflow: str,
        patterns: Sequence[str] = (),
        destination: str | Path = ".",
        *,
        progress: OnProgress = _nobody,
    ) -> tuple[Path, ...]:
        """Download files, globs or directories; without patterns, the declared outputs.

        A file appears whole or not at all. A broken line is taken up where it broke. A few files
        come at once; ``progress`` is called by one thread at a time.

        Raises
        ------
        NotFoundError
            If anything asked for does not exist; what exists was downloaded.
        """
        files, missing = self._selected(workflow, patterns or self.declared_outputs(workflow))
        jobs = [(name, _inside(Path(destination), name)) for name in files]

        with ParallelTransfers(progress) as crew:
            saved = crew.carry(
                jobs, lambda job: transfers.save(self.wire, workflow, *job, crew.tell)
            )
        _require_found(workflow, missing, f"; files downloaded: {len(saved)}" if saved else "")
        return saved

    def read(self, workflow: str, name: str, out: BinaryIO, progress: OnProgress = _nobody) -> int:
        """Write one file to a stream; return its size."""
        return transfers.copy_out(self.wire, workflow, name, out, progress, seekable=False)

    def selected(self, workflow: str, patterns: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the names of the files that patterns mean; without any, the declared outputs.

        Raises
        ------
        NotFoundError
            If anything asked for does not exist.
        """
        files, missing = self._selected(workflow, patterns or self.declared_outputs(workflow))
        _require_found(workflow, missing, "")
        return tuple(files)

    def archive(
        self,
        workflow: str,
        target: str | Path,
        patterns: Sequence[str] = (),
        *,
        kind: Literal["tar", "zip"] | None = None,
        progress: OnProgress = _nobody,
    ) -> int:
        """Download files into one archive, which appears whole or not at all; return their number.

        Parameters
        ----------
        kind
            Default: by the name's end.
        """
        path = Path(target)
        names = self.selected(workflow, patterns)
        wanted = kind or ("zip" if path.suffix == ".zip" else "tar")
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
        pack = _pack_zip if wanted == "zip" else _pack_tar

        def fetched(name: str, out: BinaryIO) -> int:
            return transfers.copy_out(self.wire, workflow, name, out, progress)

        try:
            with part.open("xb") as out, tempfile.TemporaryFile(dir=path.parent) as member:
                pack(out, names, fetched, member)
            part.replace(path)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror or error}",
                hint="name a file in a directory that exists and that you can write to",
            ) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return len(names)

    def declared_outputs(self, workflow: str) -> tuple[str, ...]:
        """Return the outputs that the specification declares.

        Raises
        ------
        UsageError
            If it declares none.
        """
        outputs = self.specification(workflow).get("outputs") or {}
        declared = (*(outputs.get("files") or ()), *(outputs.get("directories") or ()))
        if not declared:
            raise UsageError(
                f"the specification of {workflow} declares no outputs",
                hint="name the files to download, for example 'results/*'",
            )
        return tuple(declared)

    def specification(self, workflow: str) -> dict[str, Any]:
        """Return the specification of a workflow."""
        path = f"{workflow_path(workflow)}/specification"
        found: dict[str, Any] = self.wire.get(path)["specification"]
        return found

    def _selected(self, workflow: str, patterns: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the files that patterns mean, each once, and the patterns that mean none."""
        everything: set[str] | None = None
        names: dict[str, None] = {}
        missing = []
        for pattern in patterns:
            found = [each.name for each in self.ls(workflow, pattern)]
            if everything is None:
                everything = {each.name for each in self.ls(workflow)}
            files = [name for name in found if name in everything]
            for directory in [name for name in found if name not in everything]:
                files += sorted(n for n in everything if n.startswith(f"{directory.rstrip('/')}/"))
            names |= dict.fromkeys(files)
            if not found:
                missing.append(pattern)
        return list(names), missing

    def rm(self, workflow: str, patterns: Iterable[str]) -> Removal:
        """Remove files that patterns name."""
        deleted: dict[str, int] = {}
        failed: dict[str, str] = {}
        for pattern in patterns:
            path = f"{workspace_path(workflow)}/{quote(pattern, safe='')}"
            found = self.wire.send(Call("DELETE", path))
            deleted |= {name: each["size"] for name, each in found["deleted"].items()}
            failed |= {name: each["error"] for name, each in found["failed"].items()}
        return Removal(deleted, failed)

    def mv(self, workflow: str, source: str, target: str) -> None:
        """Rename a file or directory within the workspace."""
        path = workflow_path(workflow, "/api/workflows/move_files")
        self.wire.send(Call("PUT", path, {"source": source, "target": target}))

    def du(
        self, workflow: str, pattern: str | None = None, *, summarize: bool = False
    ) -> tuple[Usage, ...]:
        """Return allocated bytes of directories and files, or of all together."""
        body: dict[str, object] = {"summarize": summarize}
        if pattern:
            body["search"] = json.dumps({"name": [pattern]})
        path = f"{workflow_path(workflow)}/disk_usage"
        found = self.wire.send(Call("GET", path, body=body, repeatable=True))
        return tuple(Usage(each["name"], each["size"]["raw"]) for each in found["disk_usage_info"])

    def diff(
        self, workflow: str, other: str, *, brief: bool = False, context_lines: int = 5
    ) -> Diff:
        """Compare two workflows: specifications and workspaces."""
        found = self.wire.get(
            f"{workflow_path(workflow)}/diff/{quote(other, safe='')}",
            brief=brief,
            context_lines=context_lines,
        )
        sections = json.loads(found["reana_specification"])
        listing = json.loads(found["workspace_listing"])
        return Diff({name: tuple(lines) for name, lines in sections.items()}, str(listing))

    def retention_rules(self, workflow: str) -> tuple[RetentionRule, ...]:
        """Return how long files of a workspace are kept."""
        found = self.wire.get(f"{workflow_path(workflow)}/retention_rules")["retention_rules"]
        return tuple(
            RetentionRule(
                each["workspace_files"],
                each["retention_days"],
                each["status"],
                time_of(each["apply_on"]),
            )
            for each in found
        )

    def prune(
        self, workflow: str, *, include_inputs: bool = False, include_outputs: bool = False
    ) -> str:
        """Remove everything that is neither declared input nor output; return what was said."""
        query = {"include_inputs": include_inputs, "include_outputs": include_outputs}
        path = f"{workflow_path(workflow)}/prune"
        return str(self.wire.send(Call("POST", path, query))["message"])


def _require_found(workflow: str, missing: Sequence[str], more: str) -> None:
    if missing:
        raise NotFoundError(
            f"not in the workspace of {workflow}: {', '.join(missing)}{more}",
            hint=f"`gateway ls -w {workflow}` shows what is there",
        )


def _inside(destination: Path, name: str) -> Path:
    """Return where a file goes; a server cannot make us write elsewhere."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise UsageError(f"the server names a file {name!r}, which cannot be saved here")
    return destination.joinpath(*parts)


def name_in_workspace(path: Path, base: Path) -> str:
    """Return the name under which a local file is stored."""
    absolute = Path(os.path.normpath(base / path))
    try:
        return absolute.relative_to(base).as_posix()
    except ValueError:
        return absolute.as_posix().lstrip("/")


def _files_below(sources: Iterable[str | Path], base: Path) -> Iterator[Path]:
    for source in sources:
        path = base / source
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise NotFoundError(f"{source} does not exist") from error
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise UsageError(f"{source} is neither a file nor a directory")


Fetch = Callable[[str, BinaryIO], int]


def _members(names: Sequence[str], fetch: Fetch, member: BinaryIO) -> Iterator[tuple[str, int]]:
    """Bring one file after the other into ``member``; yield name and size.

    An archive wants the size before the content, and a broken line wants to be taken up.
    """
    for name in names:
        member.seek(0)
        member.truncate()
        size = fetch(name, member)
        member.seek(0)
        yield name, size


def _pack_tar(out: BinaryIO, names: Sequence[str], fetch: Fetch, member: BinaryIO) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for name, size in _members(names, fetch, member):
            header = tarfile.TarInfo(name)
            header.size, header.mode, header.mtime = size, 0o644, int(time.time())
            packed.addfile(header, member)


def _pack_zip(out: BinaryIO, names: Sequence[str], fetch: Fetch, member: BinaryIO) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, _ in _members(names, fetch, member):
            header = zipfile.ZipInfo(name, time.localtime()[:6])
            header.compress_type = zipfile.ZIP_DEFLATED
            with packed.open(header, "w", force_zip64=True) as entry:
                shutil.copyfileobj(member, entry, transfers.CHUNK)
