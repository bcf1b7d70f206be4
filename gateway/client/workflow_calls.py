"""The life of workflows, and what they say."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.client.http import Call, Wire, workflow_path
from gateway.client.results import Explanation, JobLog, Workflow
from gateway.errors import ConflictError, ExitCode, GatewayError
from gateway.vocabulary.states import WorkflowStatus

Specification = str | Path | Mapping[str, Any]
"""A file, or what one holds."""
NOTHING: Mapping[str, Any] = {}
POLL_S = 0.5
SLOW_POLL_S = 5.0
_YOUNG_POLLS = 60


class TimedOutError(GatewayError):
    """The time to wait has passed; the workflow goes on."""

    exit_code = ExitCode.TIMED_OUT


class WorkflowCalls:
    """What can be done with workflows as a whole."""

    wire: Wire

    def create(
        self,
        specification: Specification,
        name: str = "",
        *,
        key: str | None = None,
        cluster: str | None = None,
    ) -> Workflow:
        """Create a workflow with an empty workspace.

        Parameters
        ----------
        key
            The same key again is the same workflow. Without one, a call that is repeated because
            its answer was lost still creates one workflow only.
        cluster
            For steps that name no backend.

        Raises
        ------
        SpecError
            With everything that is wrong.
        """
        query = {"workflow_name": name, "key": key or str(uuid.uuid4())}
        query |= {"cluster": cluster} if cluster else {}
        raw = specification_data(specification)
        call = Call("POST", "/api/workflows", query, body=raw, repeatable=True)
        return self.status(self.wire.send(call)["workflow_id"])

    def start(
        self,
        workflow: str,
        *,
        parameters: Mapping[str, Any] = NOTHING,
        options: Mapping[str, Any] = NOTHING,
    ) -> Workflow:
        """Start a workflow that was created.

        Raises
        ------
        ConflictError
            If it was started before.
        """
        return self._start(workflow, parameters, options, {})

    def start_once(
        self,
        workflow: str,
        *,
        parameters: Mapping[str, Any] = NOTHING,
        options: Mapping[str, Any] = NOTHING,
    ) -> Workflow:
        """Start a workflow, or return it as it is if that was done before.

        For a workflow with a key: another call with it may have been faster, or the answer to an
        earlier start was lost.
        """
        try:
            return self._start(workflow, parameters, options, {}, repeatable=True)
        except ConflictError:
            found = self.status(workflow)
            if found.status is WorkflowStatus.CREATED:
                raise
            return self.same_start(found, parameters)

    def same_start(self, workflow: Workflow, parameters: Mapping[str, Any]) -> Workflow:
        """Return a workflow that an earlier call with its key has started.

        Raises
        ------
        ConflictError
            If it was started with other parameters: its outputs are not those of this call.
        """
        given = self.wire.get(f"{workflow_path(workflow.id)}/specification")["parameters"]
        if given != dict(parameters):
            raise ConflictError(
                f"the key belongs to {workflow.full_name}, which has other parameters",
                hint="one key is for one order: take another key for another one",
            )
        return workflow

    def restart(
        self,
        workflow: str,
        *,
        parameters: Mapping[str, Any] = NOTHING,
        options: Mapping[str, Any] = NOTHING,
        specification: Specification | None = None,
    ) -> Workflow:
        """Run an ended workflow again in its workspace; return the new run."""
        more: dict[str, Any] = {"restart": True}
        if specification is not None:
            more["reana_specification"] = specification_data(specification)
        return self._start(workflow, parameters, options, more)

    def _start(
        self,
        workflow: str,
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
        more: Mapping[str, Any],
        *,
        repeatable: bool = False,
    ) -> Workflow:
        body = {"input_parameters": dict(parameters), "operational_options": dict(options)}
        path = f"{workflow_path(workflow)}/start"
        call = Call("POST", path, body=body | dict(more), repeatable=repeatable)
        return self.status(self.wire.send(call)["workflow_id"])

    def launch(
        self,
        url: str,
        name: str = "",
        *,
        specification: str = "",
        parameters: Mapping[str, Any] = NOTHING,
    ) -> Workflow:
        """Create and start a workflow from a git repository, an archive or a specification.

        Parameters
        ----------
        specification
            Path of the specification in what the URL names.
        """
        body = {
            "url": url,
            "name": name,
            "specification": specification,
            "parameters": json.dumps(dict(parameters)),
        }
        found = self.wire.send(Call("POST", "/api/launch", body=body))
        return self.status(found["workflow_id"])

    def stop(self, workflow: str) -> Workflow:
        """Ask for a workflow to be stopped; drivers carry it out until it is so."""
        body = {"force_stop": True}
        self.wire.send(
            Call("PUT", f"{workflow_path(workflow)}/status", {"status": "stop"}, body=body)
        )
        return self.status(workflow)

    def delete(self, workflow: str, *, all_runs: bool = False) -> None:
        """Delete a workflow and its workspace, unless another run still uses that."""
        body = {"all_runs": all_runs, "workspace": True}
        self.wire.send(
            Call("PUT", f"{workflow_path(workflow)}/status", {"status": "deleted"}, body=body)
        )

    def status(self, workflow: str) -> Workflow:
        """Return a workflow with its jobs and their attempts."""
        return Workflow.read(self.wire.get(workflow_path(workflow, "/gateway/workflows")))

    def list(
        self,
        *,
        statuses: Iterable[WorkflowStatus] = (),
        name: str | None = None,
        page: int = 1,
        size: int | None = None,
    ) -> list[Workflow]:
        """Return workflows, newest first; without statuses all that are not deleted.

        Parameters
        ----------
        name
            Only runs of this name.
        """
        wanted = list(statuses) or [s for s in WorkflowStatus if s is not WorkflowStatus.DELETED]
        found = self.wire.get(
            "/api/workflows",
            verbose=False,
            type="batch",
            page=page,
            size=size,
            status=",".join(status.value for status in wanted),
            workflow_id_or_name=name,
            include_progress=True,
        )
        return [Workflow.read_listed(each) for each in found["items"]]

    def logs(
        self,
        workflow: str,
        *,
        steps: Sequence[str] = (),
        page: int = 1,
        size: int | None = None,
    ) -> tuple[JobLog, ...]:
        """Return what jobs wrote, also while they run; of a long text the end.

        Parameters
        ----------
        size
            Jobs of a page; default: all. Many jobs share the room of one answer, so that pages
            show more of each.
        """
        call = Call(
            "GET",
            f"{workflow_path(workflow)}/logs",
            {"page": page} | ({"size": size} if size else {}),
            body=[*steps] if steps else None,
            repeatable=True,
        )
        jobs = json.loads(self.wire.send(call)["logs"])["job_logs"]
        return tuple(JobLog.read(job_id, each) for job_id, each in jobs.items())

    def follow(
        self, workflow: str, *, steps: Sequence[str] = (), poll_s: float = 1.0
    ) -> Iterator[tuple[str, str]]:
        """Yield step and line of what jobs write, until the workflow has ended."""
        seen: dict[str, Counter[str]] = {}
        while True:
            ended = self.status(workflow).status.is_terminal
            for log in self.logs(workflow, steps=steps):
                known = seen.setdefault(log.job_id, Counter())
                for line in _news(log.text, known):
                    yield log.step, line
            if ended:
                return
            self.wire.sleep(poll_s)

    def wait(
        self,
        workflow: str,
        *,
        timeout: float | None = None,
        progress: Callable[[Workflow], None] = lambda _: None,
    ) -> Workflow:
        """Wait until a workflow has ended; return it.

        Parameters
        ----------
        progress
            Called at each look, also the last one.

        Raises
        ------
        TimedOutError
            If it has not ended in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        polls = 0
        while True:
            found = self.status(workflow)
            progress(found)
            if found.status.is_terminal:
                return found
            rest = POLL_S if polls < _YOUNG_POLLS else SLOW_POLL_S
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimedOutError(
                        f"workflow {found.full_name} is still {found.status.value} after "
                        f"{timeout:g} s",
                        hint="it goes on as long as something drives it",
                    )
                rest = min(rest, left)
            self.wire.sleep(rest)
            polls += 1

    def explain(self, asked: str) -> Explanation:
        """Say why a workflow, or a job by the beginning of its id, is where it is."""
        return Explanation.read(self.wire.get(f"/gateway/explain/{quote(asked, safe='')}"))

    def validate(
        self,
        specification: Specification,
        *,
        parameters: Mapping[str, Any] = NOTHING,
        options: Mapping[str, Any] = NOTHING,
        cluster: str | None = None,
    ) -> tuple[str, ...]:
        """Check a specification against the site; return warnings.

        Raises
        ------
        SpecError
            With everything that is wrong.
        """
        body = {
            "specification": specification_data(specification),
            "parameters": dict(parameters),
            "options": dict(options),
        }
        query = {"cluster": cluster} if cluster else {}
        found = self.wire.send(Call("POST", "/gateway/validate", query, body=body, repeatable=True))
        return tuple(found["warnings"])


def specification_data(specification: Specification) -> dict[str, Any]:
    """Return what is posted.

    Raises
    ------
    SpecError
        If a file cannot be read or is wrong.
    """
    if isinstance(specification, Mapping):
        return dict(specification)
    from gateway.spec.load import load_file

    return dict(load_file(Path(specification)).specification.raw)


def _news(text: str, known: Counter[str]) -> list[str]:
    """Return lines that were not there at the last look.

    The text joins two streams that both grow, so that news are not only at its end.
    """
    now: Counter[str] = Counter()
    news = []
    for line in text.splitlines():
        now[line] += 1
        if now[line] > known[line]:
            known[line] = now[line]
            news.append(line)
    return news
