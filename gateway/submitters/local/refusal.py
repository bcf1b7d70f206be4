"""What a single host cannot give; pure."""

from __future__ import annotations

from gateway.submitters.local.capacity import Capacity, needed
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
    """Say why ``host``, called ``node``, can never run a task, or return ``None``."""
    for name, words in _FOREIGN.items():
        if getattr(resources, name) is not None:
            return f"the local cluster has no {words}: {name} cannot be honoured"
    if resources.gpus:
        return "the local cluster does not hand out graphics processors"
    task = needed(resources)
    if task.cpus > host.cpus:
        return f"{task.cpus} cores were asked for, {node} gives {host.cpus} at most"
    if task.memory_mib > host.memory_mib:
        asked, most = (show_bytes(mib * MIB) for mib in (task.memory_mib, host.memory_mib))
        return f"{asked} of memory were asked for, {node} gives {most} at most"
    return None
