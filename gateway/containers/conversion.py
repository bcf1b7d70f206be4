"""Turn an image of a registry into a SIF file with Apptainer.

Layers and the unpacked tree go into private directories that are removed afterwards: Apptainer's
own cache in the home directory fills quotas, and several nodes that share it break it. Knows
neither claims nor records.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.containers.credentials import Credentials
from gateway.containers.failure import ImageUnavailableError
from gateway.containers.image_store import is_sif
from gateway.crash_points import CrashPoint, crash_point

FAST_COMPRESSION = ("--mksquashfs-args", "-comp zstd -Xcompression-level 3 -mem 512M")
"""Six to nine times faster than the default gzip, and of the same size.

The limit of memory is there because ``mksquashfs`` takes a quarter of the node's otherwise, however
little of it the job has.
"""

_COMPRESSION_REFUSED = re.compile(
    r"unknown flag|unknown shorthand|Compressor \"?zstd|-Xcompression-level|invalid compressor"
    r"|-comp[a-z]*: ",
    re.IGNORECASE,
)
_MOUNT_REFUSED = re.compile(r"squash|zstd|compress|mount.*image|invalid argument", re.IGNORECASE)
_CAUSES: tuple[tuple[str, str, bool, str], ...] = (
    (r"no space left on device", "no space is left", False, "free space, or point $TMPDIR and "
     "containers.image_store to file systems with more room"),
    (r"disk quota exceeded", "the quota is used up", False, "free space, or point "
     "containers.image_store to a file system with more room"),
    (r"toomanyrequests|too many requests|\b429\b", "the registry has had too many requests from "
     "here", False, "log in for a higher limit, or let the site keep the image (image_map)"),
    (r"no image found in (image index|manifest list) for architecture|no match for platform"
     r"|does not match target platform", "it does not exist for the architecture of this host",
     True, ""),
    (r"manifest unknown|name unknown|requested access to the resource is denied|unauthorized",
     "the registry has no such image, or you may not read it", True, ""),
    (r"(user namespace|newuidmap|clone).*(not permitted|disabled|operation)|no setuid installation",
     "Apptainer may not create user namespaces on this host", True,
     "the site must allow user namespaces or install Apptainer setuid"),
    (r"unsupported media type|not a valid OCI|unsupported MIME|application/vnd\.\S+ (is )?not",
     "it is not a container image", True, ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion.

    Parameters
    ----------
    name
        For messages.
    source
        Name of exactly this content, without ``docker://``.
    target
        File to write; must not exist.
    work
        Empty private directory for layers and the unpacked tree.
    credentials
        Handed over in the environment.
    timeout_s
        Longest time for it, in seconds.
    """

    name: str
    source: str
    target: Path
    work: Path
    timeout_s: float
    plain_http: bool = False
    credentials: Credentials | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int
    text: str


def find_runtime(search: Callable[[str], str | None] = shutil.which) -> str:
    """Return the path of ``apptainer`` or ``singularity``.

    Raises
    ------
    ImageUnavailableError
        If the host has neither.
    """
    found = search("apptainer") or search("singularity")
    if found is None:
        raise ImageUnavailableError(
            f"host {os.uname().nodename} has neither apptainer nor singularity",
            permanent=True,
            hint="set containers.build_cluster to a cluster whose nodes have it",
        )
    return found


