"""Live progress: a table that renews itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TextIO

from gateway.cli.output import shortened, talk
from gateway.service.views import JobView, WorkflowView
from gateway.vocabulary.states import AttemptState, JobState
from gateway.vocabulary.units import show_seconds

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_MARKS = {
    "finished": ("✔", "green"),
    "failed": ("✘", "red"),
    "stopped": ("■", "yellow"),
    "running": ("▶", "cyan"),
    "held": ("⏸", "yellow"),
    "queued": ("…", "blue"),
    "created": ("·", "dim"),
}
_MOST_ROWS = 20


class Screen(Protocol):
    """Something that shows a workflow as it changes."""

    def show(self, view: WorkflowView) -> None:
        """Show the present state."""

    def say(self, text: str) -> None:
        """Say something that stays."""


@contextmanager
def screen_for(stream: TextIO, *, quiet: bool) -> Iterator[Screen]:
    """Return a table for a terminal, lines for a log, nothing if quiet."""
    if quiet:
        yield Silence()
    elif stream.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=stream), refresh_per_second=8, transient=False) as live:
            yield LiveTable(live)
    else:
        yield Lines(stream)


class Silence:
    """Shows nothing."""

    def show(self, view: WorkflowView) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Say it nevertheless: what stays is no progress."""
        talk(text)


class Lines:
    """One line for each change, for logs and cron mails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said: dict[str, str] = {}

    def show(self, view: WorkflowView) -> None:
        """Print what has changed."""
        name = shortened(view.workflow.full_name)
        self._say("", f"{name}: {view.workflow.status.value}")
        for each in view.jobs:
            self._say(each.job.id, f"{name}: {shortened(each.job.step)}: {describe(each)}")

    def say(self, text: str) -> None:
        """Print a line."""
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        print(clock, text, file=self._stream, flush=True)

    def _say(self, topic: str, text: str) -> None:
        if self._said.get(topic) != text:
            self._said[topic] = text
            self.say(text)


class LiveTable:
    """A table of jobs, renewed in place."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, view: WorkflowView) -> None:
        """Renew the table."""
        from rich.console import Group
        from rich.text import Text

        # As a title of the table it would be folded to the table's width.
        self._live.update(
            Group(
                Text.from_markup(headline(view)),
                jobs_table(view, time.time(), self._live.console.width),
            )
        )

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._live.console.print(_plain(text), highlight=False)


def state_word(view: JobView) -> str:
    """Return the state of a job, ``held`` where the scheduler holds it."""
    if view.last is not None and view.last.state is AttemptState.HELD:
        return "held"
    return view.job.state.value


def describe(view: JobView) -> str:
    """Say where a job is, without anything that changes by itself."""
    job, last = view.job, view.last
    if job.state.is_terminal:
        return f"{job.state.value}, {job.reason}"
    if last is None:
        return "waits for its image"
    again = f", attempt {last.number}" if last.number > 1 else ""
    if last.state is AttemptState.READY and last.number > 1:
        again += f" ({last.reason})"
    if last.state in (AttemptState.READY, AttemptState.SUBMITTING):
        return f"waits for {last.waits_for}{again}"
    if job.state is JobState.RUNNING and last.state is AttemptState.RUNNING:
        return f"running on {last.node or job.cluster}{again}"
    return f"{last.state.value} on {job.cluster}: {last.reason}{again}"


def headline(view: WorkflowView) -> str:
    """Return the name and the state of a workflow, with marks for the screen."""
    workflow, progress = view.workflow, view.progress
    return (
        f"[bold]{_plain(shortened(workflow.full_name))}[/] {workflow.status.value}  "
        f"{progress.finished}/{progress.total} jobs"
    )


def jobs_table(view: WorkflowView, now: float, width: int) -> Table:
    """Return the jobs of a workflow as a table; of many, those that matter now."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=1)
    longest = max(12, min(40, width * 2 // 5))
    table.add_column(max_width=longest, no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    shown = _that_matter(view.jobs)
    for each in shown:
        mark, style = _MARKS[state_word(each)]
        table.add_row(
            f"[{style}]{mark}[/]",
            _plain(shortened(each.job.step, longest)),
            _age(each, now),
            _plain(describe(each)),
        )
    if len(shown) < len(view.jobs):
        table.add_row("", f"and {len(view.jobs) - len(shown)} more", "", "")
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _that_matter(jobs: tuple[JobView, ...]) -> list[JobView]:
    if len(jobs) <= _MOST_ROWS:
        return list(jobs)
    order = [JobState.FAILED, JobState.RUNNING, JobState.QUEUED, JobState.CREATED]
    ranked = sorted(jobs, key=lambda j: order.index(j.job.state) if j.job.state in order else 9)
    return ranked[:_MOST_ROWS]


def _age(view: JobView, now: float) -> str:
    job = view.job
    if job.started_at is None:
        return ""
    return show_seconds(max(0.0, (job.finished_at or now) - job.started_at))
