"""One resource model for every workflow language and every scheduler."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job asks for. ``None`` means that nothing was asked.

    Parameters
    ----------
    cpus
        Cores on one node.
    memory_mib, disk_mib
        For the whole job, in MiB.
    walltime_s
        Limit of the run time, in seconds.
    gpus
        Graphics processors on one node.
    partition, account, qos, constraint
        Slurm's words.
    requirements
        A HTCondor ClassAd expression.
    accounting_group
        HTCondor's group.
    """

    cpus: int | None = None
    memory_mib: int | None = None
    disk_mib: int | None = None
    walltime_s: int | None = None
    gpus: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    requirements: str | None = None
    accounting_group: str | None = None

    def over(self, defaults: Resources) -> Resources:
        """Return these resources with the gaps filled from ``defaults``."""
        return replace(defaults, **self.to_json())

    def within(self, maximum: Resources) -> Resources:
        """Return these resources with numbers lowered to those of ``maximum``."""
        lowered: dict[str, Any] = {}
        for name, most in maximum.to_json().items():
            mine = getattr(self, name)
            if isinstance(most, int) and mine is not None:
                lowered[name] = min(mine, most)
        return replace(self, **lowered)

    def to_json(self) -> dict[str, Any]:
        """Return the asked-for values only, ready for JSON."""
        every = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in every if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Resources:
        """Read what ``to_json`` wrote."""
        return cls(**data)
