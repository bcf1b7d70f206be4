"""Bring an image into the store: the program of a fetch job.

``python -m gateway.containers.fetch --reference NAME --store DIR --result FILE`` asks the registry
what the name means now, converts the image unless somebody else has or does, and writes down what
the name means. It may be killed at any moment and started again, and any number of copies may run
anywhere: one converts, the others wait.

It runs on nodes as well, so it needs nothing beyond the standard library. The last line of
standard output is the result as JSON; the exit code is that of ``ExitCode``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

from gateway.containers import conversion, registry
from gateway.containers.claims import Claim, dead_tokens
from gateway.containers.credentials import Credentials, find_credentials
from gateway.containers.failure import ImageUnavailableError, cannot_write
from gateway.containers.image_store import (
    ImageRecord,
    architecture,
    is_sif,
    read_record,
    sif_path,
    write_record,
)
from gateway.containers.reference import RegistryImage, parse_registry_name
from gateway.containers.result import Fetched, FetchFailed, FetchResult, write_result
from gateway.crash_points import CrashPoint, crash_point
from gateway.errors import ExitCode, UsageError

_PAUSES_S = (1.0, 4.0)
"""Between tries to ask a registry."""
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Fetch:
    """What to fetch, and everything of the outside world that it takes.

    Parameters
    ----------
    temporary
        Directory for layers and the unpacked tree, best on a local disk; ``None`` for the store.
    timeout_s
        For everything together, in seconds.
    """

    image: RegistryImage
    store: Path
    temporary: Path | None
    timeout_s: float
    environment: Mapping[str, str] = field(repr=False)
    home: Path
    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    resolve: Callable[..., registry.Resolution] = registry.resolve
    convert: Callable[[conversion.Conversion, str, Mapping[str, str]], None] = conversion.convert
    find_runtime: Callable[[], str] = conversion.find_runtime


def fetch(job: Fetch) -> Fetched:
    """Make the image usable and say where it is.

    Raises
    ------
    ImageUnavailableError
        In words, and whether trying again can help.
    """
    deadline = job.now() + job.timeout_s
    login = find_credentials(job.image.registry, job.environment, job.home)
    try:
        resolution = _ask(job, login, deadline)
    except ImageUnavailableError as error:
        known = None if error.permanent else read_record(job.store, job.image.name)
        if known is None:
            raise
        note = f"{error.message}; the image of an earlier answer is used ({known.digest})"
        return Fetched(known.resolved(job.image.written), note)
    asked_at = job.now()
    path = sif_path(job.store, resolution.digest, architecture())
    try:
        if is_sif(path):
            runtime = ""
            _tidy(job, path)
        else:
            runtime = _convert_once(job, resolution, login, path, deadline)
        record = _record(job, resolution.digest, path, asked_at, runtime)
        write_record(job.store, record)
        crash_point(CrashPoint.IMAGE_RECORDED)
    except OSError as error:
        raise cannot_write(f"the image store {job.store} cannot be written", error) from error
    return Fetched(record.resolved(job.image.written))


def _ask(job: Fetch, login: Credentials | None, deadline: float) -> registry.Resolution:
    """Ask the registry, again after trouble that may pass soon."""
    for pause in (*_PAUSES_S, None):
        try:
            return job.resolve(job.image, login, timeout_s=min(30.0, job.timeout_s))
        except ImageUnavailableError as error:
            if error.permanent or error.retry_after_s or pause is None:
                raise
            if job.now() + pause > deadline:
                raise
            job.pause(pause)
    raise AssertionError("unreachable")


def _record(job: Fetch, digest: str, path: Path, asked_at: float, runtime: str) -> ImageRecord:
    status = path.stat()
    known = read_record(job.store, job.image.name)
    if not runtime and known and known.digest == digest:
        runtime = known.runtime
    return ImageRecord(
        reference=job.image.written,
        name=job.image.name,
        digest=digest,
        path=str(path),
        resolved_at=asked_at,
        size=status.st_size,
        arch=architecture(),
        runtime=runtime,
        converted_at=status.st_mtime,
    )


def _convert_once(
    job: Fetch,
    resolution: registry.Resolution,
    login: Credentials | None,
    path: Path,
    deadline: float,
) -> str:
    """Convert the image, or wait until another process has; return the runtime's version."""
    with Claim(job.store, path.name, pause=job.pause) as claim:
        while not is_sif(path):
            if claim.take():
                crash_point(CrashPoint.CLAIM_TAKEN)
                return _convert(job, resolution, login, path, deadline, claim)
            if job.now() > deadline:
                owner = claim.owner()
                raise ImageUnavailableError(
                    f"image {job.image.name} is still being converted"
                    + (f" by process {owner.pid} on {owner.node}" if owner else ""),
                    permanent=False,
                )
            job.pause(_POLL_S)
    return ""


