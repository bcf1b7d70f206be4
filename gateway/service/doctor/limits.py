"""What a limit of a scheduler means for a user of the gateway."""

from __future__ import annotations

import re

from gateway.service.doctor.check import Check, fail, ok, warn
from gateway.site.model import ClusterBase
from gateway.vocabulary.units import show_seconds

FEW = 100
"""A limit below is one that an ordinary workflow meets."""


def jobs_at_once(title: str, most: int, whose: str, settings: ClusterBase) -> Check:
    """Judge how many jobs the scheduler takes; what it does not take waits in the gateway."""
    if most == 0:
        fix = "ask those who run the cluster; set another account, QOS or schedd in the site file"
        return fail(title, f"takes no job of {whose}", fix)
    found = f"takes {most} jobs of {whose} at once; others wait in the gateway, none fails"
    ours = settings.max_active_tasks
    if most >= FEW or (ours and ours <= most):
        return ok(title, found)
    fix = f"nothing; with `max_active_tasks: {most}` the gateway does not ask for more in vain"
    return warn(title, found, fix)


def running_at_once(title: str, most: int, whose: str) -> Check:
    """Judge how many jobs may run."""
    if most == 0:
        fix = "ask those who run the cluster; set another account or QOS in the site file"
        return fail(title, f"starts no job of {whose}", fix)
    return ok(title, f"runs {most} jobs of {whose} at once; others wait in the scheduler")


def seconds_of(text: str) -> int | None:
    """Read ``1-00:00:00``, ``1:00:00`` and ``1:00`` (a minute); ``None`` for ``infinite``."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,2}):(\d{2})", text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def walltime(
    title: str, words: str, longest: int | None, settings: ClusterBase, name: str
) -> Check:
    """Compare the longest walltime with what the site file asks for; ``words`` say whose it is."""
    for word, request in (("defaults", settings.defaults), ("maximum", settings.maximum)):
        if longest and request.walltime and request.walltime > longest:
            asked = show_seconds(request.walltime)
            fix = f"lower `{word}.walltime` of cluster {name}: longer jobs are refused, or wait"
            level = fail if word == "defaults" else warn
            return level(title, f"{words}, and `{word}` asks for {asked}", fix)
    return ok(title, words)
