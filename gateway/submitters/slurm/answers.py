"""What an answer of ``sbatch`` or ``scancel`` means.

Only Slurm's own refusal proves that a submission was not accepted. Trouble on the way proves
nothing ("Socket timed out" is seen with jobs that ran), so whatever is not in these tables is
unclear. Sources: ``slurm_errtab`` in src/common/slurm_errno.c, the messages of sbatch 24.11
and 26.05 recorded in tests/data/slurm.
"""

from __future__ import annotations

import re

from gateway.submitters.base import (
    Backpressure,
    Rejected,
    SubmitOutcome,
    Submitted,
    Unclear,
)
from gateway.transport.base import CommandResult, Failure

_NO_COMMANDS = (
    "{program} was not found: the Slurm commands are not on the PATH of the gateway, or not "
    "installed on this host"
)
_POLICY = "Job violates accounting/QOS policy"
_NO_ARRAY = "Invalid job array specification"

# Trouble on the way to the controller or back: whatever else is said, the fate is unknown.
# "(connect failure)" is here too: no message left this sbatch, but to conclude that from words
# would save two minutes after an outage and could cost a double start.
_ON_THE_WAY = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Zero Bytes were transmitted",
    "Unexpected message received",
    "Connection ",
    "Communication ",
    "Message send failure",
    "Message receive failure",
    "Transport endpoint",
    "slurm_receive_msg",
    "Protocol authentication error",
)

# The controller refuses now and may accept later.
_LATER = (
    "MaxJobCount limit reached",
    "Slurm job queue full",
    "Slurm temporarily unable to accept job",
    "Job creation temporarily disabled",
    "Resource temporarily unavailable",
    "Rate limit exceeded",
    "System submissions disabled",
    "Required partition not available",
    "Partition in DOWN state",
    "Requested partition configuration not available now",
    "Licenses currently unavailable",
    "Requested reservation is in use",
    "Requested reservation not usable now",
    "Slurm backup controller in standby mode",
    "Controller is in standby mode",
    "breached requested QOS usage threshold",
)

# The controller, or sbatch before it asks the controller, refuses for good.
_NEVER = (
    "Invalid partition name specified",
    "No partition specified or system default partition",
    "User's group not permitted to use this partition",
    "Requested nodes not in this partition",
    "Access/permission denied",
    "More processors requested than permitted",
    "Node count specification invalid",
    "CPU count specification invalid",
    "Requested node configuration is not available",
    "Memory required by task is not available",
    "Invalid feature specification",
    "Invalid account or account/partition combination",
    "Invalid qos specification",
    "Invalid wckey specification",
    "Invalid license specification",
    "Invalid generic resource (gres) specification",
    "Invalid GRES specification",
    "Invalid Trackable RESource",
    "Requested time limit is invalid",
    "Invalid time-min specification",
    "Access denied to requested reservation",
    "Requested reservation is invalid",
    "Pathname of a file, directory or other parameter too long",
    "Invalid user id",
    "Invalid group ID",
    "Invalid or unknown association",
    "Invalid --",
    "Invalid numeric value",
    "unrecognized option",
    "requires an argument",
    'Try "sbatch --help"',
    "Invalid node name specified",
)

TRIES_AGAIN = "retrying"
"""What sbatch says when it will ask again by itself: after one second, then two, for two minutes.

(``MAX_RETRIES`` and the loop around ``slurm_submit_batch_job`` in src/sbatch/sbatch.c.)
"""
_FIRST_WAIT_S = 1.0
_BUSY = re.compile(
    r"Slurm temporarily unable to accept job|Slurm job queue full|Job creation temporarily disabled"
)
_SUBMIT_LIMIT = re.compile(r"^(?:QOS|Assoc)\w*Submit\w*$")
_POLICY_LIMIT = re.compile(r"^(?:QOS|Assoc|Max|Min|Grp)\w+$")
_JOB_LINE = re.compile(r"(\d{1,18})(?:;(\S+))?")
_NOT_RUN = re.compile(
    r"not found|No such file|Permission denied|cannot execute|cannot open shared object", re.I
)
_GONE = re.compile(r"Invalid job id|already (?:completing|finished|completed)|Job has finished")


def read_submit(result: CommandResult, tasks: int, largest: int) -> SubmitOutcome:
    """Say what became of a submission.

    Parameters
    ----------
    tasks
        How many were sent.
    largest
        How many may be sent at once, as far as known.
    """
    if is_missing(result):
        return Backpressure(missing_words(result))
    if result.failure is Failure.NOT_ATTEMPTED:
        return Backpressure(result.complaint)
    busy = _refused_once(result)
    if busy:
        return Backpressure(f"{busy} (its table of jobs may be full: MaxJobCount)")
    if result.failure is not None or result.was_ended:
        return Unclear(result.complaint)
    # Without its line end a number may be the beginning of another job's.
    whole = result.stdout.split("\n")[:-1]
    ids = [match for line in whole if (match := _JOB_LINE.fullmatch(line.strip()))]
    if not result.ok and not ids:
        return _read_refusal(result, tasks, largest)
    if result.ok and len(ids) == 1 and int(ids[0][1]):
        return Submitted(ids[0][1], ids[0][2] or "", " ".join(result.stderr.split()))
    return Unclear(f"sbatch gave no usable job id: {result.complaint}")


