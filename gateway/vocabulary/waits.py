"""How waits of attempts begin: dispatch writes these words, others tell waits apart by them."""

UNSURE = "certainty whether the scheduler has it"
"""A call had no usable answer."""
NOT_WRITTEN = "control files cannot be written"
"""The filesystem has no room, not the cluster."""


def room_on(cluster: str) -> str:
    """Return the wait for a limit that the gateway itself keeps."""
    return f"room on cluster {cluster}"


def not_taken(cluster: str, reason: str = "") -> str:
    """Return the wait for a cluster that takes nothing now, or how every such wait begins."""
    return f"cluster {cluster}: {reason}"
