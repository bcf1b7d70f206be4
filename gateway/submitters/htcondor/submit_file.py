"""The submit description and the launcher that it names; pure.

Paths are used in place: a submission and its jobs share a filesystem. A site where they share it
under another FILESYSTEM_DOMAIN overrides ``should_transfer_files`` by its ``extra_lines``; the
launcher does not depend on where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.quoting import shell_word
from gateway.site.model import HTCondorCluster
from gateway.submitters.base import Submission
from gateway.submitters.htcondor.classad import literal, not_on, one_line
from gateway.vocabulary.resources import Resources

LAUNCHER = "condor.sh"
DESCRIPTION = "condor.sub"
EVENT_LOG = "events.log"
WALLTIME_HOLDS = (46, 47)
"""HoldReasonCode of ``allowed_job_duration`` and ``allowed_execute_duration`` (HTCondor Manual,
"HoldReasonCode")."""

_VISIBLE_S = 600
"""How long an ended job stays in the queue: while it does, nobody has to read the history."""
_LATELY_ENDED = f"JobStatus == 4 && time() - CompletionDate < {_VISIBLE_S}"
_GRACE_S = 60
"""Between TERM and KILL: the command may clean up, the job script writes its record."""

# NumShadowStarts counts up before every start, also before one that comes to nothing, so two
# starts never share a number. NumJobStarts would repeat itself after a shadow that crashed.
_LAUNCHER_TEXT = """#!/bin/bash
# Starts one task; only the job's ad on the node knows which start of the job this is.
# usage: condor.sh INDEX NATIVE_ID
# Every process that is not started counts when jobs are short.
find_attribute() {
    local name value
    found=
    while read -r name _ value; do
        [ "$name" = "$1" ] && found=${value//\\"/}
    done 2>/dev/null <"$2"
}
find_attribute NumShadowStarts "$_CONDOR_JOB_AD"
starts=$found
find_attribute Machine "$_CONDOR_MACHINE_AD"
export GATEWAY_NODE=$found
control=@CONTROL@
exec bash "$control/job.sh" "$control" "$1" "$2" $((${starts:-1} - 1))
"""


def launcher_text(control_dir: Path) -> str:
    """Return the script that HTCondor starts on the node."""
    return _LAUNCHER_TEXT.replace("@CONTROL@", shell_word(str(control_dir)))


def description_text(submission: Submission, site: HTCondorCluster, *, stays: bool = True) -> str:
    """Return the submit description of all tasks; task ``i`` becomes process ``i``.

    Parameters
    ----------
    stays
        Whether ended jobs stay in the queue for a while, where they count in its limits.

    Raises
    ------
    ValueError
        If the tasks are not numbered from 0 on, one by one.
    """
    if [task.index for task in submission.tasks] != list(range(len(submission.tasks))):
        raise ValueError("the tasks of a submission are numbered from 0 on, one by one")
    lines = [
        *_what(submission),
        *_how(submission),
        *([f"leave_in_queue = {_LATELY_ENDED}"] if stays else []),
        *_resources(submission.resources, site),
        *_requirements(submission),
        *(["MY.SendCredential = True"] if site.send_credential else []),
        *site.extra_lines,
        "queue GatewayTask from (",
        *(_plain(literal(task.key)) for task in submission.tasks),
        ")",
    ]
    return "\n".join(lines) + "\n"


LAST_RESORT_S = 600
"""After so long in the queue a job may run on a node that it should stay away from."""


def _what(submission: Submission) -> Iterator[str]:
    control = submission.control_dir
    yield "universe = vanilla"
    yield "executable = /bin/bash"
    words = [_argument(str(control / LAUNCHER)), "$(Process)", "$(Cluster).$(Process)"]
    yield f'arguments = "{" ".join(words)}"'
    yield "initialdir = /"
    yield "should_transfer_files = NO"
    yield "transfer_executable = False"
    yield "output = /dev/null"
    yield f"error = {_plain(str(control))}/scheduler.$(Process).out"
    yield f"log = {_plain(str(control / EVENT_LOG))}"
    yield f"MY.GatewaySubmission = {_plain(literal(submission.key))}"
    yield "MY.GatewayKey = $(GatewayTask)"
    # A submit description knows no escaped backslash (old ClassAd syntax).
    label = submission.label.replace("\\", "/")
    yield f"MY.JobBatchName = {_plain(literal(label))}"
    yield f"submit_event_notes = gateway {submission.key}"


def _how(submission: Submission) -> Iterator[str]:
    yield "getenv = False"
    yield "notification = never"
    yield "want_graceful_removal = True"
    yield f"job_max_vacate_time = {_GRACE_S}"
    if submission.resources.walltime_s:
        # The hold is the evidence; the removal keeps it from being released into a second run.
        over = " || ".join(f"HoldReasonCode == {code}" for code in WALLTIME_HOLDS)
        yield f"allowed_job_duration = {submission.resources.walltime_s}"
        yield f"periodic_remove = JobStatus == 5 && ({over})"
        # CERN's own attribute for the same thing; no other pool minds it.
        yield f"MY.MaxRuntime = {submission.resources.walltime_s}"


def _resources(resources: Resources, site: HTCondorCluster) -> Iterator[str]:
    wanted = {
        "request_cpus": resources.cpus,
        "request_memory": resources.memory_mib,
        "request_disk": resources.disk_mib and resources.disk_mib * 1024,
        "request_gpus": resources.gpus or None,
    }
    for command, value in wanted.items():
        if value is not None:
            yield f"{command} = {value}"
    group = resources.accounting_group or site.accounting_group
    if group:
        yield f"accounting_group = {_plain(group)}"


def _requirements(submission: Submission) -> Iterator[str]:
    # A pool may have no other node: a job that found none for a while is better tried than kept.
    terms = [
        f"{elsewhere} || time() - MY.QDate > {LAST_RESORT_S}"
        for elsewhere in not_on(submission.exclude_nodes)
    ]
    if submission.resources.requirements:
        terms.append(submission.resources.requirements)
    if terms:
        yield f"requirements = {_plain(' && '.join(f'({term})' for term in terms))}"


def _plain(text: str) -> str:
    """Make a value safe from the submit language: macros, line ends, continued lines."""
    return one_line(text).replace("$", "$(DOLLAR)")


def _argument(text: str) -> str:
    """Quote one word of ``arguments`` in the new syntax (condor_submit, "arguments")."""
    inner = text.replace("'", "''").replace('"', '""')
    return _plain(f"'{inner}'")
