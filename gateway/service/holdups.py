"""What holds up a workflow that could go on: disks, clusters, images, limits. Changes nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from gateway.service.in_time import InTime
from gateway.service.views import JobView, WorkflowView
from gateway.site.checked import SiteFacts
from gateway.store.store import Store, Transaction
from gateway.submitters.control import exit_record_path
from gateway.vocabulary import waits
from gateway.vocabulary.records import Attempt
from gateway.vocabulary.states import AttemptState

TOO_LITTLE = 64 * 1024
"""Less free space than the control files of a job need."""
ANSWER_S = 2.0
"""So long, in seconds, a filesystem may take to say how full it is."""
UNFINISHED_S = 2.0
"""An exit record that is not complete after so long does not get to its disk."""
UNRECORDED = "its command has ended and its exit record is begun, not complete"
MAKE_ROOM = "make room (gateway du, delete, prune, tidy); it then goes on by itself"
MORE_QUOTA = "remove files that you do not need, or ask for more quota; it then goes on by itself"
ONCE_BACK = "once it is back, the workflow goes on by itself"
BY_ITSELF = "it is tried again by itself; jobs that run go on; if it lasts: gateway doctor"


class HoldupKind(StrEnum):
    """What is in the way."""

    DISK = "disk"
    """A filesystem is full, read-only or away."""
    CLUSTER = "cluster"
    """The scheduler does not answer."""
    IMAGE = "image"
    """An image is being fetched."""
    ROOM = "room"
    """A limit, of the site file or of the scheduler."""


@dataclass(frozen=True, slots=True)
class Holdup:
    """One thing that holds up a workflow.

    Parameters
    ----------
    reason
        What is in the way and where; the same words as long as it is the same thing.
    hint
        What to do.
    """

    kind: HoldupKind
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.hint}"

    def to_json(self) -> dict[str, str]:
        """Return it as JSON types."""
        return {"kind": self.kind.value, "reason": self.reason, "hint": self.hint}


class Holdups:
    """Looks at what a workflow waits for; asks no scheduler."""

    def __init__(
        self,
        store: Store,
        site: SiteFacts,
        clock: Callable[[], float],
        in_time: InTime[Holdup | None] | None = None,
    ) -> None:
        self._store = store
        self._site = site
        self._clock = clock
        self._in_time = in_time or InTime(ANSWER_S)

    def of(self, view: WorkflowView) -> tuple[Holdup, ...]:
        """Return what holds up a workflow, the most serious first; nothing if it is not active."""
        if not view.workflow.status.is_active:
            return ()
        disks, silent = self._disks()
        with self._store.read() as transaction:
            found = (
                *disks,
                *(() if silent else self._unrecorded(transaction, view)),
                *self._clusters(transaction, view),
                *_images(transaction, view),
            )
        said = [each.reason for each in found if each.kind is HoldupKind.CLUSTER]
        return (*found, *_waits(view, said))

    def _disks(self) -> tuple[list[Holdup], bool]:
        """Return what is wrong with the filesystems, and whether one does not even answer."""
        roots = [("shared root", self._site.shared_root)]
        if self._site.database_url.startswith("sqlite"):
            roots.append(("state directory", self._site.state_dir))
        found, silent = [], False
        for name, root in roots:
            try:
                trouble = self._in_time.ask(str(root), partial(disk_trouble, name, root))
            except TimeoutError:
                words = f"the {name} {root} does not answer: nothing heard for {ANSWER_S:g} s"
                trouble, silent = Holdup(HoldupKind.DISK, words, ONCE_BACK), True
            if trouble:
                found.append(trouble)
        return found, silent

    def _unrecorded(self, transaction: Transaction, view: WorkflowView) -> Iterator[Holdup]:
        for each in view.jobs:
            last = each.last
            if last is None or last.state is AttemptState.ENDED:
                continue
            where = unrecorded_end(transaction, last, self._clock())
            if where:
                words = f"step {each.job.step!r}: {UNRECORDED}: the disk is full or a quota used up"
                yield Holdup(HoldupKind.DISK, f"{words} ({where})", MORE_QUOTA)

    def _clusters(self, transaction: Transaction, view: WorkflowView) -> Iterator[Holdup]:
        """Yield the clusters of open jobs whose scheduler did not answer the last call."""
        for name in sorted({each.job.cluster for each in view.jobs if _is_open(each)}):
            gate = transaction.clusters.get(name).gate
            if gate.get("failures"):
                words = f"cluster {name} does not answer: {_one_line(gate.get('trouble', ''))}"
                yield Holdup(HoldupKind.CLUSTER, words, BY_ITSELF)


def _is_open(view: JobView) -> bool:
    return not view.job.state.is_terminal


def disk_trouble(name: str, root: Path) -> Holdup | None:
    """Say what keeps us from writing below a directory; a quota cannot be seen so."""
    try:
        figures = os.statvfs(root)
        writable = os.access(root, os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno == errno.ENOENT:
            words = f"the {name} {root} is not there"
        else:
            words = f"the {name} {root} does not answer: {error.strerror}"
        return Holdup(HoldupKind.DISK, words, ONCE_BACK)
    free = figures.f_bavail * figures.f_frsize
    if figures.f_blocks and free < TOO_LITTLE:
        return Holdup(HoldupKind.DISK, f"the disk under {root} is full", MAKE_ROOM)
    if figures.f_files and not figures.f_favail:
        words = f"the disk under {root} takes no more files: its inodes are used up"
        return Holdup(HoldupKind.DISK, words, MAKE_ROOM)
    if figures.f_flag & os.ST_RDONLY:
        hint = "tell the site; once it can be written, the workflow goes on by itself"
        return Holdup(HoldupKind.DISK, f"the disk under {root} is read-only", hint)
    if not writable:
        hint = "give yourself the permission to write there; it then goes on by itself"
        return Holdup(HoldupKind.DISK, f"the {name} {root} cannot be written by you", hint)
    return None


def unrecorded_end(transaction: Transaction, attempt: Attempt, now: float) -> Path | None:
    """Return where a command that has ended cannot complete its exit record, if that is so."""
    control_dir = attempt.submission_key and transaction.jobs.control_dir(attempt.key)
    if not control_dir or attempt.task_index is None:
        return None
    record = exit_record_path(Path(control_dir), attempt.task_index, attempt.restart)
    try:
        begun = record.with_name(f".{record.stem}.part").stat().st_mtime
        if record.exists() or now - begun < UNFINISHED_S:
            return None
    except OSError:
        return None
    return record.parent


def _images(transaction: Transaction, view: WorkflowView) -> Iterator[Holdup]:
    waiting = {each.job.image for each in view.jobs if _is_open(each) and each.last is None}
    images = transaction.workflows.images(view.workflow.id) if waiting else {}
    fetched_by = {
        name: image.fetch_job_id
        for name, image in images.items()
        if name in waiting and image.fetch_job_id and image.resolved is None
    }
    fetches = transaction.jobs.many(set(fetched_by.values())) if fetched_by else {}
    for name, job_id in sorted(fetched_by.items()):
        if job_id not in fetches:
            continue
        fetch = JobView(fetches[job_id], tuple(transaction.jobs.attempts_of(job_id)))
        words = f"image {name} is fetched by job {job_id[:8]}, which is {_where(fetch)}"
        hint = f"nothing to do; gateway explain {job_id[:8]} shows how far it is"
        yield Holdup(HoldupKind.IMAGE, words, hint)


def _where(view: JobView) -> str:
    job, last = view.job, view.last
    if job.state.is_terminal or last is None:
        return job.state.value
    if last.state in (AttemptState.READY, AttemptState.SUBMITTING):
        return f"{last.state.value} and waits for {_one_line(last.waits_for)}"
    reason = f": {_one_line(last.reason)}" if last.reason else ""
    return f"{last.state.value} on {last.node or job.cluster}{reason}"


def _waits(view: WorkflowView, said: Iterable[str]) -> Iterator[Holdup]:
    """Yield what keeps ready attempts from being sent, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for each in view.jobs:
        last = each.last
        if last is not None and _is_held_up(each, last):
            by_reason.setdefault(_one_line(last.waits_for), []).append(each.job.step)
    for reason, steps in by_reason.items():
        found = _of_wait(_named(steps), reason)
        cluster = reason.partition(":")[0]
        if not (found.kind is HoldupKind.ROOM and any(s.startswith(cluster + " ") for s in said)):
            yield found


