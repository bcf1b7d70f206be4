"""Slurm's words for job states and reasons, as tables.

Source of the words: "Job State Codes" and "Job Reason Codes" of the Slurm documentation, and
``job_state_string``/``job_state_reason_string`` of Slurm 24.11 and 26.05. A word that is not
here means that the job is taken to be alive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.vocabulary.evidence import SchedulerState

_STATES: Mapping[str, SchedulerState] = {
    "PENDING": SchedulerState.PENDING,
    "CONFIGURING": SchedulerState.PENDING,
    "POWER_UP_NODE": SchedulerState.PENDING,
    "EXPEDITING": SchedulerState.PENDING,
    # Taken back into the queue, by an administrator, a preemption or a federation.
    "REQUEUED": SchedulerState.PENDING,
    "REQUEUE_FED": SchedulerState.PENDING,
    "RUNNING": SchedulerState.RUNNING,
    "RESIZING": SchedulerState.RUNNING,
    "SIGNALING": SchedulerState.RUNNING,
    "STAGE_OUT": SchedulerState.RUNNING,
    "UPDATE_DB": SchedulerState.RUNNING,
    # The end is near, but how it ended is not known yet.
    "COMPLETING": SchedulerState.RUNNING,
    "SUSPENDED": SchedulerState.SUSPENDED,
    "STOPPED": SchedulerState.SUSPENDED,
    "REQUEUE_HOLD": SchedulerState.HELD,
    "RESV_DEL_HOLD": SchedulerState.HELD,
    "SPECIAL_EXIT": SchedulerState.HELD,
    "COMPLETED": SchedulerState.COMPLETED,
    "FAILED": SchedulerState.FAILED,
    "CANCELLED": SchedulerState.CANCELLED,
    "TIMEOUT": SchedulerState.TIMEOUT,
    "DEADLINE": SchedulerState.TIMEOUT,
    "OUT_OF_MEMORY": SchedulerState.OUT_OF_MEMORY,
    "PREEMPTED": SchedulerState.PREEMPTED,
    "NODE_FAIL": SchedulerState.NODE_FAILED,
    "BOOT_FAIL": SchedulerState.LAUNCH_FAILED,
    "LAUNCH_FAILED": SchedulerState.LAUNCH_FAILED,
    "RECONFIG_FAIL": SchedulerState.LAUNCH_FAILED,
    # A sibling on another cluster of the federation started: the job lives on there.
    "REVOKED": SchedulerState.UNKNOWN,
}

# Why a job FAILED, where the state alone would blame the command (enum job_state_reason, FAIL_*).
# A refused sbatch can leave such a record: "Requested node configuration is not available"
# is FAILED with BadConstraints in squeue (seen with 24.11 and 26.05).
_FAILED_BECAUSE: Mapping[str, SchedulerState] = {
    "badconstraints": SchedulerState.LAUNCH_FAILED,
    "joblaunchfailure": SchedulerState.LAUNCH_FAILED,
    "systemfailure": SchedulerState.LAUNCH_FAILED,
    "nodedown": SchedulerState.NODE_FAILED,
    "outofmemory": SchedulerState.OUT_OF_MEMORY,
    "timelimit": SchedulerState.TIMEOUT,
    "deadline": SchedulerState.TIMEOUT,
}

# Pending reasons that time does not cure: somebody must act.
_HOLDING_REASON = re.compile(
    r"""
      jobheld(user|admin)
    | jobholdmaxrequeue
    | launchfailedrequeuedheld
    | dependencyneversatisfied
    | reservationdeleted
    | badconstraints
    | partition(time|node)limit
    | maxmemperlimit
    | (account|qos)notallowed
    | invalid(account|qos)
    # QOSMaxMemoryPerJob, AssocMaxWallDurationPerJobLimit, QOSMinCpuNotSatisfied ...
    | (qos|assoc)max\w*perjob(limit)?
    | qosmin\w*notsatisfied
    """,
    re.VERBOSE,
)


def scheduler_state(word: str, reason: str = "") -> SchedulerState:
    """Bring Slurm's state, and the reason beside it, to the common vocabulary.

    Parameters
    ----------
    word
        As printed, also cut off (``OUT_OF_ME+``) or with an addition (``CANCELLED by 1000``).
    reason
        As printed; empty if there is none.
    """
    state = _state(word)
    plain = re.sub(r"[^a-z]", "", reason.lower())
    if state is SchedulerState.FAILED:
        return _FAILED_BECAUSE.get(plain, state)
    if state is SchedulerState.PENDING and _HOLDING_REASON.fullmatch(plain):
        return SchedulerState.HELD
    return state


def _state(word: str) -> SchedulerState:
    match = re.match(r"([A-Z_]+)(\+?)", word.strip().upper())
    if match is None:
        return SchedulerState.UNKNOWN
    name, cut_off = match.groups()
    if name in _STATES or not cut_off:
        return _STATES.get(name, SchedulerState.UNKNOWN)
    meant = {state for full, state in _STATES.items() if full.startswith(name)}
    return meant.pop() if len(meant) == 1 else SchedulerState.UNKNOWN
