"""What jobs wrote, read from the control directory, also while they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import NotFoundError
from gateway.service.views import JobView, Views, WorkflowView, job_data
from gateway.store.store import Store
from gateway.submitters.control import log_paths
from gateway.vocabulary.records import Attempt

LARGEST_LOG = 50 * 1024 * 1024
"""Bytes of one stream that are shown; of a longer log it is the end."""


@dataclass(frozen=True, slots=True)
class JobLog:
    """The output of the attempt that counts."""

    view: JobView
    stdout: Path | None
    stderr: Path | None
    removed: bool = False
    """Whether there was output that is not kept any more."""

    def data(self) -> dict[str, Any]:
        """Return the job with its output as JSON types."""
        return job_data(self.view) | {
            "stdout": read_end(self.stdout),
            "stderr": read_end(self.stderr),
        }


class Logs:
    """Output of the jobs of a workflow."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store = store
        self._views = views

    def of_workflow(self, asked: str, steps: tuple[str, ...] = ()) -> list[JobLog]:
        """Return where the output of each job is, in order of the jobs.

        Raises
        ------
        NotFoundError
            If a step named has no job.
        """
        view = self._views.show(asked)
        self._require(view, steps)
        with self._store.read() as transaction:
            dirs = transaction.jobs.control_dirs(view.workflow.id)
        return [_job_log(each, dirs) for each in view.jobs if not steps or each.job.step in steps]

    def _require(self, view: WorkflowView, steps: tuple[str, ...]) -> None:
        known = list(dict.fromkeys(each.job.step for each in view.jobs))
        unknown = [step for step in steps if step not in known]
        if unknown:
            raise NotFoundError(
                f"workflow {view.workflow.full_name} has no job of step {', '.join(unknown)}",
                hint=f"steps so far: {', '.join(known) or 'none'}",
            )


def _job_log(view: JobView, control_dirs: dict[str, str]) -> JobLog:
    for attempt in reversed(view.attempts):
        paths = _paths(attempt, control_dirs)
        if paths is not None:
            return JobLog(view, *paths)
    return JobLog(view, None, None, removed=_is_removed(view, control_dirs))


def _is_removed(view: JobView, control_dirs: dict[str, str]) -> bool:
    """Whether the job has ended, has run, and nothing is left of where it wrote."""
    ran = [each for each in view.attempts if each.started_at and each.key in control_dirs]
    ended = view.job.state.is_terminal and bool(ran)
    return ended and not any(Path(control_dirs[each.key]).exists() for each in ran)


def _paths(attempt: Attempt, control_dirs: dict[str, str]) -> tuple[Path, Path] | None:
    directory = control_dirs.get(attempt.key)
    if directory is None or attempt.task_index is None:
        return None
    out, err = log_paths(Path(directory), attempt.task_index, attempt.restart)
    return (out, err) if out.exists() or err.exists() else None


def read_end(path: Path | None, most: int = LARGEST_LOG) -> str:
    """Return the last ``most`` bytes of a file as text, ``""`` if there is none."""
    if path is None:
        return ""
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - most))
            return handle.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def last_lines(path: Path | None, number: int) -> list[str]:
    """Return the last lines of a file."""
    return read_end(path, 256 * 1024).splitlines()[-number:]


class Follower:
    """Reads what is new in growing files."""

    def __init__(self) -> None:
        self._offsets: dict[Path, int] = {}

    def news(self, path: Path | None) -> Iterator[str]:
        """Yield whole new lines of a file."""
        return self._read(path, whole=True)

    def rest(self, path: Path | None) -> Iterator[str]:
        """Yield what is new, also a last line without an end."""
        return self._read(path, whole=False)

    def _read(self, path: Path | None, *, whole: bool) -> Iterator[str]:
        if path is None:
            return
        begin = self._offsets.get(path, 0)
        try:
            with path.open("rb") as handle:
                handle.seek(begin)
                data = handle.read()
        except OSError:
            return
        end = data.rfind(b"\n") + 1 if whole else len(data)
        self._offsets[path] = begin + end
        yield from data[:end].decode("utf-8", errors="replace").splitlines()
