"""The examination of a site: one subject after the other, cheap ones first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from gateway.errors import GatewayError
from gateway.service.doctor.check import Check, Level, fail, ok, warn
from gateway.service.doctor.credentials import credentials
from gateway.service.doctor.filesystem import shared_root
from gateway.service.doctor.htcondor import htcondor
from gateway.service.doctor.node import judge_node, look_argv, parse_look
from gateway.service.doctor.probe import probe_all
from gateway.service.doctor.proxy import proxy
from gateway.service.doctor.slurm import slurm
from gateway.service.doctor.state import state
from gateway.service.doctor.tools import Endpoint, Tools
from gateway.service.doctor.trial_image import TrialImage, trial_image
from gateway.site.load import LoadedSite
from gateway.site.model import HTCondorCluster, SlurmCluster

DEFAULT_TIMEOUT_S = 60.0


class Doctor:
    """Examines one site."""

    def __init__(self, loaded: LoadedSite, tools: Tools) -> None:
        self._origin = loaded.origin
        self._site = loaded.site
        self._tools = tools

    def examine(self, *, quick: bool, timeout_s: float = DEFAULT_TIMEOUT_S) -> Iterator[Check]:
        """Yield findings as they are made.

        Parameters
        ----------
        quick
            Leave the probe jobs out.
        timeout_s
            Longest wait for the probe jobs, which run at the same time.
        """
        origin = self._origin
        yield ok("site file", str(origin) if origin else "none: the built-in site is in force")
        yield from state(self._site, self._tools)
        root = list(shared_root(self._site.shared_root, self._tools.run))
        yield from root
        with trial_image(self._site, self._tools.run) as image:
            yield from self._containers(image)
            yield from credentials(self._site, self._tools.run, self._tools.clock())
            yield from proxy(self._site, self._tools.environ, self._tools.clock())
            yield from self._clusters(image, None if quick else timeout_s)

    def _clusters(self, image: TrialImage, timeout_s: float | None) -> Iterator[Check]:
        """Examine all clusters; without a time no probe jobs are sent."""
        asked: list[Endpoint] = []
        sound: list[Endpoint] = []
        try:
            for name in self._site.clusters:
                yield from self._cluster(name, asked, sound)
            if timeout_s is not None:
                yield from probe_all(self._site, image, sound, timeout_s, self._tools.clock)
        finally:
            self._count_calls(asked)

    def _containers(self, image: TrialImage) -> Iterator[Check]:
        if self._site.containers.runtime == "host":
            yield warn(
                "containers",
                "commands run on the host, without containers",
                "install Apptainer and remove `containers: host` from the site file",
            )
            return
        answer = self._tools.run(look_argv(self._site, image))
        yield from judge_node(parse_look(answer.stdout), "here", self._site, image)

    def _cluster(self, name: str, asked: list[Endpoint], sound: list[Endpoint]) -> Iterator[Check]:
        """Examine one cluster; it is added to ``sound`` if a probe makes sense."""
        settings = self._site.clusters[name]
        try:
            endpoint = self._tools.endpoint(name)
        except GatewayError as error:
            yield fail(f"cluster {name}", error.message, error.hint)
            return
        asked.append(endpoint)
        if settings.ssh is not None:
            yield ok(f"cluster {name}: ssh", f"commands run on {settings.ssh.host}")
        found: Iterator[Check] = iter(())
        if isinstance(settings, SlurmCluster):
            found = slurm(name, settings, endpoint)
        elif isinstance(settings, HTCondorCluster):
            found = htcondor(name, settings, endpoint)
        checks = list(found)
        yield from checks
        if not any(check.level is Level.FAIL for check in checks):
            sound.append(endpoint)

    def _count_calls(self, endpoints: list[Endpoint]) -> None:
        """Add the calls of this examination to the count and to the budget that others see."""
        with suppress(GatewayError), self._tools.store().write() as transaction:
            for endpoint in endpoints:
                name, book = endpoint.cluster.name, endpoint.cluster.calls
                calls = tuple(book.drain())
                for call in calls:
                    minute = int(call.at // 60)
                    transaction.clusters.count_call(name, call.kind, minute, call.ok, call.seconds)
                if calls:
                    known = transaction.clusters.get(name).gate
                    transaction.clusters.set(name, gate=book.state(known))
