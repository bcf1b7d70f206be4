"""The moments between two effects at which a process of the gateway may be killed, by name.

Every boundary between something durable and the next thing has a name here and a hook in the code.
Tests kill the process at each of them and let another one go on (docs/howto/chaos.md). A hook does
nothing unless a test asks for it, by a function or through the environment. Imports nothing of
ours.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from enum import Enum

KILL_AT = "GATEWAY_CRASH_AT"
"""``NAME`` or ``NAME:N``: the process kills itself (SIGKILL) at the N-th passage of a point.

``ANY`` stands for every point.
"""
PAUSE_AT = "GATEWAY_PAUSE_AT"
"""As ``GATEWAY_CRASH_AT``, with SIGSTOP: the process sleeps until somebody sends SIGCONT."""


class CrashPoint(Enum):
    """A named boundary.

    Parameters
    ----------
    place
        Part of the gateway.
    done, left
        What is durable by then, and what is not.
    in_transaction
        Whether it lies inside a transaction of the database, which a kill undoes.
    """

    LEASE_TAKEN = ("lease", "this process is the driver", "its first pass")
    PASS_DONE = ("driver", "a whole pass is done", "the next pass, or giving the lease back")
    ADVANCE_PLANNED = ("advance", "nothing", "what the engine wants next is not written down")
    ADVANCE_HALF = ("advance", "nothing", "new jobs are inserted, not committed", True)
    ADVANCE_WRITTEN = ("advance", "new jobs and first attempts are written", "sending them")
    INTENT_WRITTEN = ("dispatch", "the submission is written as `prepared`", "its control files")
    FILES_WRITTEN = ("dispatch", "scripts lie in the control directory", "`calling` is not written")
    CALL_WRITTEN = ("dispatch", "the submission is written as `calling`", "the scheduler's call")
    CALL_MADE = ("dispatch", "the scheduler has answered", "its answer is not written down")
    ANSWER_WRITTEN = ("dispatch", "the answer is written down", "the other submissions")
    LOOKED_UP = ("settle", "a lost submission was looked up by its key", "what was found")
    RESEND_WRITTEN = ("settle", "it is provably absent, and that is written", "sending it again")
    RESEND_FORBIDDEN = ("settle", "a stopped submission may not start", "its attempts go back")
    STATUS_DUE = ("watch", "the time of the status call is written", "the call itself")
    EVIDENCE_SEEN = ("watch", "nothing", "evidence was read, and no verdict given")
    GIVEN_UP = ("watch", "the outcome of a given-up attempt is written", "it may still start")
    REMAINS_FORBIDDEN = ("watch", "what is given up may not start", "it is in the scheduler")
    REMAINS_REMOVED = ("watch", "what is given up is out of the scheduler", "the end of it")
    VERDICT_HALF = ("watch", "nothing", "the attempt has ended, its job not; not committed", True)
    VERDICT_WRITTEN = ("watch", "verdicts and next attempts are written", "moving workflows")
    RETRY_HALF = ("verdict", "nothing", "the next attempt is inserted, not committed", True)
    FETCH_READ = ("images", "a fetch job has ended", "workflows do not know its image")
    FETCH_WRITTEN = ("images", "workflows have the image, or know why not", "their jobs")
    CLAIM_TAKEN = ("conversion", "the image is claimed by this process", "its conversion")
    CLAIM_REPLACING = ("conversion", "a dead owner's claim is known", "ours in its place")
    LAYERS_UNDER_WAY = ("conversion", "Apptainer fetches and unpacks layers", "a whole image")
    SIF_WRITTEN = ("conversion", "the image is whole in a private directory", "its way to the disk")
    SIF_SYNCED = ("conversion", "the image is on the disk", "its name in the store")
    SIF_NAMED = ("conversion", "the image has its name in the store", "the end of the claim")
    CLAIM_RELEASED = ("conversion", "the claim's name is free", "the record of the image")
    RECORD_WRITTEN = ("conversion", "a record lies under a temporary name", "its own name")
    IMAGE_RECORDED = ("conversion", "the image is recorded", "the result for who asked")
    RESULT_WRITTEN = ("conversion", "the result of the fetch is written", "the end of its job")
    UNSENT_STOPPED = ("stop", "jobs without a submission are ended", "those that were sent")
    START_FORBIDDEN = ("stop", "what waits in the scheduler may not start", "its removal")
    CANCEL_ASKED = ("stop", "the scheduler was asked to remove it", "nothing says so")
    CANCEL_WRITTEN = ("stop", "the time line says that it was asked", "its end")
    WORKFLOW_WRITTEN = ("create", "the workflow is written", "it has no workspace")
    WORKSPACE_MADE = ("create", "the workspace exists", "its inputs")
    FILE_STAGED = ("staging", "one input is in the workspace", "the inputs after it")
    FILE_WRITTEN = ("files", "all bytes of a file are written", "a name for them")
    PART_NAMED = ("files", "a whole file has a temporary name", "its own name")
    FILE_NAMED = ("files", "a file has its own name", "the end of its temporary one")
    FILE_DOWNLOADED = ("download", "one file is in the user's directory", "the files after it")
    INPUTS_STAGED = ("staging", "all inputs are in the workspace", "the wish to start it")
    START_WRITTEN = ("start", "the workflow is queued", "a driver has not seen it")
    STOP_WRITTEN = ("stop", "the wish to stop is written", "nothing is stopped")
    RESTART_WRITTEN = ("restart", "the new run is queued", "a driver has not seen it")
    DELETE_WRITTEN = ("delete", "the run is marked as deleted", "its workspace is there")
    ENTRY_REMOVED = ("removal", "one file or directory is removed", "the rest of them")
    TREE_REMOVED = ("removal", "a whole workspace is removed", "saying so")
    SCHEMA_STEP = ("migration", "nothing", "one migration is applied, not those after it", True)
    SCHEMA_HALF = ("migration", "nothing", "tables are made or changed, not committed", True)
    SCHEMA_WRITTEN = ("migration", "the schema is up to date", "what the process was started for")

    def __init__(self, place: str, done: str, left: str, in_transaction: bool = False) -> None:
        self.place = place
        self.done = done
        self.left = left
        self.in_transaction = in_transaction


Hook = Callable[[CrashPoint], None]
_hook: Hook | None = None


def crash_point(point: CrashPoint) -> None:
    """Pass a boundary; a test may end or hold the process here."""
    if _hook is not None:
        _hook(point)


def set_hook(hook: Hook | None) -> None:
    """Have a function called at every boundary of this process; ``None`` ends that."""
    global _hook  # noqa: PLW0603
    _hook = hook


def hook_from(environ: dict[str, str]) -> Hook | None:
    """Return what the environment asks for, ``None`` if nothing.

    Raises
    ------
    ValueError
        If there is no such point.
    """
    asked = [(KILL_AT, signal.SIGKILL), (PAUSE_AT, signal.SIGSTOP)]
    hooks = [_sender(environ[name], sent) for name, sent in asked if environ.get(name)]
    if not hooks:
        return None

    def all_of_them(point: CrashPoint) -> None:
        for hook in hooks:
            hook(point)

    return all_of_them


def _sender(text: str, sent: signal.Signals) -> Hook:
    name, _, number = text.partition(":")
    if name != "ANY" and name not in CrashPoint.__members__:
        raise ValueError(f"there is no crash point {name!r}")
    left = int(number or 1)

    def hook(point: CrashPoint) -> None:
        nonlocal left
        left -= name in ("ANY", point.name)
        if left == 0:
            left = -1
            os.kill(os.getpid(), sent)

    return hook


try:
    _hook = hook_from(dict(os.environ))
except ValueError as error:
    sys.exit(f"Error: {KILL_AT} or {PAUSE_AT}: {error}")
