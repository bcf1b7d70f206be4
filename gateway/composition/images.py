"""Container images as the state machine wants them, over ``gateway.containers``."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gateway.containers.launch import build_fetch, build_launch
from gateway.containers.lookup import Usable, look_up
from gateway.containers.reference import RegistryImage, parse_reference
from gateway.containers.result import FetchFailed, read_result
from gateway.core.parts import FetchResult, MissingImage
from gateway.errors import SiteError, UsageError
from gateway.site.model import ClusterBase, LocalCluster, Site
from gateway.vocabulary.image import ResolvedImage
from gateway.vocabulary.launch import JobSecrets, Launch
from gateway.vocabulary.records import Attempt, Job, Workflow

SHARED_LOOKUP_S = 300.0
"""Workflows created within this time of each other share one question to the registry."""


_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""What job scripts look through after the caller's PATH."""


def image_problem(site: Site, written: str) -> str | None:
    """Say what is wrong with the name of an image, as far as that can be told without looking."""
    if site.containers.runtime == "host" or written in site.containers.image_map:
        return None
    try:
        parse_reference(written, workspace=Path("/"), home=Path.home())
    except UsageError as error:
        return error.message + (f" ({error.hint})" if error.hint else "")
    return None


def runtime_problem(site: Site, settings: ClusterBase) -> str | None:
    """Say that this host, which is the cluster, has nothing that runs containers."""
    if site.containers.runtime == "host" or not isinstance(settings, LocalCluster):
        return None
    path = os.pathsep.join((os.environ.get("PATH", ""), _SYSTEM_PATH))
    if any(shutil.which(name, path=path) for name in ("apptainer", "singularity")):
        return None
    return (
        "neither apptainer nor singularity is on PATH here: load its module, or write "
        "`containers: host` into the site file to run commands without containers"
    )


class SiteImages:
    """The images of one site."""

    def __init__(self, site: Site, clock: Callable[[], float]) -> None:
        self._site = site
        self._clock = clock

    def look_up(self, reference: str, workflow: Workflow) -> ResolvedImage | MissingImage:
        """Return an image that can be used now, or what to fetch."""
        found = look_up(
            reference,
            self._site.containers,
            store=self._site.images,
            workspace=Path(workflow.workspace),
            home=Path.home(),
            now=self._clock(),
            resolved_since=workflow.created_at - SHARED_LOOKUP_S,
        )
        return found.image if isinstance(found, Usable) else found.reference

    def fetch_launch(self, name: str, job_id: str) -> Launch:
        """Return the command of a fetch job."""
        reference = parse_reference(name, workspace=Path("/"), home=Path.home())
        if not isinstance(reference, RegistryImage):
            raise SiteError(f"image {name} is a path and cannot be fetched")
        result = self._result(job_id)
        result.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return build_fetch(reference, self._site.images, result, self._site.containers)

    def fetch_result(self, job_id: str) -> FetchResult | None:
        """Return what a fetch job left behind."""
        result = read_result(self._result(job_id))
        if result is None:
            return None
        if isinstance(result, FetchFailed):
            return FetchResult(None, result.message, result.hint)
        return FetchResult(result.image, result.note)

    def _result(self, job_id: str) -> Path:
        # Not in the image store, which several users may share.
        return self._site.shared_root / "fetches" / f"{job_id}.json"

    def step_launch(
        self,
        job: Job,
        attempt: Attempt,
        workflow: Workflow,
        image: ResolvedImage,
        secrets: JobSecrets,
    ) -> Launch:
        """Return the command of a step's job."""
        return build_launch(
            image,
            job.command,
            Path(workflow.workspace),
            workflow.id,
            attempt.key,
            self._site.containers,
            gpus=bool(attempt.resources.gpus),
            cvmfs=job.cvmfs,
            user=getpass.getuser(),
            secrets=secrets,
            secrets_dir=self._site.secrets / attempt.key,
        )