def _refused_once(result: CommandResult) -> str:
    """Return the refusal if sbatch was gone before it could ask a second time, else ``""``.

    It asks, says that it was refused, and waits for a second: one that was ended within a second
    of its start has asked once.
    """
    in_time = result.failure is Failure.CUT_OFF and result.seconds < _FIRST_WAIT_S
    said = None if result.stdout.strip() else _BUSY.search(result.stderr)
    return said[0] if in_time and said and not _has(result.stderr, _ON_THE_WAY) else ""


def _read_refusal(result: CommandResult, tasks: int, largest: int) -> SubmitOutcome:
    lines = _lines(result.stderr)
    text, words = "\n".join(lines), " / ".join(lines) or result.complaint
    if _has(text, _ON_THE_WAY):
        return Unclear(words)
    if _NO_ARRAY in text:
        return _array_refused(words, tasks, largest)
    if _POLICY in text:
        return _policy_refused(lines, words)
    if _has(text, _LATER):
        return Backpressure(words)
    if _has(text, _NEVER) or _plugin_refused(lines):
        return Rejected(words)
    return Unclear(words)


def _lines(stderr: str) -> list[str]:
    """Return what sbatch said, without its own name and what it says of its last line."""
    lines = []
    for line in stderr.split("\n"):
        plain = re.sub(r"^sbatch: (?:error: |fatal: )?", "", line.strip())
        plain = plain.removeprefix("Batch job submission failed: ")
        if plain:
            lines.append(plain)
    return lines


def _has(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)


def _array_refused(words: str, tasks: int, largest: int) -> SubmitOutcome:
    if tasks == 1:
        return Rejected(f"{words}: this Slurm has job arrays switched off (MaxArraySize = 0)")
    return Backpressure(words, limit=largest if largest < tasks else tasks // 2)


def _policy_refused(lines: list[str], words: str) -> SubmitOutcome:
    """Tell a full queue from a job that is too large: the sentence is the same for both.

    The controller sends the limit's name on a line of its own. ``...Submit...`` limits count
    the user's or group's jobs; any other limit refuses a single job that is larger than it.
    Without a name the job waits: a wrong wait is visible, a wrong failure loses a workflow.
    """
    if any(_SUBMIT_LIMIT.match(line) for line in lines):
        return Backpressure(words)
    if any(_POLICY_LIMIT.match(line) for line in lines):
        return Rejected(words)
    return Backpressure(f"{words} (Slurm does not name the limit)")


def _plugin_refused(lines: list[str]) -> bool:
    """Whether a job_submit plugin of the site refused.

    Its own words come first, and reach sbatch only inside the controller's refusal; the code
    of the refusal is often the general one.
    """
    return len(lines) > 1 and lines[-1] == "Unspecified error"


def is_missing(result: CommandResult) -> bool:
    """Whether there is no such command; ``env`` and shells say it with status 126 or 127.

    And in words: a wrapper of the site may end with that status after the command has run.
    """
    not_run = result.exit_status in (126, 127) and not result.stdout.strip()
    return result.failure is Failure.NOT_FOUND or (not_run and bool(_NOT_RUN.search(result.stderr)))


def missing_words(result: CommandResult) -> str:
    """Say that the command is not there."""
    return _NO_COMMANDS.format(program=_program(result))


def _program(result: CommandResult) -> str:
    return next((word for word in result.argv if word != "env" and "=" not in word), "a command")


def complaint(result: CommandResult) -> str:
    """Say why there is no answer."""
    return missing_words(result) if is_missing(result) else result.complaint


def only_says_gone(result: CommandResult) -> bool:
    """Whether every complaint is that a job is over already."""
    lines = [line for line in result.stderr.split("\n") if line.strip()]
    return result.failure is None and bool(lines) and all(_GONE.search(line) for line in lines)


def is_silence(result: CommandResult) -> bool:
    """Whether a command says that the controller did not answer it.

    Accounting may be away for hours while the controller is well: it is asked in vain now and then.
    """
    return _program(result) != "sacct" and _has(result.stderr, _ON_THE_WAY)


def accounting_is_off(result: CommandResult) -> bool:
    """Whether there is no accounting at all, as opposed to one that does not answer now."""
    words = result.stderr + result.stdout
    return is_missing(result) or (
        result.failure is None
        and not result.ok
        and ("accounting storage is disabled" in words or "supported accounting_storage" in words)
    )
