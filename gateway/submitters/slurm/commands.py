"""Command lines and the batch script for Slurm, as pure functions.

Needs Slurm 20.11: ``squeue --me`` and ``--format`` fields with a suffix. Knows no answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil

from gateway.quoting import shell_word
from gateway.site.model import SlurmCluster
from gateway.submitters.base import Submission

SEPARATOR = "\x1f"
"""Between fields: Slurm accepts ``|`` in job names, not control characters."""

WARNING_S = 60
_WARNING_NEEDS_S = 120
_LABEL_LENGTH = 40

QUEUE_FIELDS = (
    "JobArrayID",
    "State",
    "Reason",
    "NodeList",
    "StartTime",
    "EndTime",
    "exit_code",
    "RestartCnt",
    "Name",
)
ACCOUNTING_FIELDS = (
    "JobID",
    "State",
    "Reason",
    "NodeList",
    "Start",
    "End",
    "ExitCode",
    "MaxRSS",
    "TotalCPU",
    "JobName",
)
# squeue and sacct write epoch seconds: wall clock times would need the scheduler's time zone.
_EPOCH = ("env", "SLURM_TIME_FORMAT=%s")

# With --export=NIL slurmd starts the script with SLURM_* variables only; NONE would first run
# the user's login shell on the node, which can hang and lets in what it sets.
_SCRIPT = """\
#!/bin/bash
# Starts one task of a gateway submission. The environment is empty but for Slurm's variables.
control={control}
given=$(/usr/bin/printenv PATH)
export PATH="${{given:+$given:}}/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
[ -n "${{HOME:-}}" ] || export HOME=~
export USER="${{USER:-$(id -un)}}"
export LOGNAME="${{LOGNAME:-$USER}}" SHELL="${{SHELL:-/bin/bash}}"
export GATEWAY_NODE="${{SLURMD_NODENAME:-}}"
exec bash "$control/job.sh" "$control" "$SLURM_ARRAY_TASK_ID" \\
    "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" "${{SLURM_RESTART_COUNT:-0}}"
"""


def job_name(submission: Submission) -> str:
    """Return the name under which a submission is found again: its key, and words for people."""
    label = re.sub(r"[^A-Za-z0-9._-]+", "_", submission.label)[:_LABEL_LENGTH]
    return f"{submission.key}-{label}" if label else submission.key


def carries_key(name: str, key: str) -> bool:
    """Whether a job of that name belongs to the submission with the key."""
    return name == key or name.startswith(f"{key}-")


def batch_script(submission: Submission) -> str:
    """Return the text that Slurm runs for every task. Holds no word of the user."""
    return _SCRIPT.format(control=shell_word(str(submission.control_dir)))


def submit_argv(
    submission: Submission, site: SlurmCluster, exclude: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the ``sbatch`` call; the script goes to its standard input.

    What slurmd and slurmstepd say of a task (killed for memory, walltime) goes to
    ``logs/INDEX.slurm`` below the control directory; that of an earlier run of a requeued task
    is not kept, so that its words are not taken for those of the last.
    """
    last = max(task.index for task in submission.tasks)
    words = [
        "sbatch",
        "--parsable",
        f"--array=0-{last}",
        f"--job-name={job_name(submission)}",
        f"--comment={submission.key}",
        "--export=NIL",
        f"--chdir={submission.control_dir}",
        "--output=logs/%a.slurm",
        "--open-mode=truncate",
        "--nodes=1",
        "--ntasks=1",
        *_resource_words(submission, site),
    ]
    if exclude:
        words.append(f"--exclude={','.join(exclude)}")
    return (*words, *site.extra_arguments)


def _resource_words(submission: Submission, site: SlurmCluster) -> list[str]:
    wants = submission.resources
    walltime = wants.walltime_s
    values = {
        "cpus-per-task": wants.cpus,
        "mem": wants.memory_mib and f"{wants.memory_mib}M",
        "tmp": wants.disk_mib and f"{wants.disk_mib}M",
        # Slurm counts whole minutes.
        "time": walltime and ceil(walltime / 60),
        # Also understood where GPUs are not a select/cons_tres resource, unlike --gpus-per-node.
        "gres": wants.gpus and f"gpu:{wants.gpus}",
        "partition": wants.partition or site.partition,
        "account": wants.account or site.account,
        "qos": wants.qos or site.qos,
        "constraint": wants.constraint,
    }
    if walltime and walltime > _WARNING_NEEDS_S:
        values["signal"] = f"B:USR2@{WARNING_S}"
    return [f"--{name}={value}" for name, value in values.items() if value]


def chosen_clusters(extra_arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the clusters that the site's extra arguments of ``sbatch`` name, else one empty name.

    They must be asked when a lost submission is looked for.
    """
    named = ""
    for word, following in pairwise((*extra_arguments, "")):
        if word in ("-M", "--clusters", "--cluster"):
            named = following
        elif match := re.fullmatch(r"(?:--clusters?=|-M)(.+)", word):
            named = match[1]
    return tuple(filter(None, named.split(","))) or ("",)


def _on(where: str) -> tuple[str, ...]:
    return (f"--clusters={where}",) if where else ()


def queue_argv(where: str, name: str | None = None) -> tuple[str, ...]:
    """Return the ``squeue`` call that lists every task of this user, or those of one name.

    ``--all`` because jobs in hidden partitions would be left out without it. With the line of
    titles, because no line at all would not tell an empty queue from an answer that got lost.
    """
    wanted = ",".join(f"{field}:{SEPARATOR}" for field in QUEUE_FIELDS)
    named = (f"--name={name}",) if name else ()
    words = ("--me", "--all", "--array", "--states=all", f"--Format={wanted}")
    return (*_EPOCH, "squeue", *_on(where), *words, *named)


def accounting_argv(
    where: str, seconds_back: float, *, arrays: Sequence[str] = (), name: str | None = None
) -> tuple[str, ...]:
    """Return the ``sacct`` call for arrays by id, or for one submission by name.

    ``now-Nseconds`` needs no time zone. Job steps are listed for ids: the batch step has the
    peak of memory. A job that never became eligible is listed for ids only, not by name.
    """
    which = (f"--jobs={','.join(arrays)}",) if arrays else (f"--name={name}", "--allocations")
    return (
        *_EPOCH,
        "sacct",
        *_on(where),
        "--parsable2",
        f"--delimiter={SEPARATOR}",
        f"--starttime=now-{max(0, ceil(seconds_back))}seconds",
        f"--format={','.join(ACCOUNTING_FIELDS)}",
        *which,
    )


def cancel_argv(where: str, targets: Sequence[str]) -> tuple[str, ...]:
    """Return the ``scancel`` call."""
    return ("scancel", *_on(where), *targets)


def config_argv(where: str) -> tuple[str, ...]:
    """Return the call that prints the configuration."""
    return ("scontrol", *_on(where), "show", "config")


def portions(targets: Iterable[str], longest: int = 30_000) -> list[list[str]]:
    """Cut a list of words into command lines of bounded length (a remote shell gets one string)."""
    cut: list[list[str]] = []
    length = 0
    for target in targets:
        if not cut or length + len(target) > longest:
            cut.append([])
            length = 0
        cut[-1].append(target)
        length += len(target) + 1
    return cut
