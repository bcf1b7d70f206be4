"""An HTCondor pool as its own commands describe it: version, schedd, history, machines, limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.service.doctor.limits import jobs_at_once
from gateway.service.doctor.tools import Endpoint, absent, first_line
from gateway.site.model import HTCondorCluster

COMMANDS = ("condor_submit", "condor_q", "condor_history", "condor_rm")
LIMITS = {"MAX_JOBS_PER_OWNER": "yours", "MAX_JOBS_SUBMITTED": "all users"}
ANY_NUMBER = 2**31 - 1
"""What HTCondor gives where there is no limit."""
_LOAD = "load the scheduler's module, or set `ssh` to an access point that has it"


def htcondor(name: str, settings: HTCondorCluster, endpoint: Endpoint) -> Iterator[Check]:
    """Examine one pool; about eight calls, all through its gate."""
    missing = absent(endpoint.run, COMMANDS)
    if missing:
        found = missing if isinstance(missing, str) else f"not on PATH: {', '.join(missing)}"
        yield fail(f"cluster {name}", found, _LOAD)
        return
    version = first_line(endpoint.run(("condor_version",))).strip("$ ")
    yield ok(f"cluster {name}", f"HTCondor {version.removeprefix('CondorVersion: ')}")
    answer = endpoint.run((*on_schedd("condor_q", settings), "-limit", "1", "-af", "ClusterId"))
    title = f"cluster {name}: schedd"
    if not answer.ok:
        yield fail(title, answer.complaint, "try `condor_q` by hand; set `schedd` and `pool`")
        return
    yield ok(title, f"{settings.schedd or 'that of this host'} answers")
    yield _history(name, settings, endpoint)
    yield _machines(name, settings, endpoint)
    most = endpoint.cluster.submitter.limits().tasks_per_submission
    yield ok(f"cluster {name}: limits", f"{most} tasks in one submission")
    yield from _jobs_at_once(name, settings, endpoint)


def _jobs_at_once(name: str, settings: HTCondorCluster, endpoint: Endpoint) -> Iterator[Check]:
    """Judge the schedd's own limits; one that does not tell them will say so when it is full."""
    for word, whose in LIMITS.items():
        answer = endpoint.run((*on_schedd("condor_config_val", settings), "-schedd", word))
        value = answer.stdout.strip()
        title = f"cluster {name}: {word}"
        if not answer.ok:
            yield ok(title, f"cannot be read ({answer.complaint}); who meets it waits, in words")
        elif value.isdecimal() and int(value) < ANY_NUMBER:
            yield jobs_at_once(title, int(value), whose, settings)


def on_schedd(tool: str, settings: HTCondorCluster) -> tuple[str, ...]:
    """Return a tool's command line for the schedd of the site file, or for the tool's own."""
    if not settings.schedd:
        return (tool,)
    return (tool, "-name", settings.schedd, *_in_pool(settings))


def _in_pool(settings: HTCondorCluster) -> Sequence[str]:
    return ("-pool", settings.pool) if settings.pool else ()


def _history(name: str, settings: HTCondorCluster, endpoint: Endpoint) -> Check:
    title = f"cluster {name}: history"
    words = ("-limit", "1", "-af", "ClusterId")
    answer = endpoint.run((*on_schedd("condor_history", settings), *words))
    if not answer.ok:
        fix = "without it, ends of jobs are known from exit records, the queue and the event log"
        return warn(title, answer.complaint, fix)
    return ok(title, "answers" if answer.stdout.strip() else "answers, and knows no job yet")


def _machines(name: str, settings: HTCondorCluster, endpoint: Endpoint) -> Check:
    title = f"cluster {name}: machines"
    words = ("-limit", "1", "-af", "Machine", "OpSysAndVer")
    answer = endpoint.run(("condor_status", *_in_pool(settings), *words))
    if not answer.ok:
        return warn(title, answer.complaint, "try `condor_status` by hand; set `pool`")
    if not answer.stdout.strip():
        return warn(title, "the pool shows no machine", "nothing runs until one joins")
    return ok(title, f"for example {first_line(answer)}")
