"""What one user can do, built once for a command and for each request of the API."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from gateway.vocabulary.ids import new_id

if TYPE_CHECKING:
    from gateway.composition.app import App
    from gateway.service.bundles import Bundles
    from gateway.service.comparison import Comparisons
    from gateway.service.explain import Explanations
    from gateway.service.files import Files
    from gateway.service.holdups import Holdups
    from gateway.service.launch import Launcher
    from gateway.service.logs import Logs
    from gateway.service.retention import RetentionRules
    from gateway.service.secrets import Secrets
    from gateway.service.staging import Staging
    from gateway.service.views import Views
    from gateway.service.workflows import Workflows


class Services:
    """The services over one store, bound to one user: those of others do not exist for it.

    Parameters
    ----------
    app
        What they are made of, when they are asked for.
    owner
        Id of the user.
    """

    def __init__(self, app: App, owner: str) -> None:
        self._app = app
        self._store = app.store
        self.owner = owner

    @property
    def cluster_types(self) -> dict[str, str]:
        """The type of each cluster by its name."""
        return {name: cluster.type for name, cluster in self._app.site.clusters.items()}

    @cached_property
    def workflows(self) -> Workflows:
        """Create, start, stop, restart, delete."""
        from gateway.service.workflows import Workflows

        return Workflows(
            self._store,
            self._app.site,
            self._app.refusal,
            time.time,
            new_id,
            self.owner,
            self._app.image_problem,
        )

    @cached_property
    def staging(self) -> Staging:
        """Inputs into workspaces."""
        from gateway.service.staging import Staging
        from gateway.workspace.layout import Layout

        return Staging(self._store, Layout.of(self._app.site), self.owner)

    @cached_property
    def views(self) -> Views:
        """Find and show."""
        from gateway.service.views import Views

        return Views(self._store, self.owner)

    @cached_property
    def files(self) -> Files:
        """Workspaces."""
        from gateway.service.files import Files

        return Files(self.views)

    @cached_property
    def comparisons(self) -> Comparisons:
        """How two workflows differ."""
        from gateway.service.comparison import Comparisons

        return Comparisons(self.views)

    @cached_property
    def logs(self) -> Logs:
        """What jobs wrote."""
        from gateway.service.logs import Logs

        return Logs(self._store, self.views)

    @cached_property
    def secrets(self) -> Secrets:
        """What jobs get and nobody else."""
        from gateway.service.secrets import Secrets

        return Secrets(self._store, self._app.vault, self.owner)

    @cached_property
    def launcher(self) -> Launcher:
        """Workflows from a URL."""
        from gateway.service.launch import Launcher

        return Launcher(self.workflows, self.staging, self._app.site)

    @cached_property
    def bundles(self) -> Bundles:
        """Workflows from ZIP files."""
        from gateway.service.bundles import Bundles

        return Bundles(self.workflows, self.staging)

    @cached_property
    def retention(self) -> RetentionRules:
        """How long files are kept."""
        from gateway.service.retention import RetentionRules

        return RetentionRules(self._store, self.views)

    @cached_property
    def explanations(self) -> Explanations:
        """Why a job is where it is."""
        from gateway.service.explain import Explanations

        return Explanations(self._store, self.views, self.holdups, time.time)

    @cached_property
    def holdups(self) -> Holdups:
        """What a workflow waits for."""
        from gateway.service.holdups import Holdups

        return Holdups(self._store, self._app.facts, time.time)
