"""Command lines of the HTCondor tools; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.submitters.htcondor import classad
from gateway.submitters.htcondor.parse import ATTRIBUTES

_FACTS = "$(SCHEDD_HOST)|$(SCHEDD_NAME)|$(FULL_HOSTNAME)|$(MAX_JOBS_PER_SUBMISSION)"
FACTS_ARGV = ("condor_config_val", "-macro", _FACTS)
_KEYS_PER_CALL = 500
_SLACK_S = 3600


@dataclass(frozen=True, slots=True)
class Facts:
    """What the configuration of the login node says of the scheduler.

    Parameters
    ----------
    schedd
        Name of the schedd that the tools talk to when none is named; empty if not known.
    remote
        Whether it is on another host, where its history has to be asked for by name.
    """

    schedd: str = ""
    remote: bool = False
    jobs_per_submission: int | None = None


def parse_facts(stdout: str) -> Facts:
    """Read the answer to ``FACTS_ARGV``.

    A schedd without a name of its own is called after its host (HTCondor Manual, SCHEDD_NAME).
    """
    fields = stdout.strip().split("|")
    if len(fields) != 4:
        return Facts()
    host, name, here, limit = (field.strip() for field in fields)
    jobs = int(limit) if limit.isdecimal() and int(limit) > 0 else None
    if host:
        return Facts(host, remote=True, jobs_per_submission=jobs)
    if name:
        name = name if "@" in name or name == here else f"{name}@{here}"
    return Facts(name or here, jobs_per_submission=jobs)


def tool(name: str, schedd: str, pool: str | None) -> tuple[str, ...]:
    """Return a tool's command line for a schedd; no name means the tool's own choice."""
    words = [name]
    if schedd:
        words += ["-name", schedd]
        if pool:
            words += ["-pool", pool]
    return tuple(words)


def submit_argv(base: Sequence[str], description: Path) -> tuple[str, ...]:
    """Return the submission of a description file, with an answer for programs."""
    return (*base, "-terse", str(description))


def ads_argv(base: Sequence[str], constraint: str, *more: str) -> tuple[str, ...]:
    """Return a query for ads, of the queue or of the history."""
    return (*base, "-json", "-attributes", ",".join(ATTRIBUTES), "-constraint", constraint, *more)


def history_argv(
    base: Sequence[str], keys: Sequence[str], since: float, user: str
) -> tuple[str, ...]:
    """Return a look into the history, which is read backwards, for some attempts.

    The scan ends at a job of ours that ended before ``since``. Other people's jobs must not end
    it: one may have ended long before it left the queue. ``user`` only makes it shorter.
    """
    ours = f"Owner == {classad.literal(user)} && {classad.ANY_OF_OURS}"
    bounds = ("-since", f"{ours} && EnteredCurrentStatus < {int(since) - _SLACK_S}")
    if len(keys) > _KEYS_PER_CALL:
        return ads_argv(base, classad.ANY_OF_OURS, *bounds)
    # Twice: a key that was sent twice against all precautions must not hide another.
    limit = ("-limit", str(2 * len(keys)))
    return ads_argv(base, classad.is_one_of("GatewayKey", keys), *bounds, *limit)


def let_go_argv(base: Sequence[str]) -> tuple[str, ...]:
    """Return what lets ended jobs of ours leave the queue: the history has them then."""
    ended = f"{classad.ANY_OF_OURS} && JobStatus == 4"
    return (*base, "-constraint", ended, "LeaveJobInQueue", "False")


def act_argv(base: Sequence[str], constraint: str) -> tuple[str, ...]:
    """Return a removal of all jobs that fulfil a constraint."""
    return (*base, "-constraint", constraint)
