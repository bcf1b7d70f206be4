"""Follow the right one where a scheduler got a submission twice. Pure.

Each task is claimed by one copy; the other one ends at once. We may know only the copy that came
late: the native id of the one that runs stands in the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gateway.submitters.base import ActiveSubmission
from gateway.vocabulary.evidence import Claim


def by_copy(
    active: Iterable[ActiveSubmission],
    claims: Mapping[str, Iterable[Claim]],
    submission_id: Callable[[str], str],
) -> list[ActiveSubmission]:
    """Split submissions so that each open task is asked for under the id of its running copy.

    Parameters
    ----------
    claims
        By the submission's key.
    submission_id
        Returns the submission's native id for the task's id in a claim, empty if that cannot be
        told.
    """
    found: list[ActiveSubmission] = []
    for submission in active:
        claimed = {claim.key: claim for claim in _oldest_first(claims.get(submission.key, ()))}
        copies: dict[str, dict[int, str]] = {}
        for index, key in submission.open_tasks.items():
            named = submission_id(claimed[key].native_id) if key in claimed else ""
            copies.setdefault(named or submission.native_id, {})[index] = key
        found += [
            replace(submission, native_id=native, open_tasks=tasks)
            for native, tasks in copies.items()
        ]
    return found


def _oldest_first(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: claim.restart)
