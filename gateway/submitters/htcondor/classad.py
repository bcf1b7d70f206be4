"""ClassAd text: string literals and the constraints that name our jobs; pure.

The only place that turns words into ClassAd expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gateway.submitters.base import ActiveSubmission

ANY_OF_OURS = "GatewaySubmission =!= undefined"
_LONGEST = 60_000
"""Bytes of one constraint; Linux takes 128 KiB in one argument (execve(2))."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def one_line(text: str) -> str:
    """Return text without control characters, which neither ads nor submit files can carry."""
    return _CONTROL.sub(" ", text)


def literal(text: str) -> str:
    """Write a ClassAd string."""
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def is_submission(key: str) -> str:
    """Return the constraint that a submission's jobs fulfil."""
    return f"GatewaySubmission == {literal(key)}"


def is_one_of(attribute: str, values: Iterable[str]) -> str:
    """Return the constraint that an attribute has one of some values."""
    return f"member({attribute}, {{{', '.join(map(literal, values))}}})"


def open_tasks(active: Sequence[ActiveSubmission]) -> Iterator[str]:
    """Yield constraints that together name the open tasks, each short enough for one argument.

    The key stands beside the number of the process: numbers of clusters start again when a
    schedd loses its spool.
    """
    line = ""
    for submission in active:
        if not submission.open_tasks:
            continue
        term = f"({is_submission(submission.key)} && ({_in_ranges(submission.open_tasks)}))"
        if line and len(line) + len(term) > _LONGEST:
            yield line
            line = ""
        line = f"{line} || {term}" if line else term
    if line:
        yield line


def _in_ranges(indexes: Iterable[int]) -> str:
    return " || ".join(
        f"ProcId == {first}" if first == last else f"(ProcId >= {first} && ProcId <= {last})"
        for first, last in _ranges(sorted(indexes))
    )


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def not_on(nodes: Iterable[str]) -> list[str]:
    """Return requirements that stay away from nodes; a short name stands for its host too."""
    return [
        f"TARGET.Machine =!= {literal(node)}"
        if "." in node
        else f"split(TARGET.Machine, {literal('.')})[0] =!= {literal(node)}"
        for node in map(one_line, nodes)
    ]
