"""Build the program from a site file."""

from __future__ import annotations

import shutil
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.vocabulary.ids import new_id
from gateway.vocabulary.records import DEFAULT_USER

if TYPE_CHECKING:
    from gateway.composition.services import Services
    from gateway.core.driver import Driver
    from gateway.core.parts import Cluster
    from gateway.engines.base import Engine
    from gateway.service.accounts import Accounts
    from gateway.service.doctor.examine import Doctor
    from gateway.service.explain import Explanations
    from gateway.service.files import Files
    from gateway.service.holdups import Holdups
    from gateway.service.job_files import JobFiles
    from gateway.service.logs import Logs
    from gateway.service.site_status import SiteStatus
    from gateway.service.usage import UsageBook
    from gateway.service.vault import Vault
    from gateway.service.views import Views
    from gateway.service.watch import Watch
    from gateway.service.workflows import Workflows
    from gateway.site.checked import SiteFacts
    from gateway.site.load import LoadedSite
    from gateway.site.model import Site
    from gateway.store.store import Store
    from gateway.vocabulary.records import Workflow
    from gateway.vocabulary.resources import Resources


class App:
    """One site, with everything that can be done there.

    Parameters
    ----------
    site_file
        Path of the site file; default: the usual places, else the built-in site.
    """

    def __init__(self, site_file: Path | None = None) -> None:
        self._site_file = site_file

    @cached_property
    def loaded_site(self) -> LoadedSite:
        """The site and where it was read."""
        from gateway.site.load import read_site

        return read_site(self._site_file)

    @property
    def site(self) -> Site:
        """The site file's content."""
        return self.loaded_site.site

    @cached_property
    def facts(self) -> SiteFacts:
        """The site file's content, as far as commands need it that only read the state."""
        from gateway.site.checked import site_facts

        return site_facts(self._site_file)

    @cached_property
    def store(self) -> Store:
        """The durable state."""
        from gateway.store.store import Store

        return Store(self.facts.database_url)

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        """The clusters with their adapters."""
        from gateway.composition.clusters import build_clusters

        return build_clusters(self.site, self.store, time.time)

    def services(self, owner: str) -> Services:
        """Return what a user can do."""
        from gateway.composition.services import Services

        return Services(self, owner)

    @cached_property
    def mine(self) -> Services:
        """What the person who runs the gateway can do."""
        return self.services(DEFAULT_USER)

    @property
    def workflows(self) -> Workflows:
        """Create, start, stop, restart, delete."""
        return self.mine.workflows

    @property
    def views(self) -> Views:
        """Find and show."""
        return self.mine.views

    @property
    def files(self) -> Files:
        """Workspaces."""
        return self.mine.files

    @property
    def logs(self) -> Logs:
        """What jobs wrote."""
        return self.mine.logs

    @property
    def holdups(self) -> Holdups:
        """What a workflow waits for."""
        return self.mine.holdups

    @property
    def explanations(self) -> Explanations:
        """Why a job is where it is."""
        return self.mine.explanations

    @cached_property
    def accounts(self) -> Accounts:
        """Users and their tokens."""
        from gateway.service.accounts import Accounts

        return Accounts(self.store, self.facts.state_dir, time.time)

    @cached_property
    def job_files(self) -> JobFiles:
        """Scripts, records and logs of jobs."""
        from gateway.service.job_files import JobFiles

        return JobFiles(self.store, self.site.control, time.time)

    @cached_property
    def watch(self) -> Watch:
        """Health and figures."""
        from gateway.service.watch import Watch

        return Watch(self.store, self.facts.clusters, time.time)

    @cached_property
    def usage(self) -> UsageBook:
        """What users have used."""
        from gateway.service.usage import UsageBook

        return UsageBook(self.store)

    @cached_property
    def site_status(self) -> SiteStatus:
        """What is under way here."""
        from gateway.service.site_status import SiteStatus

        return SiteStatus(self.store, self.site, time.time)

    @cached_property
    def vault(self) -> Vault:
        """Encryption of secrets."""
        from gateway.service.vault import Vault

        return Vault(self.facts.state_dir)

    @cached_property
    def doctor(self) -> Doctor:
        """Examine the site."""
        from gateway.composition.doctor import build_doctor

        return build_doctor(self.loaded_site, lambda: self.store)

    def write_starting_site(self, path: Path) -> None:
        """Write a site file to begin with; see ``starting_site``. Reads no site file."""
        from gateway.composition.doctor import run_here
        from gateway.service.doctor.starting_site import starting_site, write_site

        write_site(path, starting_site(path, shutil.which, run_here()))

    def prepare_to_serve(self) -> None:
        """Build what several threads will use, so that none of them meets it half built."""
        shared = (self.site, self.store, self.clusters, self.accounts, self.vault, self.usage)
        for part in (*shared, self.site_status):
            del part
        self.accounts.default_user()

    def has_work(self) -> bool:
        """Say whether a driver would find anything to do."""
        with self.store.read() as transaction:
            active = transaction.workflows.count_active() > 0
            return active or bool(transaction.retention.due(time.time()))

    def driver(self, purpose: str) -> Driver:
        """Return a driver, which takes the lease when it is run."""
        from gateway.composition.images import SiteImages
        from gateway.core.driver import Driver
        from gateway.core.parts import Parts
        from gateway.service.retention import RetentionPass
        from gateway.service.secrets import secrets_of

        parts = Parts(
            store=self.store,
            site=self.site,
            clusters=self.clusters,
            images=SiteImages(self.site, time.time),
            engine=engine_of,
            clock=time.time,
            new_id=new_id,
            secrets_of=lambda transaction, owner: secrets_of(transaction, self.vault, owner),
            chores=RetentionPass(self.store, time.time).make,
        )
        return Driver(parts, purpose)

    def refusal(self, cluster: str, resources: Resources) -> str | None:
        """Say why a cluster can never run a job with these resources."""
        from gateway.composition.images import runtime_problem

        refused = self.clusters[cluster].submitter.refusal(resources)
        missing = runtime_problem(self.site, self.clusters[cluster].settings)
        return "; ".join(filter(None, (refused, missing))) or None

    def image_problem(self, written: str) -> str | None:
        """Say what is wrong with the name of an image."""
        from gateway.composition.images import image_problem

        return image_problem(self.site, written)


def engine_of(workflow: Workflow) -> Engine:
    """Return the engine of a workflow, with the parameters and options given at its start."""
    from gateway.engines.registry import engine_for
    from gateway.spec.load import restore

    return engine_for(restore(workflow.specification), workflow.parameters, workflow.options)
