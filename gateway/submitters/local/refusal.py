"""What a single host cannot give."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.submitters.local.capacity import Capacity, needed, scratch_mib
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.units import MIB, show_bytes

_FOREIGN = {
    "partition": "partitions",
    "account": "accounts",
    "qos": "qualities of service",
    "constraint": "node constraints",
    "requirements": "ClassAd requirements",
    "accounting_group": "accounting groups",
}


def refusal(resources: Resources, host: Capacity, node: str) -> str | None:
    """Say all reasons why ``host``, called ``node``, can never run a task, or return ``None``."""
    return "; ".join(_reasons(resources, host, node)) or None


def _reasons(resources: Resources, host: Capacity, node: str) -> Iterator[str]:
    for name, words in _FOREIGN.items():
        if getattr(resources, name) is not None:
            yield f"the local cluster has no {words}: {name} cannot be honoured"
    if resources.gpus:
        yield "the local cluster does not hand out graphics processors"
    task = needed(resources)
    if task.cpus > host.cpus:
        yield f"{task.cpus} cores were asked for, {node} gives {host.cpus} at most"
    if task.memory_mib > host.memory_mib:
        asked, most = (show_bytes(mib * MIB) for mib in (task.memory_mib, host.memory_mib))
        yield f"{asked} of memory were asked for, {node} gives {most} at most"
    disk_mib = scratch_mib()
    if (resources.disk_mib or 0) > disk_mib:
        asked, most = (show_bytes(mib * MIB) for mib in (resources.disk_mib or 0, disk_mib))
        yield f"{asked} of scratch disk were asked for, {node} has {most} in all"
