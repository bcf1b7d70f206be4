"""Why a job or a workflow is where it is: everything observed and decided, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.errors import NotFoundError, UsageError
from gateway.service.holdups import UNRECORDED, Holdups, unrecorded_end
from gateway.service.views import JobView, Views, WorkflowView, current_job
from gateway.store.store import Store, Transaction
from gateway.submitters.control import exit_record_path, log_paths
from gateway.vocabulary.records import Attempt, Event, Job
from gateway.vocabulary.states import AttemptState, WorkflowStatus
from gateway.vocabulary.units import show_seconds
from gateway.workspace.trouble import free_space


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to "why is it so?".

    Parameters
    ----------
    title
        What is explained.
    sentence
        Why it is in its state, and what the gateway waits for.
    facts
        Pairs of a word and a value: ids and files to look at by hand.
    events
        The time line.
    """

    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]


class Explanations:
    """Explains jobs and workflows."""

    def __init__(
        self, store: Store, views: Views, holdups: Holdups, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._views = views
        self._holdups = holdups
        self._clock = clock

    def of(self, asked: str) -> Explanation:
        """Explain a workflow, or a job by its id (or the beginning of it).

        Raises
        ------
        NotFoundError
            If it is neither.
        """
        job = self._job(asked)
        if job is not None:
            return self._of_job(job)
        try:
            return self._of_workflow(self._views.show(asked))
        except NotFoundError as error:
            raise NotFoundError(
                f"there is no workflow or job {asked!r}",
                hint="`gateway list --all` shows workflows, `gateway status -v` their jobs",
            ) from error

    def _job(self, asked: str) -> Job | None:
        prefix, _, _ = asked.partition(".")
        if len(prefix) < 6 or not all(mark in "0123456789abcdef-" for mark in prefix.lower()):
            return None
        if len(prefix) > 8 and "-" not in prefix:
            parts = (prefix[:8], prefix[8:12], prefix[12:16], prefix[16:20], prefix[20:])
            prefix = "-".join(part for part in parts if part)
        with self._store.read() as transaction:
            jobs = [
                job
                for job in transaction.jobs.matching(prefix.lower())
                if self._may_see(transaction, job)
            ]
        if len(jobs) > 1:
            raise UsageError(
                f"{asked!r} is the beginning of {len(jobs)} job ids", hint="give more of the id"
            )
        return jobs[0] if jobs else None

    def _may_see(self, transaction: Transaction, job: Job) -> bool:
        """Tell whether a job is the user's, or one that serves everybody."""
        if job.workflow_id is None:
            return True
        workflow = transaction.workflows.get(job.workflow_id)
        return workflow is not None and workflow.owner == self._views.owner

    def _of_job(self, job: Job) -> Explanation:
        with self._store.read() as transaction:
            view = JobView(job, tuple(transaction.jobs.attempts_of(job.id)))
            events = transaction.events.of_job(job.id)
            facts = self._facts(transaction, view)
            sentence = self._sentence(transaction, view)
        return Explanation(f"job {job.id[:8]} of step {job.step!r}", sentence, facts, tuple(events))

    def _facts(self, transaction: Transaction, view: JobView) -> tuple[tuple[str, str], ...]:
        job = view.job
        facts = [("job id", job.id), ("cluster", job.cluster), ("image", job.image)]
        for attempt in view.attempts:
            facts += self._attempt_facts(attempt, transaction.jobs.control_dir(attempt.key))
        return tuple(facts)

    def _attempt_facts(self, attempt: Attempt, control_dir: str | None) -> list[tuple[str, str]]:
        word = f"attempt {attempt.number}"
        facts = [(word, attempt.key)]
        asked = ", ".join(f"{name}={value}" for name, value in attempt.resources.to_json().items())
        if asked:
            facts.append((f"{word}, asked for", asked))
        if attempt.native_id:
            facts.append((f"{word}, id in the scheduler", attempt.native_id))
        if attempt.submission_key:
            facts.append((f"{word}, key in the scheduler", attempt.submission_key))
        if attempt.node:
            facts.append((f"{word}, node", attempt.node))
        if "raw" in attempt.observed:
            facts.append((f"{word}, scheduler's last words", _last_words(attempt.observed)))
        if attempt.outcome:
            facts.append((f"{word}, came to", f"{attempt.outcome.value}: {attempt.reason}"))
        if control_dir and attempt.task_index is not None:
            place = (Path(control_dir), attempt.task_index, attempt.restart)
            out, err = log_paths(*place)
            facts += [
                (f"{word}, control files", control_dir),
                (f"{word}, exit record", str(exit_record_path(*place))),
                (f"{word}, standard output", str(out)),
                (f"{word}, standard error", str(err)),
            ]
        return facts

    def _sentence(self, transaction: Transaction, view: JobView) -> str:
        job, last = view.job, view.last
        if job.state.is_terminal:
            return f"The job {job.state.value}: {job.reason}."
        if last is None:
            return f"The job waits for its image. {self._of_fetch(transaction, job)}".strip()
        since = last.started_at if last.state is AttemptState.RUNNING else last.submitted_at
        for_long = f" for {show_seconds(max(0.0, self._clock() - since))}" if since else ""
        waits = f"; waits for {last.waits_for}" if last.waits_for else ""
        why = f"{last.reason or 'not sent yet'}{waits}.{self._of_disk(transaction, last)}"
        return f"The job is {last.state.value}{for_long}: {why}"

    def _of_disk(self, transaction: Transaction, attempt: Attempt) -> str:
        """Say that the command has ended and that its exit record cannot be completed."""
        where = unrecorded_end(transaction, attempt, self._clock())
        if where is None:
            return ""
        words = UNRECORDED[0].upper() + UNRECORDED[1:]
        return f" {words}: the disk is full or a quota used up ({free_space(where)} for {where})."

    def _of_fetch(self, transaction: Transaction, job: Job) -> str:
        """Say how far the job is that fetches the image of another."""
        images = transaction.workflows.images(job.workflow_id) if job.workflow_id else {}
        image = images.get(job.image)
        found = transaction.jobs.many([image.fetch_job_id]) if image and image.fetch_job_id else {}
        for fetch in found.values():
            view = JobView(fetch, tuple(transaction.jobs.attempts_of(fetch.id)))
            return f"Job {fetch.id[:8]} fetches it. {self._sentence(transaction, view)}"
        return ""

    def _of_workflow(self, view: WorkflowView) -> Explanation:
        workflow = view.workflow
        held_up = "".join(f" Held up: {each}." for each in self._holdups.of(view))
        with self._store.read() as transaction:
            lease = transaction.leases.current()
            current = current_job(view.jobs)
            about_job = self._sentence(transaction, current) if current else ""
            events = transaction.events.of_workflow(
                workflow.id, [each.job.id for each in view.jobs]
            )
        facts = [("workflow id", workflow.id), ("workspace", workflow.workspace)]
        facts += [
            (f"job of step {each.job.step!r}", f"{each.job.id[:8]} {each.job.state.value}")
            for each in view.jobs
        ]
        driven = lease is not None and lease.pid != 0 and lease.expires_at > self._clock()
        if lease is not None and driven:
            facts.append(("driven by", f"{lease.purpose}, process {lease.pid} on {lease.host}"))
        return Explanation(
            f"workflow {workflow.full_name}",
            self._workflow_sentence(view, about_job, driven=driven) + held_up,
            tuple(facts),
            tuple(events),
        )

    def _workflow_sentence(self, view: WorkflowView, about_job: str, *, driven: bool) -> str:
        workflow = view.workflow
        if workflow.status.is_terminal:
            return f"The workflow is {workflow.status.value}: {workflow.message or 'no reason'}."
        if workflow.status is WorkflowStatus.CREATED:
            return "The workflow was created and not started: run `gateway start`."
        stopping = "It is being stopped. " if workflow.stop_requested_at else ""
        asleep = (
            ""
            if driven
            else " Nothing drives it at the moment: run `gateway serve`, `gateway wait`, or "
            "`gateway tick` from cron."
        )
        current = current_job(view.jobs)
        if current is None:
            return f"{stopping}The workflow is {workflow.status.value}.{asleep}"
        return (
            f"{stopping}The workflow is {workflow.status.value} with step "
            f"{current.job.step!r}. {about_job}{asleep}"
        )


def _last_words(observed: Mapping[str, Any]) -> str:
    """Return what the scheduler said last, in its own words, and when."""
    said = f"{observed['raw']}: {observed['reason']}" if observed.get("reason") else observed["raw"]
    moment = datetime.fromtimestamp(float(observed["observed_at"])).astimezone()
    return f"{observed['source']} says {said} ({moment:%Y-%m-%d %H:%M:%S})"