def _is_held_up(view: JobView, attempt: Attempt) -> bool:
    if attempt.state is AttemptState.SUBMITTING:
        return attempt.waits_for.startswith(waits.UNSURE)
    cluster = view.job.cluster
    limits = (waits.room_on(cluster), waits.not_taken(cluster))
    return attempt.state is AttemptState.READY and attempt.waits_for.startswith(limits)


def _named(steps: list[str]) -> str:
    return f"step {steps[0]!r}" if len(steps) == 1 else f"{len(steps)} steps"


_ROOM_HINTS: Mapping[bool, str] = {
    True: "other jobs must end first; the site file has the limits (gateway config show)",
    False: "it is tried again by itself; if it lasts: gateway doctor",
}


def _of_wait(who: str, reason: str) -> Holdup:
    """Say why nothing is sent; what the filesystem complained of is no matter of the scheduler."""
    words = f"{who} waits for {reason}"
    if os.strerror(errno.EDQUOT) in reason:
        return Holdup(HoldupKind.DISK, f"your quota is used up: {words}", MORE_QUOTA)
    if waits.NOT_WRITTEN in reason:
        hint = MAKE_ROOM if os.strerror(errno.ENOSPC) in reason else BY_ITSELF
        return Holdup(HoldupKind.DISK, words, hint)
    if reason.startswith(waits.UNSURE):
        hint = "it is looked up by itself, and never sent twice; if it lasts: gateway doctor"
        return Holdup(HoldupKind.CLUSTER, words, hint)
    return Holdup(HoldupKind.ROOM, words, _ROOM_HINTS[reason.startswith(waits.room_on(""))])


def _one_line(text: str) -> str:
    return " ".join(text.split())