def runtime_version(runtime: str) -> str:
    """Return what the runtime says of itself, or nothing."""
    try:
        return subprocess.run(
            [runtime, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def convert(job: Conversion, runtime: str, environment: Mapping[str, str]) -> None:
    """Write the SIF file.

    Raises
    ------
    ImageUnavailableError
        If it cannot be written; the target does not exist then.
    """
    variables = build_environment(job, environment)
    for compression in (FAST_COMPRESSION, ()):
        ended = _run(build_argv(job, runtime, compression), variables, job)
        built = ended.status == 0 and is_sif(job.target)
        if built and not (compression and _cannot_be_mounted(job.target, runtime, variables)):
            return
        job.target.unlink(missing_ok=True)
        if not built and not _COMPRESSION_REFUSED.search(ended.text):
            break
    raise explain(job, ended.status, ended.text)


def _cannot_be_mounted(image: Path, runtime: str, variables: Mapping[str, str]) -> bool:
    """Tell whether this host's kernel or squashfuse lacks the compression of an image.

    Other trouble, such as an image without a shell, does not count.
    """
    argv = [runtime, "-s", "exec", "--cleanenv", "--contain", str(image), "/bin/sh", "-c", ":"]
    try:
        ran = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, env=dict(variables)
        )
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode != 0 and bool(_MOUNT_REFUSED.search(ran.stderr))


def build_argv(job: Conversion, runtime: str, compression: tuple[str, ...]) -> list[str]:
    """Return the command line of a conversion."""
    insecure = ["--no-https"] if job.plain_http else []
    source = f"docker://{job.source}"
    return [runtime, "build", *insecure, *compression, str(job.target), source]


def build_environment(job: Conversion, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a conversion, under both names that the runtime has had."""
    ours = {"CACHEDIR": str(job.work / "cache"), "TMPDIR": str(job.work / "tmp")}
    if job.credentials:
        ours["DOCKER_USERNAME"] = job.credentials.user
        ours["DOCKER_PASSWORD"] = job.credentials.password
    settings = {
        f"{prefix}_{name}": value
        for prefix in ("APPTAINER", "SINGULARITY")
        for name, value in ours.items()
    }
    return {**environment, "TMPDIR": ours["TMPDIR"], **settings}


def explain(job: Conversion, status: int, text: str) -> ImageUnavailableError:
    """Say why a conversion failed, from what Apptainer wrote."""
    for pattern, cause, permanent, hint in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            return ImageUnavailableError(
                f"image {job.name} cannot be converted on {os.uname().nodename}: {cause}"
                + _where(job, text),
                permanent=permanent,
                hint=hint,
            )
    fatal = [line for line in text.splitlines() if "FATAL" in line] or text.splitlines()[-3:]
    words = " ".join(" ".join(fatal).split())[:600]
    return ImageUnavailableError(
        f"image {job.name} cannot be converted on {os.uname().nodename}: "
        + (words or f"apptainer build ended with status {status}"),
        permanent=False,
    )


def _where(job: Conversion, text: str) -> str:
    """Say which file system is full, where that is the trouble."""
    match = re.search(r"(/[^:\n]+): (?:no space left|disk quota)", text, re.IGNORECASE)
    if match is None:
        return ""
    in_store = match[1].startswith(str(job.target.parent))
    return f" ({job.target.parent.parent.parent if in_store else job.work.parent})"


def remove_tree(folder: Path) -> None:
    """Remove a directory, also where an image brought directories that nobody may write."""

    def allow_and_retry(function: Callable[..., Any], name: str, _: BaseException) -> None:
        with contextlib.suppress(OSError):
            for path in (Path(name).parent, Path(name)):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | stat.S_IRWXU)
            function(name)

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=allow_and_retry)
    else:
        shutil.rmtree(folder, onerror=lambda f, n, i: allow_and_retry(f, n, i[1]))
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def _run(argv: list[str], variables: Mapping[str, str], job: Conversion) -> _Ended:
    for folder in (job.work / "cache", job.work / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    log = job.work / "build.log"
    # A file, not a pipe: a grandchild that outlives the build must not keep us waiting.
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(variables)
        )
        try:
            crash_point(CrashPoint.LAYERS_UNDER_WAY)
            status = child.wait(job.timeout_s)
        except subprocess.TimeoutExpired:
            raise ImageUnavailableError(
                f"image {job.name} was not converted within {job.timeout_s:.0f} s",
                permanent=False,
                hint="raise containers.build_timeout",
            ) from None
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    if job.credentials:
        text = text.replace(job.credentials.password, "***")
    print(text, file=sys.stderr)
    return _Ended(status, text)
