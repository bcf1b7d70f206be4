"""Clusters of the site file, each with its adapter, transport and gate."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.core.parts import Call, Cluster
from gateway.site.model import ClusterBase, HTCondorCluster, LocalCluster, Site, SlurmCluster
from gateway.store.store import Store
from gateway.submitters.base import Submitter
from gateway.transport.base import CommandResult, Transport
from gateway.transport.gate import CallRecord, ClusterGate, GateState, calls_per_minute


class GateBook:
    """Collects the calls that a gate makes, and knows what to keep of its state."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.gate: ClusterGate | None = None

    def note(self, record: CallRecord) -> None:
        """Write down one call."""
        self._calls.append(Call(record.kind.value, record.at, record.seconds, record.ok))

    def drain(self) -> Iterable[Call]:
        """Return the calls made since the last time."""
        calls, self._calls = self._calls, []
        return calls

    def state(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what all gates of the cluster should go on with."""
        return self.gate.share(GateState.from_json(known)).to_json() if self.gate else {}


def build_clusters(site: Site, store: Store, clock: Callable[[], float]) -> dict[str, Cluster]:
    """Return all clusters of a site, and the local one that images are fetched on by default."""
    settings: dict[str, ClusterBase] = {"local": LocalCluster(type="local"), **site.clusters}
    return {name: build_cluster(name, each, store, clock) for name, each in settings.items()}


def build_cluster(
    name: str, settings: ClusterBase, store: Store, clock: Callable[[], float]
) -> Cluster:
    """Return one cluster. No command is run and no connection is opened yet."""
    book = GateBook()
    if isinstance(settings, LocalCluster):
        return Cluster(name, settings, _local(name, settings, clock), book)
    with store.read() as transaction:
        remembered = transaction.clusters.get(name).gate
    book.gate = ClusterGate(
        name,
        _transport(settings),
        calls_per_minute=calls_per_minute(settings.status_calls_per_minute),
        clock=clock,
        log=book.note,
        state=GateState.from_json(remembered),
        is_silence=_silence(settings),
    )
    return Cluster(name, settings, _batch(name, settings, book.gate, clock), book)


def _silence(settings: ClusterBase) -> Callable[[CommandResult], bool]:
    """Return what tells a scheduler that does not answer its own commands."""
    if isinstance(settings, SlurmCluster):
        from gateway.submitters.slurm.answers import is_silence

        return is_silence
    # HTCondor's tools learn that a daemon is away before they send anything: that costs it nothing.
    return lambda _: False


def _local(name: str, settings: LocalCluster, clock: Callable[[], float]) -> Submitter:
    from gateway.submitters.local.submitter import LocalSubmitter

    return LocalSubmitter(name, settings, clock)


def _batch(
    name: str, settings: ClusterBase, gate: ClusterGate, clock: Callable[[], float]
) -> Submitter:
    user = getpass.getuser()
    if isinstance(settings, SlurmCluster):
        from gateway.submitters.slurm.submitter import SlurmSubmitter

        return SlurmSubmitter(name, settings, gate, clock, user)
    assert isinstance(settings, HTCondorCluster)
    from gateway.submitters.htcondor.submitter import HTCondorSubmitter

    return HTCondorSubmitter(name, settings, gate, clock, user)


def _transport(settings: ClusterBase) -> Transport:
    if settings.ssh is not None:
        from gateway.transport.ssh import SshTransport

        return SshTransport(settings.ssh)
    from gateway.transport.here import HereTransport

    return HereTransport()
