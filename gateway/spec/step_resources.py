"""Which step key asks for what: the one table from the document's keys to the resource model.

The gateway's own keys go before all others. Then come the keys of the step's backend, so that one
file can carry keys for several: those of ``slurm_*`` count most where ``compute_backend`` is a
``slurm...``. Keys of other backends fill what is still open, and nothing that was asked is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.vocabulary.resources import Resources

_OWN, _KUBERNETES, _HTCONDOR, _SLURM, _C4P = (
    "own",
    "kubernetes",
    "htcondor",
    "slurm",
    "compute4punch",
)

_KEYS: tuple[tuple[str, str, str], ...] = (
    (_OWN, "cpus", "cpus"),
    (_OWN, "memory", "memory_mib"),
    (_OWN, "disk", "disk_mib"),
    (_OWN, "walltime", "walltime_s"),
    (_OWN, "gpus", "gpus"),
    (_OWN, "slurm_account", "account"),
    (_OWN, "slurm_qos", "qos"),
    (_OWN, "slurm_constraint", "constraint"),
    (_KUBERNETES, "kubernetes_cpu_limit", "cpus"),
    (_KUBERNETES, "kubernetes_cpu_request", "cpus"),
    (_KUBERNETES, "kubernetes_memory_limit", "memory_mib"),
    (_KUBERNETES, "kubernetes_memory_request", "memory_mib"),
    (_KUBERNETES, "kubernetes_job_timeout", "walltime_s"),
    (_HTCONDOR, "htcondor_request_cpus", "cpus"),
    (_HTCONDOR, "htcondor_request_memory", "memory_mib"),
    (_HTCONDOR, "htcondor_request_disk", "disk_mib"),
    (_HTCONDOR, "htcondor_max_runtime", "walltime_s"),
    (_HTCONDOR, "htcondor_requirements", "requirements"),
    (_HTCONDOR, "htcondor_accounting_group", "accounting_group"),
    (_SLURM, "slurm_partition", "partition"),
    (_SLURM, "slurm_time", "walltime_s"),
    (_C4P, "c4p_cpu_cores", "cpus"),
    (_C4P, "c4p_memory_limit", "memory_mib"),
    (_C4P, "c4p_additional_requirements", "requirements"),
)
"""Family, key, field. Within a family the earlier key wins."""


def step_resources(amounts: Mapping[str, Any], backend: str | None) -> Resources:
    """Return what a step asks for.

    Parameters
    ----------
    amounts
        The step's keys with values already in cores, MiB and seconds; absent or ``None`` where
        not given.
    backend
        The step's ``compute_backend``.
    """
    chosen: dict[str, Any] = {}
    for _, key, field in sorted(_KEYS, key=lambda row: _rank(row[0], backend or _KUBERNETES)):
        value = amounts.get(key)
        if value is not None:
            chosen.setdefault(field, value)
    return Resources(**chosen)


def _rank(family: str, backend: str) -> int:
    """Order families; the sort is stable, so the table decides between equals."""
    if family == _OWN:
        return 0
    return 1 if backend.startswith(family) else 2