def _convert(
    job: Fetch,
    resolution: registry.Resolution,
    login: Credentials | None,
    path: Path,
    deadline: float,
    claim: Claim,
) -> str:
    if is_sif(path):
        return ""
    _clean(job.store, claim)
    runtime = job.find_runtime()
    folder = job.store / "partial" / claim.token
    folder.mkdir(parents=True)
    work = folder
    try:
        if job.temporary:
            work = _private_directory(job.temporary)
        order = conversion.Conversion(
            name=job.image.name,
            source=job.image.at(resolution.digest),
            target=folder / path.name,
            work=work,
            timeout_s=max(1.0, deadline - job.now()),
            plain_http=resolution.plain_http,
            credentials=login,
        )
        job.convert(order, runtime, job.environment)
        crash_point(CrashPoint.SIF_WRITTEN)
        _publish(order.target, path)
    finally:
        for leftover in (work, folder):
            if leftover.exists():
                conversion.remove_tree(leftover)
    return conversion.runtime_version(runtime)


def _private_directory(parent: Path) -> Path:
    try:
        return Path(mkdtemp(prefix="gateway-image-", dir=parent))
    except OSError as error:
        raise cannot_write(f"layers cannot be unpacked below {parent}", error) from error


def _publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, once its bytes are on the disk."""
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    crash_point(CrashPoint.SIF_SYNCED)
    partial.replace(path)
    crash_point(CrashPoint.SIF_NAMED)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _tidy(job: Fetch, path: Path) -> None:
    """Look for leftovers where nothing is to be converted: unpacked layers may be large."""
    with contextlib.suppress(OSError):
        if any((job.store / "partial").iterdir()):
            with Claim(job.store, path.name, pause=job.pause) as claim:
                _clean(job.store, claim)


def _clean(store: Path, claim: Claim) -> None:
    """Remove what dead fetches left behind."""
    for token in dead_tokens(store, claim):
        folder = store / "partial" / token
        if folder.exists():
            conversion.remove_tree(folder)
        with contextlib.suppress(OSError):
            (store / "claims" / f".{token}").unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a fetch job."""
    options = _parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        result = _outcome(options)
    except KeyboardInterrupt:
        result = FetchFailed("the fetch was stopped", permanent=False)
    with contextlib.suppress(OSError):
        if options.result:
            write_result(options.result, result)
            crash_point(CrashPoint.RESULT_WRITTEN)
    print(json.dumps(result.to_json()), flush=True)
    if isinstance(result, Fetched):
        return ExitCode.OK
    return ExitCode.SITE if result.permanent else ExitCode.UNREACHABLE


def _outcome(options: argparse.Namespace) -> FetchResult:
    try:
        job = Fetch(
            image=parse_registry_name(options.reference, written=options.written),
            store=options.store.absolute(),
            temporary=options.tmp or _temporary(os.environ),
            timeout_s=options.timeout,
            environment=dict(os.environ),
            home=Path.home(),
        )
        return fetch(job)
    except UsageError as error:
        return FetchFailed(error.message, permanent=True, hint=error.hint)
    except ImageUnavailableError as error:
        return FetchFailed.of(error)
    except OSError as error:
        return FetchFailed.of(cannot_write(f"image {options.reference} cannot be fetched", error))


def _temporary(environment: Mapping[str, str]) -> Path | None:
    folder = environment.get("TMPDIR")
    return Path(folder) if folder else None


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway.containers.fetch", description=__doc__)
    parser.add_argument("--reference", required=True, help="normalised name of the image")
    parser.add_argument("--written", help="the name as the user wrote it")
    parser.add_argument("--store", required=True, type=Path, help="directory of converted images")
    parser.add_argument("--result", type=Path, help="file for the result")
    parser.add_argument("--tmp", type=Path, help="directory for layers; default $TMPDIR, the store")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for everything")
    return parser


if __name__ == "__main__":
    sys.exit(main())
