"""What ``squeue``, ``sacct`` and ``scontrol show config`` print, as facts.

Records that cannot be read are skipped: one strange job never hides the others. But an answer with
such a record, or without its end or the titles it begins with, is not whole: what it does not name
may yet be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from gateway.submitters.slurm.commands import ACCOUNTING_FIELDS, QUEUE_FIELDS, SEPARATOR
from gateway.submitters.slurm.ids import JobId, parse_job_id
from gateway.submitters.slurm.states import scheduler_state
from gateway.vocabulary.evidence import Observation, SchedulerState, Source

_NOT_STARTED = frozenset({SchedulerState.PENDING, SchedulerState.HELD})
_NO_REASON = frozenset({"", "none", "(null)"})
_MAX_DIGITS = 15
_TITLE_OF_ID = "JOBID"
"""Of both programs, whatever the case: 24.11, 26.05, and older sources of squeue have it."""
_CLUSTER_LINE = re.compile(r"CLUSTER: [^\x1f\n]*\n")
_ANY_ID = re.compile(r"\s*\d+(?:[_+.]|\s*$)", re.ASCII)
_KIB = {"": 1 / 1024, "K": 1, "M": 1024, "G": 1024**2, "T": 1024**3, "P": 1024**4}


@dataclass(frozen=True, slots=True)
class Row:
    """What one record of Slurm says of one or more tasks of a named job."""

    job: JobId
    name: str
    said: Observation


@dataclass(frozen=True, slots=True)
class Listing:
    """What could be read of an answer, and whether that is all of it."""

    rows: list[Row]
    whole: bool = True


def parse_queue(text: str, now: float) -> Listing:
    """Read ``squeue`` output written with ``QUEUE_FIELDS``, whose records end with a separator."""
    rows = []
    # Asked for a cluster by its name, squeue says first whose queue it is.
    named = _CLUSTER_LINE.match(text)
    *records, rest = re.split(f"{SEPARATOR} *\n", text[named.end() :] if named else text)
    # A name may have several lines, and a line that is no record may come before one.
    strays = [re.match(r"(?s)(?:[^\x1f]*\n)?", record) for record in records]
    plain = [record[stray.end() :] for record, stray in zip(records, strays, strict=True) if stray]
    found = list(_records(plain, QUEUE_FIELDS))
    titled, jobs = _below_titles(found, "JobArrayID")
    for fields in jobs:
        job = parse_job_id(fields["JobArrayID"])
        if job:
            said = _observation(fields, Source.QUEUE, now, (fields["StartTime"], fields["EndTime"]))
            said = _with_exit(said, fields["exit_code"])
            said = replace(said, restart_count=_number(fields["RestartCnt"]))
            rows.append(Row(job, fields["Name"], said))
    read = plain == records and len(found) == len(records) and not rest.strip(" ")
    return Listing(rows, titled and read and _all_name_jobs(jobs, "JobArrayID"))


def _below_titles(
    found: Sequence[Mapping[str, str]], id_: str
) -> tuple[bool, Sequence[Mapping[str, str]]]:
    """Return whether the records begin with the titles of their columns, and those of jobs."""
    titled = bool(found) and found[0][id_].strip().upper() == _TITLE_OF_ID
    return titled, found[1:] if titled else found


def _all_name_jobs(jobs: Iterable[Mapping[str, str]], id_: str) -> bool:
    """Whether each record says which job it is of: ours or one of another form."""
    return all(_ANY_ID.match(fields[id_]) for fields in jobs)


def parse_accounting(text: str, now: float) -> Listing:
    """Read ``sacct`` output written with ``ACCOUNTING_FIELDS``; steps go into their job's row."""
    rows: dict[str, Row] = {}
    peaks: dict[str, int] = {}
    *lines, rest = text.split("\n")
    records = [line for line in lines if line.strip(" ")]
    found = list(_records(records, ACCOUNTING_FIELDS))
    titled, jobs = _below_titles(found, "JobID")
    for fields in jobs:
        label, _, step = fields["JobID"].partition(".")
        peak = parse_memory_mib(fields["MaxRSS"])
        if peak is not None:
            peaks[label] = max(peak, peaks.get(label, 0))
        job = parse_job_id(label)
        if job and not step:
            said = _observation(fields, Source.ACCOUNTING, now, (fields["Start"], fields["End"]))
            said = _with_exit(said, fields["ExitCode"])
            said = replace(said, cpu_s=parse_cpu_s(fields["TotalCPU"]))
            rows[label] = Row(job, fields["JobName"], said)
    with_peaks = [
        replace(row, said=replace(row.said, max_rss_mib=peaks.get(label)))
        for label, row in rows.items()
    ]
    read = len(found) == len(records) and not rest.strip(" ")
    return Listing(with_peaks, titled and read and _all_name_jobs(jobs, "JobID"))


