"""What Slurm's accounting allows a user: jobs and walltime, by association, account and QOS.

A limit that cannot be read is no finding: what exceeds it is refused, or waits, in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.service.doctor import limits
from gateway.service.doctor.check import Check, ok
from gateway.service.doctor.tools import Answer, Run
from gateway.site.model import SlurmCluster
from gateway.vocabulary.units import show_seconds

CONFIG = ("scontrol", "show", "config")
_ASSOCIATION = (
    "Cluster", "Account", "Partition", "QOS", "DefaultQOS", "MaxSubmitJobs", "MaxJobs", "MaxWall",
)  # fmt: skip
_ACCOUNT = ("Cluster", "GrpSubmitJobs", "GrpJobs")
_QOS = ("Name", "MaxSubmitJobsPU", "MaxJobsPU", "GrpSubmitJobs", "GrpJobs", "MaxWall")
_LIST = ("sacctmgr", "--noheader", "--parsable2", "show")
_NO_ACCOUNTS = ("accounting storage is disabled", "supported accounting_storage")
_BY_HAND = "by hand: `sacctmgr show assoc where user=$USER`, `sacctmgr show qos`"
Row = Mapping[str, str]


def slurm_limits(name: str, settings: SlurmCluster, run: Run) -> Iterator[Check]:
    """Say which limits of jobs and walltime hold for this user; at most four calls."""
    title = f"cluster {name}: limits of accounting"
    config = run(CONFIG).stdout
    enforced = _setting(config, "AccountingStorageEnforce")
    if enforced and not re.search(r"\b(limits|safe|all)\b", enforced):
        yield ok(title, f"none is enforced (AccountingStorageEnforce = {enforced})")
        return
    answer = run(_of_the_user())
    if not answer.ok:
        yield ok(title, _unread(answer))
        return
    cluster = _setting(config, "ClusterName")
    mine = _chosen(read_rows(answer.stdout, _ASSOCIATION), settings, cluster)
    found = [check for row in mine for check in _association(name, settings, row)]
    accounts = list(dict.fromkeys(row["Account"] for row in mine))
    for account in accounts:
        found += _account(name, settings, run, account, cluster)
    wanted = settings.qos or next(filter(None, map(_usual_qos, mine)), "")
    found += _qos(name, settings, run, wanted)
    nothing = f"none of jobs or walltime is set for you; account: {', '.join(accounts) or 'none'}"
    yield from found or [ok(title, nothing)]


def _of_the_user() -> tuple[str, ...]:
    """Return the call; the name is that of the account over there."""
    words = " ".join((*_LIST, "assoc", "where"))
    return ("/bin/sh", "-c", f'exec {words} user="$(id -un)" format={",".join(_ASSOCIATION)}')


def _setting(config: str, word: str) -> str:
    match = re.search(rf"^{word}\s*=[ \t]*(\S*)", config, re.MULTILINE)
    return match[1] if match else ""


def read_rows(stdout: str, fields: tuple[str, ...]) -> list[Row]:
    """Read what ``sacctmgr --parsable2`` lists; other lines are passed over."""
    split = (line.split("|") for line in stdout.splitlines())
    return [dict(zip(fields, words, strict=True)) for words in split if len(words) == len(fields)]


def _unread(answer: Answer) -> str:
    words = answer.stderr + answer.stdout
    if any(each in words for each in _NO_ACCOUNTS):
        return "none: Slurm keeps no accounts"
    return f"cannot be read ({answer.complaint}); {_BY_HAND}"


def _chosen(rows: list[Row], settings: SlurmCluster, cluster: str) -> list[Row]:
    """Return the associations that jobs of this cluster may have."""
    return [
        row
        for row in rows
        if row["Cluster"] in (cluster or row["Cluster"], "")
        and row["Account"] == (settings.account or row["Account"])
        and row["Partition"] in ("", settings.partition)
    ]


def _usual_qos(row: Row) -> str:
    """Return the QOS of jobs that name none: the default one, or the only one there is."""
    return row["DefaultQOS"] or ("" if "," in row["QOS"] else row["QOS"])


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def _association(name: str, settings: SlurmCluster, row: Row) -> Iterator[Check]:
    holder = f"in account {row['Account']}"
    for word in ("MaxSubmitJobs", "MaxJobs"):
        yield from _jobs(name, settings, word, row[word], holder, "yours")
    yield from _wall(name, settings, row["MaxWall"], holder)


def _account(
    name: str, settings: SlurmCluster, run: Run, account: str, cluster: str
) -> Iterator[Check]:
    words = ("assoc", "where", f"account={account}", "user=", f"format={','.join(_ACCOUNT)}")
    for row in read_rows(run((*_LIST, *words)).stdout, _ACCOUNT):
        if row["Cluster"] in (cluster or row["Cluster"], ""):
            holder = f"in account {account}"
            for word in ("GrpSubmitJobs", "GrpJobs"):
                yield from _jobs(name, settings, word, row[word], holder, "all its users")


def _qos(name: str, settings: SlurmCluster, run: Run, wanted: str) -> Iterator[Check]:
    if not wanted:
        return
    for row in read_rows(run((*_LIST, "qos", f"format={','.join(_QOS)}")).stdout, _QOS):
        if row["Name"] == wanted:
            holder = f"in QOS {wanted}"
            for word in ("MaxSubmitJobsPU", "MaxJobsPU"):
                yield from _jobs(name, settings, word, row[word], holder, "yours")
            for word in ("GrpSubmitJobs", "GrpJobs"):
                yield from _jobs(name, settings, word, row[word], holder, "all its users")
            yield from _wall(name, settings, row["MaxWall"], holder)


def _jobs(
    name: str, settings: SlurmCluster, word: str, value: str, holder: str, whose: str
) -> Iterator[Check]:
    most = _number(value)
    if most is None:
        return
    title = f"cluster {name}: {word} {holder}"
    if "Submit" in word:
        yield limits.jobs_at_once(title, most, whose, settings)
    else:
        yield limits.running_at_once(title, most, whose)


def _wall(name: str, settings: SlurmCluster, value: str, holder: str) -> Iterator[Check]:
    longest = limits.seconds_of(value)
    if longest:
        words = f"jobs may run for {show_seconds(longest)}"
        yield limits.walltime(f"cluster {name}: MaxWall {holder}", words, longest, settings, name)
