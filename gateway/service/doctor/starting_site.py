"""A commented site file to begin with, made of what this host has."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.errors import ConflictError, SiteError
from gateway.service.doctor.slurm import PARTITIONS, Partition, parse_partitions
from gateway.service.doctor.tools import Run
from gateway.store.filesystem import LOCAL_FILESYSTEMS, filesystem_type

_HEAD = """\
# Written by `gateway doctor --write-site` from what was found on this host. Read it, change it,
# then: gateway --site {file} doctor
# Every setting: docs/reference/site-file.md
"""
_SHARED = """
# Workspaces and control files. Worker nodes must see it under the same path, with hard links.
{note}shared_root: ~/gateway
"""
_ALONE = """
# Workspaces and control files; any filesystem with room. Deleting it deletes results.
shared_root: ~/gateway
"""
_STATE = """
# The database and locks. Best on a local disk, if you always log in to the same host.
state_dir: ~/.local/state/gateway
"""
_SLURM = """\
  # Found: sbatch and squeue.{partitions}
  slurm:
    type: slurm
    {partition}
    # account: ...
    # Give a walltime, and maxima: jobs that need more are then tried again with more.
    defaults: {{cpus: 1, memory: 2 GiB, walltime: {walltime}}}
    # maximum: {{memory: 16 GiB, walltime: {longest}}}
"""
_HTCONDOR = """\
  # Found: condor_submit and condor_q.
  htcondor:
    type: htcondor
    # schedd: ...
    # accounting_group: ...
    defaults: {cpus: 1, memory: 2 GiB, disk: 4 GiB, walltime: 2h}
    # maximum: {memory: 16 GiB, walltime: 2d}
"""
_LOCAL_BESIDE = """\
  # Small jobs on this host, and the conversion of images. Keep it small, or leave it out.
  local:
    type: local
    cpus: 1
    memory: 2 GiB
"""
_LOCAL_ALONE = """\
  # Neither sbatch nor condor_submit is on PATH: this host is the only cluster.
  local:
    type: local
    defaults: {cpus: 1}
"""
_NO_APPTAINER = """
# Neither apptainer nor singularity is on PATH, so commands run with the programs of the host, and
# what a step's `environment` says is ignored. Remove this line when there is Apptainer.
containers: host
"""
_HOUR, _DAY = 3600, 86400


def write_site(path: Path, text: str) -> None:
    """Write a new file, whole or not at all.

    Raises
    ------
    ConflictError
        If there is something under that name already.
    SiteError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        try:
            part.write_text(text, encoding="utf-8")
            os.link(part, path)
        finally:
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise ConflictError(
            f"{path} exists already and is not overwritten", hint="name another file"
        ) from None
    except OSError as error:
        raise SiteError(f"{path} cannot be written: {error.strerror}") from error


def starting_site(
    file: Path, which: Callable[[str], str | None], run: Run, home: Path | None = None
) -> str:
    """Return the text of a site file for this host.

    Parameters
    ----------
    file
        Where it will lie, for its comments.
    which
        Finds a command on PATH.
    run
        Asks Slurm for its partitions.
    """
    has_slurm = bool(which("sbatch") and which("squeue"))
    has_condor = bool(which("condor_submit") and which("condor_q"))
    parts = [_HEAD.format(file=file)]
    parts.append(_SHARED.format(note=_home_note(home or Path.home())) if has_slurm or has_condor
                 else _ALONE)  # fmt: skip
    parts.append(_STATE)
    if not (which("apptainer") or which("singularity")):
        parts.append(_NO_APPTAINER)
    parts.append("\nclusters:\n")
    if has_slurm:
        parts.append(_slurm(run))
    if has_condor:
        parts.append(_HTCONDOR)
    parts.append(_LOCAL_BESIDE if has_slurm or has_condor else _LOCAL_ALONE)
    parts.append(_names(has_slurm, has_condor))
    return "".join(parts)


def _home_note(home: Path) -> str:
    kind = filesystem_type(home)
    if kind not in LOCAL_FILESYSTEMS:
        return ""
    return f"# Your home is on {kind}, which may be this host's alone: then name another place.\n"


def _slurm(run: Run) -> str:
    answer = run(PARTITIONS)
    known = parse_partitions(answer.stdout) if answer.ok else []
    default = next((p for p in known if p.is_default), known[0] if known else None)
    shown = f"\n  # Partitions: {', '.join(map(str, known[:8]))}." if known else ""
    return _SLURM.format(
        partitions=shown,
        partition=f"partition: {default.name}" if default else "# partition: ...",
        walltime=_walltime(default, _HOUR),
        longest=_walltime(default, 2 * _DAY),
    )


def _walltime(partition: Partition | None, wanted: int) -> str:
    longest = partition.longest_s if partition else None
    seconds = min(wanted, longest) if longest else wanted
    return f"{seconds // _HOUR}h" if seconds % _HOUR == 0 else f"{seconds}s"


def _names(has_slurm: bool, has_condor: bool) -> str:
    default = "slurm" if has_slurm else "htcondor" if has_condor else "local"
    lines = [f"\ndefault_cluster: {default}", "", "# Names of `compute_backend` in a reana.yaml."]
    lines += ["backends:", f"  kubernetes: {default}"]
    lines.append(f"  slurmcern: {'slurm' if has_slurm else default}")
    lines.append(f"  htcondorcern: {'htcondor' if has_condor else default}")
    return "\n".join(lines) + "\n"
