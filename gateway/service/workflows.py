"""Create, start, stop, restart and delete workflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.crash_points import CrashPoint, crash_point
from gateway.documents.nearest import did_you_mean
from gateway.errors import ConflictError, SiteError, SpecError, UsageError
from gateway.service.names import check_name
from gateway.service.order import Order, require_same
from gateway.service.retention import retention_days, retire
from gateway.service.views import found
from gateway.site.model import Site
from gateway.spec.languages import not_yet
from gateway.spec.load import LoadedSpec, load_data
from gateway.spec.specification import Specification
from gateway.spec.validate import validate
from gateway.store.store import Store, TakenError, Transaction
from gateway.vocabulary.records import DEFAULT_USER, Event, EventKind, RunNumber, Workflow
from gateway.vocabulary.resources import Resources
from gateway.vocabulary.states import WorkflowStatus
from gateway.workspace.layout import Layout

ImageProblem = Callable[[str], str | None]
Refusal = Callable[[str, Resources], str | None]
_RACES = 20
"""How often two creators may meet on one run number before we give up."""


class Workflows:
    """The life of workflows, as users direct it."""

    def __init__(
        self,
        store: Store,
        site: Site,
        refusal: Refusal,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        owner: str = DEFAULT_USER,
        image_problem: ImageProblem = lambda _: None,
    ) -> None:
        self._image_problem = image_problem
        self._store = store
        self._site = site
        self._refusal = refusal
        self._clock = clock
        self._new_id = new_id
        self._owner = owner
        self._layout = Layout.of(site)

    def check(self, order: Order) -> tuple[str, ...]:
        """Refuse what cannot be run here; return warnings.

        Raises
        ------
        SpecError
            With everything that is wrong.
        """
        self._require_cluster(order.cluster)
        report = validate(order.loaded, order.parameters, order.options)
        problems = report.errors + self._site_problems(order.loaded.specification, order.cluster)
        if problems:
            raise SpecError(f"{report.name} cannot be run here", problems=problems)
        return report.warnings

    def _require_cluster(self, cluster: str | None) -> None:
        if cluster is not None and cluster not in self._site.clusters:
            raise UsageError(
                f"there is no cluster {cluster!r} here"
                + did_you_mean(cluster, self._site.clusters),
                hint=f"clusters of this site: {', '.join(self._site.clusters)}",
            )

    def _site_problems(self, spec: Specification, cluster: str | None) -> tuple[str, ...]:
        """Return what the clusters of this site cannot honour."""
        problems = []
        for step in spec.steps:
            named = self._site.cluster_for(step.backend) if step.backend else cluster
            target = named or (None if step.backend else self._site.cluster_for(None))
            if target is None:
                known = ", ".join(sorted({*self._site.backends, *self._site.clusters}))
                problems.append(
                    f"step {step.name!r}: no cluster here serves compute_backend "
                    f"{step.backend!r}; there are: {known}. `backends` in the site file gives a "
                    "cluster this name"
                )
                continue
            wanted = step.resources.over(self._site.clusters[target].defaults.resources())
            refused = self._refusal(target, wanted)
            if refused:
                problems.append(f"step {step.name!r}: cluster {target}: {refused}")
        images = dict.fromkeys(step.image for step in spec.steps)
        wrong = {image: self._image_problem(image) for image in images}
        problems += [
            f"step {step.name!r}: environment: {wrong[step.image]}"
            for step in spec.steps
            if wrong[step.image]
        ]
        return tuple(problems)

    def create(self, order: Order, *, later: bool = False) -> Workflow:
        """Create a workflow and its workspace, or return the one that the same order made.

        With ``later``, a language that cannot be run yet is refused only at the start, when
        files that belong to the specification are in the workspace.

        Raises
        ------
        SpecError
            If it cannot be run here; nothing was created.
        ConflictError
            If the key belongs to a workflow that was ordered otherwise.
        """
        if not (later and not_yet(order.loaded.specification.type)):
            self.check(order)
        name = check_name(order.name)
        self._prepare_shared_root()
        for _ in range(_RACES):
            try:
                return self._create_once(order, name)
            except TakenError:
                continue
        raise ConflictError(f"too many workflows named {name!r} are being created at once")

    def _prepare_shared_root(self) -> None:
        try:
            self._layout.prepare()
        except UsageError as error:
            raise SiteError(error.message, hint="check shared_root in the site file") from error

    def _create_once(self, order: Order, name: str) -> Workflow:
        with self._store.write() as transaction:
            existing = transaction.workflows.by_key(self._owner, order.key) if order.key else None
            if existing is None:
                run = transaction.workflows.next_run(self._owner, name)
                workflow = self._new(order, name, run, workspace=None)
                self._add(transaction, workflow, "created")
        if existing is not None:
            require_same(existing, order)
        made = existing or workflow
        crash_point(CrashPoint.WORKFLOW_WRITTEN)
        self._layout.create(made.id)
        crash_point(CrashPoint.WORKSPACE_MADE)
        return made

    def _new(self, order: Order, name: str, run: RunNumber, *, workspace: str | None) -> Workflow:
        workflow_id = self._new_id()
        return Workflow(
            id=workflow_id,
            name=name,
            run=run,
            status=WorkflowStatus.CREATED,
            specification=dict(order.loaded.specification.raw),
            parameters=dict(order.parameters),
            options=dict(order.options),
            workspace=workspace or str(self._layout.workspace(workflow_id)),
            created_at=self._clock(),
            key=order.key,
            cluster=order.cluster,
            owner=self._owner,
            launcher_url=order.launcher_url,
        )

    def _add(self, transaction: Transaction, workflow: Workflow, words: str) -> None:
        transaction.workflows.add(workflow)
        transaction.retention.add(workflow.id, retention_days(workflow.specification))
        transaction.events.add(Event(self._clock(), EventKind.REQUEST, words, workflow.id))

    def start(
        self,
        asked: str,
        parameters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Workflow:
        """Hand a created workflow to the drivers.

        Raises
        ------
        ConflictError
            If it was started before.
        """
        with self._store.read() as transaction:
            workflow = found(transaction, self._owner, asked)
        if workflow.status is not WorkflowStatus.CREATED:
            raise _started_before(workflow)
        given = replace(
            workflow,
            parameters={**workflow.parameters, **(parameters or {})},
            options={**workflow.options, **(options or {})},
        )
        self.check(self._order_of(given))
        with self._store.write() as transaction:
            if not self._queue(transaction, given):
                # Somebody else was faster, perhaps with other parameters.
                raise _started_before(found(transaction, self._owner, workflow.id))
        crash_point(CrashPoint.START_WRITTEN)
        return replace(given, status=WorkflowStatus.QUEUED)

    def start_once(self, workflow_id: str) -> Workflow:
        """Start a workflow, or return it as it is if another call under its key has done so."""
        try:
            return self.start(workflow_id)
        except ConflictError:
            with self._store.read() as transaction:
                workflow = found(transaction, self._owner, workflow_id)
            if workflow.key is None:
                raise
            return workflow

    def _order_of(self, workflow: Workflow) -> Order:
        return Order(
            loaded=load_data(workflow.specification),
            name=workflow.name,
            parameters=workflow.parameters,
            options=workflow.options,
            cluster=workflow.cluster,
        )

    def _queue(self, transaction: Transaction, workflow: Workflow) -> bool:
        """Write down that it is to run; ``False`` if that was done before."""
        moved = transaction.workflows.move(
            workflow.id,
            WorkflowStatus.QUEUED,
            parameters=workflow.parameters,
            options=workflow.options,
            news=1,
        )
        if moved:
            now = self._clock()
            event = Event(now, EventKind.REQUEST, "queued: start requested", workflow.id)
            transaction.events.add(event)
        return moved

    def stop(self, asked: str) -> Workflow:
        """Write down the wish to stop; drivers carry it out until it is so.

        Raises
        ------
        ConflictError
            If the workflow is not active.
        """
        with self._store.write() as transaction:
            workflow = found(transaction, self._owner, asked)
            now = self._clock()
            if not transaction.workflows.request_stop(workflow.id, now):
                never = workflow.status is WorkflowStatus.CREATED
                raise ConflictError(
                    f"workflow {workflow.full_name} is {workflow.status.value}: there is nothing "
                    "to stop",
                    hint="`gateway delete` removes it" if never else "",
                )
            event = Event(now, EventKind.REQUEST, "stop requested", workflow.id)
            transaction.events.add(event)
        crash_point(CrashPoint.STOP_WRITTEN)
        return workflow

    def restart(
        self,
        asked: str,
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
        loaded: LoadedSpec | None = None,
        before: Callable[[Workflow], None] = lambda _: None,
    ) -> Workflow:
        """Run an ended workflow again in the same workspace, as ``major.minor + 1``.

        As in REANA, parameters given at the earlier start are not taken over. ``before`` is called
        with the former run when nothing speaks against a restart, and before any job can start.

        Raises
        ------
        ConflictError
            If the workflow, or another run in its workspace, has not ended.
        """
        with self._store.read() as transaction:
            former = found(transaction, self._owner, asked)
        order = Order(
            loaded=loaded or load_data(former.specification),
            name=former.name,
            parameters=parameters,
            options=options,
            cluster=former.cluster,
        )
        self.check(order)
        with self._store.read() as transaction:
            self._require_ended(transaction, former)
        before(former)
        with self._store.write() as transaction:
            self._require_ended(transaction, former)
            retire(transaction, transaction.workflows.sharing_workspace(former.workspace))
            run = transaction.workflows.next_restart(self._owner, former.name, former.run.major)
            workflow = self._new(order, former.name, run, workspace=former.workspace)
            self._add(transaction, workflow, f"created: restart of {former.full_name}")
            self._queue(transaction, workflow)
        crash_point(CrashPoint.RESTART_WRITTEN)
        return replace(workflow, status=WorkflowStatus.QUEUED)

    def _require_ended(self, transaction: Transaction, former: Workflow) -> None:
        for run in transaction.workflows.sharing_workspace(former.workspace):
            if run.status is WorkflowStatus.DELETED and run.id == former.id:
                raise ConflictError(f"workflow {run.full_name} is deleted")
            if not run.status.is_terminal:
                raise ConflictError(
                    f"workflow {run.full_name} is {run.status.value}, and uses the same workspace",
                    hint="wait for it to end, or stop it",
                )

    def delete(self, asked: str, *, all_runs: bool = False) -> list[Workflow]:
        """Mark runs as deleted and remove workspaces that no other run uses.

        Raises
        ------
        ConflictError
            If a run is active.
        """
        with self._store.read() as transaction:
            workflow = found(transaction, self._owner, asked)
            runs = [workflow]
            if all_runs:
                every = [status for status in WorkflowStatus if status.is_terminal]
                statuses = [*every, WorkflowStatus.CREATED]
                runs = transaction.workflows.listed(
                    self._owner, statuses=statuses, name=workflow.name
                )
        active = [run for run in runs if run.status.is_active]
        if active:
            raise ConflictError(
                f"workflow {active[0].full_name} cannot be deleted as it is "
                f"{active[0].status.value}",
                hint="stop it first: gateway stop -w " + active[0].full_name,
            )
        return [run for run in runs if self._delete_one(run)]

    def _delete_one(self, run: Workflow) -> bool:
        with self._store.write() as transaction:
            moved = transaction.workflows.move(run.id, WorkflowStatus.DELETED)
            sharing = transaction.workflows.sharing_workspace(run.workspace)
            if moved:
                event = Event(self._clock(), EventKind.REQUEST, "deleted", run.id)
                transaction.events.add(event)
        crash_point(CrashPoint.DELETE_WRITTEN)
        if all(each.status is WorkflowStatus.DELETED for each in sharing):
            self._layout.remove(Path(run.workspace).name)
        return moved


def _started_before(workflow: Workflow) -> ConflictError:
    return ConflictError(
        f"workflow {workflow.full_name} is already {workflow.status.value} and cannot be "
        "started again",
        hint="`gateway restart` runs it again in the same workspace",
    )
