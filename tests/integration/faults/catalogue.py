"""What real schedulers were seen to do to their clients, as faults of the wrapper.

The words are those of Slurm 26.05 and HTCondor 25.14 (tests/data), or of the named source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.integration.faults.plan import Fault

PATIENCE_S = 5
"""``command_timeout`` of the sites of these tests: an answer that comes later comes too late."""
TOO_LATE_S = PATIENCE_S + 3.0
RESEND_S = 3
"""``resend_after`` of these sites."""
EVER = None
SKEW_S = 3 * 3600
GARBAGE = "<html><body>502 Bad Gateway</body></html>\n"
FOREIGN = "gw" + "0" * 16
"""Key of a submission that is not ours."""

# src/common/slurm_errno.c: SLURM_PROTOCOL_SOCKET_IMPL_TIMEOUT.
TIMED_OUT = "Socket timed out on send/recv operation\n"
NO_CONTROLLER = "Unable to contact slurm controller (connect failure)\n"
NO_DATABASE = "sacct: error: Problem talking to the database: Connection refused\n"
NO_ACCOUNTING = "Slurm accounting storage is disabled\n"
FROZEN = "SECMAN:2007:This service is running, but did not respond in a reasonable time.\n"
NO_SCHEDD = "ERROR: Can't find address of local schedd\n"


@dataclass(frozen=True)
class Case:
    """Faults, and what a workflow meets them with.

    Parameters
    ----------
    life
        ``runs``: two steps, one after the other. ``stops``: a long one, stopped while it runs.
        ``stops unclear``: stopped while nobody knows whether the scheduler has it. ``dies``: the
        first attempt vanishes without a record.
    sent
        How many submissions the scheduler gets in the end.
    """

    name: str
    faults: tuple[Fault, ...]
    life: str = "runs"
    sent: int = 2


def lies(command: str, words: str = "") -> Iterator[tuple[str, Fault]]:
    """Yield what can happen to the answer of one call whose work was done."""
    told = Fault("", command, words)
    yield "lost", replace(told, stdout="", stderr="", exit=0)
    yield "killed", replace(told, stdout="", stderr="", exit=-9)
    yield "late", replace(told, late_s=TOO_LATE_S)
    yield "fails", replace(told, exit=1)
    yield "garbage", replace(told, stdout=GARBAGE)
    yield "cut", replace(told, edits=(("cut", 0.6),))


def said(command: str, stderr: str, words: str = "", last: int | None = 3) -> Fault:
    """Return a refusal to work, for some calls."""
    return Fault("", command, words, last=last, runs=False, stdout="", stderr=stderr, exit=1)


def named(name: str, *faults: Fault, life: str = "runs", sent: int = 2) -> Case:
    """Return a case whose faults carry its name."""
    return Case(
        name, tuple(replace(f, name=f"{name} {n}") for n, f in enumerate(faults)), life, sent
    )


def submission(command: str) -> Iterator[Case]:
    """Yield what happens to the first submission, whatever the scheduler."""
    for name, fault in lies(command):
        yield named(f"submit-{name}", fault)
    # Twice in a row: the job runs when the second answer is lost, too.
    yield named("submit-lost-always", Fault("", command, last=EVER, stdout="", exit=1))
    not_done = Fault("", command, runs=False, late_s=TOO_LATE_S)
    yield named("submit-not-done", not_done)
    # The gate leaves a silent scheduler alone for 6 s, and a key is looked up every 10 s.
    done_later = replace(not_done, apart_s=PATIENCE_S + 17.0)
    yield named("submit-done-after-it-was-sent-again", done_later, sent=3)
    yield named(
        "submit-lost-then-stopped", Fault("", command, stdout=""), life="stops unclear", sent=1
    )
    # The beginning of a job id is the id of another job.
    cut = Fault("", command, edits=(("cut", 0.6),))
    yield named("submit-cut-then-stopped", cut, life="stops", sent=1)
    yield named("submit-not-done-then-stopped", not_done, life="stops unclear", sent=0)


def status(command: str, words: str, nothing: str) -> Iterator[Case]:
    """Yield what happens to the bulk status call, whatever the scheduler."""
    for name, fault in lies(command, words):
        if name != "killed":
            yield named(f"status-{name}", replace(fault, last=1 if name == "late" else EVER))
    yield named("status-says-all-twice", Fault("", command, last=EVER, edits=(("twice",),)))
    yield named("clock-ahead", Fault("", command, last=EVER, edits=(("shift", SKEW_S),)))
    yield named("clock-behind", Fault("", command, last=EVER, edits=(("shift", -SKEW_S),)))
    yield named("status-says-nothing", Fault("", command, last=EVER, stdout=nothing))


def removal(command: str, silence: str) -> Iterator[Case]:
    """Yield what happens to a wish to stop, whatever the scheduler."""
    for name, fault in lies(command):
        if name in ("lost", "killed", "fails", "late"):
            yield named(f"stop-{name}", fault, life="stops", sent=1)
    yield named("stop-not-done", said(command, silence, last=1), life="stops", sent=1)


def slurm() -> list[Case]:
    """Return the cases for Slurm."""
    queue = ("squeue", "--me --all")
    shown = "gw[0-9a-f]{16}"
    purged = Fault("", "squeue", last=EVER, edits=(("drop", shown),))
    unknown_to_accounting = Fault("", "sacct", last=EVER, edits=(("drop", shown),))
    behind = replace(unknown_to_accounting, last=4)
    silent = said("sacct", NO_DATABASE, last=2)
    lost_request = said(
        "sbatch", f"sbatch: error: Batch job submission failed: {TIMED_OUT}", last=1
    )
    unknown = ("sub", "PENDING|RUNNING|COMPLETING|COMPLETED", "TELEPORTED")
    reused = (("sub", shown, FOREIGN), ("sub", "PENDING|RUNNING|COMPLETED", "FAILED"))
    return [
        *submission("sbatch"),
        named("submit-timed-out", replace(lost_request, runs=True)),
        named("submit-timed-out-not-done", lost_request),
        named("submit-not-done-accounting-silent", lost_request, silent),
        *status(*queue, ""),
        named("status-timed-out", said("squeue", f"slurm_load_jobs error: {TIMED_OUT}")),
        named("unknown-states", Fault("", "squeue", last=EVER, edits=(unknown,))),
        named("reused-ids", Fault("", "squeue", last=EVER, edits=reused)),
        named("purged-accounting-behind", purged, behind),
        named("purged-accounting-silent", purged, said("sacct", NO_DATABASE, last=EVER)),
        named("purged-no-accounting", purged, said("sacct", NO_ACCOUNTING, last=EVER)),
        named("vanishes", purged, unknown_to_accounting, life="dies", sent=3),
        named("controller-down", said("sbatch|squeue|scancel|scontrol", NO_CONTROLLER, last=3)),
        *removal("scancel", f"scancel: error: Kill job error on job id 1: {TIMED_OUT}"),
    ]


def htcondor() -> list[Case]:
    """Return the cases for HTCondor."""
    ours = "gw[0-9a-f]{16}"
    purged = Fault("", "condor_q", last=EVER, edits=(("drop", ours),))
    forgotten = Fault("", "condor_history", last=EVER, stdout="[]\n")
    unknown = ("sub", r'"JobStatus": *\d+', '"JobStatus": 42')
    reused = (("sub", ours, FOREIGN), ("sub", r'"JobStatus": *\d+', '"JobStatus": 3'))
    return [
        *submission("condor_submit"),
        named("submit-frozen", replace(said("condor_submit", FROZEN, last=1), runs=True)),
        named("submit-frozen-not-done", said("condor_submit", FROZEN, last=1)),
        *status("condor_q", "", "[]\n"),
        named("status-frozen", said("condor_q", FROZEN)),
        named("unknown-states", Fault("", "condor_q", last=EVER, edits=(unknown,))),
        named("reused-ids", Fault("", "condor_q", last=EVER, edits=reused)),
        named("purged-history-lost", purged, forgotten),
        named("purged-history-behind", purged, replace(forgotten, last=3)),
        named("schedd-down", said("condor_(submit|q|history|rm)", NO_SCHEDD, last=4)),
        *removal("condor_rm", FROZEN),
    ]