def _records(lines: Iterable[str], names: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the records that have all fields."""
    for line in lines:
        fields = line.split(SEPARATOR)
        if len(fields) == len(names):
            yield dict(zip(names, fields, strict=True))


def _observation(
    fields: Mapping[str, str], source: Source, now: float, times: tuple[str, str]
) -> Observation:
    reason = fields["Reason"].strip()
    reason = "" if reason.lower() in _NO_REASON else reason
    # Accounting keeps the reason of a wait that is long over.
    state = scheduler_state(fields["State"], reason if source is Source.QUEUE else "")
    node = fields["NodeList"].strip()
    started, finished = (parse_time(text) for text in times)
    return Observation(
        state=state,
        raw=fields["State"].strip(),
        source=source,
        observed_at=now,
        native_id=fields.get("JobArrayID", fields.get("JobID", "")).strip(),
        reason=reason,
        node="" if node.lower() in ("(null)", "none assigned") else node,
        # Of a waiting job Slurm prints an expected start, of a running one an expected end.
        started_at=None if state in _NOT_STARTED else started,
        finished_at=finished if state.is_terminal else None,
    )


def _with_exit(said: Observation, text: str) -> Observation:
    """Add ``CODE:SIGNAL`` of an ended job; a requeued one still shows that of its last run."""
    match = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text.strip())
    if match is None or not said.state.is_terminal:
        return said
    return replace(said, exit_code=int(match[1]), signal=int(match[2]) or None)


def _number(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() else None


def parse_time(text: str) -> float | None:
    """Read epoch seconds; ``None`` for ``Unknown``, ``N/A``, ``None`` and 0."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _MAX_DIGITS:
        return None
    return float(digits) or None


def parse_memory_mib(text: str) -> int | None:
    """Read ``3756K``, ``1.50G`` or plain bytes as MiB, rounded up."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)([KMGTP]?)", text.strip().upper(), re.ASCII)
    return ceil(float(match[1]) * _KIB[match[2]] / 1024) if match else None


def parse_cpu_s(text: str) -> float | None:
    """Read ``[DAYS-[HOURS:]]MINUTES:SECONDS[.FRACTION]`` as seconds."""
    match = re.fullmatch(
        r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d{1,9})?)", text.strip(), re.ASCII
    )
    if match is None:
        return None
    days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
    return ((days * 24 + hours) * 60 + minutes) * 60 + float(match[4])


def largest_array(config: str) -> int | None:
    """Return how many tasks an array may have, from ``scontrol show config``.

    ``MaxArraySize`` is one more than the largest index (slurm.conf), so indices from 0 give as
    many tasks; ``max_array_tasks`` of ``SchedulerParameters`` may allow fewer.
    """
    found = re.findall(r"^MaxArraySize\s*=\s*(\d{1,9})\s*$", config, re.MULTILINE | re.ASCII)
    found += re.findall(r"\bmax_array_tasks=(\d{1,9})\b", config, re.ASCII)
    return min(map(int, found), default=None)


def by_task(rows: Iterable[Row], indices: Iterable[int]) -> dict[int, Observation]:
    """Return what is said of each task of one array.

    A row for one task outweighs one for many: accounting goes on to show the whole array as
    pending after single tasks have started.
    """
    wanted = frozenset(indices)
    whole: dict[int, Observation] = {}
    single: dict[int, Observation] = {}
    for row in rows:
        task = row.job.only_task
        if task is not None:
            single[task] = row.said
        else:
            whole |= {index: row.said for index in wanted if row.job.covers(index)}
    return whole | {index: said for index, said in single.items() if index in wanted}
