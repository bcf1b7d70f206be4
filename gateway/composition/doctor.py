"""What the examination of a site works with: the real clusters, gates and commands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from gateway.composition.clusters import GateBook, build_cluster
from gateway.service.doctor.examine import Doctor
from gateway.service.doctor.tools import Answer, Endpoint, Run, Tools
from gateway.site.load import LoadedSite
from gateway.store.store import Store
from gateway.transport.base import CallKind
from gateway.transport.here import HereTransport

ANSWER_S = 20.0
"""Longest wait for one command: nobody waits long for a doctor."""


def build_doctor(loaded: LoadedSite, store: Callable[[], Store]) -> Doctor:
    """Return the doctor of a site."""

    def endpoint(name: str) -> Endpoint:
        cluster = build_cluster(name, loaded.site.clusters[name], store(), time.time)
        book = cluster.calls
        assert isinstance(book, GateBook)
        gate = book.gate
        if gate is None:
            return Endpoint(cluster, run_here())

        def through_the_gate(argv: Sequence[str]) -> Answer:
            return gate.call(CallKind.QUERY, argv, timeout_s=ANSWER_S)

        return Endpoint(cluster, through_the_gate)

    return Doctor(loaded, Tools(store, endpoint, run_here(), os.environ))


def run_here() -> Run:
    """Return what runs a command on this host."""
    transport = HereTransport()

    def run(argv: Sequence[str]) -> Answer:
        return transport.run(argv, timeout_s=ANSWER_S)

    return run
