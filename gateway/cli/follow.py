"""Follow a workflow to its end, driving it if nobody else does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.cli.holdup_news import HoldupNews
from gateway.cli.output import shortened, talk
from gateway.cli.progress import screen_for
from gateway.composition.app import App
from gateway.errors import ExitCode, GatewayError, UnreachableError
from gateway.service.logs import last_lines
from gateway.service.views import WorkflowView
from gateway.vocabulary.records import Workflow
from gateway.vocabulary.states import JobState, WorkflowStatus
from gateway.vocabulary.units import show_seconds

POLL_S = 0.2
SLOW_POLL_S = 1.0
MOST_JOBS = 30
PATIENCE_S = 600.0
"""How long the state may be unreachable before following gives up."""

EXIT_CODES = {
    WorkflowStatus.FINISHED: ExitCode.OK,
    WorkflowStatus.FAILED: ExitCode.FAILED,
    WorkflowStatus.STOPPED: ExitCode.STOPPED,
    WorkflowStatus.DELETED: ExitCode.STOPPED,
}


class TimedOutError(GatewayError):
    """The time that the user gave has passed; the workflow goes on."""

    exit_code = ExitCode.TIMED_OUT


@contextmanager
def driving(app: App, purpose: str) -> Iterator[Callable[[], None]]:
    """Drive in a thread while the block runs; stand by if another process drives.

    Yields a function that raises what has ended the driver, if anything has.
    """
    over = threading.Event()
    ends: list[Exception] = []
    driver = app.driver(purpose)
    troubles: set[str] = set()

    def report(done: Any) -> None:
        for trouble in set(done.troubles) - troubles:
            troubles.add(trouble)
            talk(f"trouble, will try again: {trouble}")

    def drive() -> None:
        try:
            driver.run(report, over.is_set)
        except Exception as error:
            ends.append(error)

    def check() -> None:
        if ends:
            raise ends[0]

    thread = threading.Thread(target=drive, name="driver", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        over.set()
        driver.wake.set()
        # A scheduler call may take long; a driver may be killed at any moment without harm.
        thread.join(timeout=3.0)


def follow(
    app: App,
    workflow: Workflow,
    check: Callable[[], None],
    *,
    timeout_s: float | None = None,
    quiet: bool = False,
) -> WorkflowView:
    """Show a workflow until it has ended; return its last view.

    ``check`` is called between two looks.

    Raises
    ------
    TimedOutError
        If it has not ended in time.
    UnreachableError
        If the state could not be read for a long time.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    began = time.monotonic()
    holdups = HoldupNews(app.holdups.of, quiet=quiet)
    with screen_for(sys.stderr, quiet=quiet) as screen:
        while True:
            view = _patiently(lambda: app.views.show(workflow.id), screen.say)
            screen.show(view)
            holdups.tell(view, screen.say)
            if view.workflow.status.is_terminal:
                return view
            check()
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimedOutError(
                    f"workflow {workflow.full_name} is still {view.workflow.status.value} after "
                    f"{show_seconds(timeout_s or 0)}",
                    hint="it goes on as long as something drives it (gateway serve, gateway tick)",
                )
            time.sleep(POLL_S if now - began < 300 else SLOW_POLL_S)


def _patiently(ask: Callable[[], WorkflowView], say: Callable[[str], None]) -> WorkflowView:
    """Ask again while the state is unreachable, for a limited time; say so once."""
    deadline = time.monotonic() + PATIENCE_S
    said = ""
    while True:
        try:
            return ask()
        except UnreachableError as error:
            if time.monotonic() >= deadline:
                raise
            if said != error.message:
                said = error.message
                say(f"cannot see how far it is, will look again: {said}; {error.hint}")
            time.sleep(SLOW_POLL_S)


def follow_to_exit_code(
    app: App, workflow: Workflow, purpose: str, *, timeout_s: float | None, quiet: bool
) -> tuple[WorkflowView | None, int]:
    """Drive and follow; return the last view and the exit code. Ctrl-C only detaches."""
    try:
        with driving(app, purpose) as check:
            view = follow(app, workflow, check, timeout_s=timeout_s, quiet=quiet)
    except KeyboardInterrupt:
        talk(
            f"\ndetached: {workflow.full_name} is not stopped\n"
            f"  come back:  gateway wait {workflow.full_name}\n"
            f"  look:       gateway status {workflow.full_name}\n"
            f"  stop it:    gateway stop {workflow.full_name}\n"
            "  it goes on while something drives: gateway serve, or gateway tick from cron"
        )
        return None, int(ExitCode.DETACHED)
    return view, int(EXIT_CODES[view.workflow.status])


def say_end(app: App, view: WorkflowView, *, table_seen: bool = True) -> None:
    """Say how it ended: steps and times, or what failed, why, and its last words.

    ``table_seen`` says that on a terminal the table of the progress stays above.
    """
    workflow, progress = view.workflow, view.progress
    if workflow.status is WorkflowStatus.DELETED:
        talk(f"{workflow.full_name} is deleted")
        return
    began = workflow.started_at or workflow.created_at
    took = show_seconds(max(0.0, (workflow.finished_at or began) - began))
    talk(
        f"{workflow.full_name} {workflow.status.value} after {took}: "
        f"{progress.finished} of {progress.total} jobs finished"
    )
    if not (table_seen and sys.stderr.isatty()):
        _say_jobs(view)
    if workflow.status is WorkflowStatus.FINISHED:
        talk(f"workspace: {workflow.workspace}")
        return
    if workflow.message:
        talk(f"reason: {workflow.message}")
    _say_failed_job(app, workflow)


def _say_jobs(view: WorkflowView) -> None:
    """List the jobs with their times."""
    names = [shortened(each.job.step) for each in view.jobs[:MOST_JOBS]]
    width = max(map(len, names), default=0)
    for name, each in zip(names, view.jobs, strict=False):
        job = each.job
        took = "-"
        if job.started_at is not None and job.finished_at is not None:
            took = show_seconds(max(0.0, job.finished_at - job.started_at))
        talk(f"  {name.ljust(width)}  {took:>7}  {job.state.value}")
    if len(view.jobs) > MOST_JOBS:
        talk(f"  and {len(view.jobs) - MOST_JOBS} more: gateway status -v")


def _say_failed_job(app: App, workflow: Workflow) -> None:
    for log in app.logs.of_workflow(workflow.id):
        if log.view.job.state is not JobState.FAILED:
            continue
        job = log.view.job
        for name, path in (("output", log.stdout), ("errors", log.stderr)):
            lines = last_lines(path, 10)
            if lines:
                talk(f"last lines of the {name} of step {shortened(job.step)}:")
                talk("\n".join(f"  | {line}" for line in lines))
        talk(f"everything about it: gateway explain {job.id[:8]}")
        return
