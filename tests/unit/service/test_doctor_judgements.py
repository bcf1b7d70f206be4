"""What the doctor makes of answers: pure judgements, and commands that say what a test wants."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.parts import Call, Cluster
from gateway.errors import ConflictError, SiteError
from gateway.service.doctor import state as state_checks
from gateway.service.doctor.check import Check, Level
from gateway.service.doctor.credentials import credentials, ticket_end
from gateway.service.doctor.filesystem import Quota, parse_quota, quota, room, shared_root
from gateway.service.doctor.htcondor import htcondor
from gateway.service.doctor.node import judge_node, look_argv, parse_look
from gateway.service.doctor.slurm import Partition, parse_partitions, slurm
from gateway.service.doctor.starting_site import starting_site, write_site
from gateway.service.doctor.tools import Endpoint, absent
from gateway.service.doctor.trial_image import TrialImage, trial_image
from gateway.site.load import load_site
from gateway.site.model import HTCondorCluster, Site, SlurmCluster
from gateway.testing.clock import FakeClock
from gateway.testing.fake_cluster import FakeCluster
from gateway.vocabulary.records import ClusterState, Lease

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Said:
    """An answer of a command."""

    stdout: str = ""
    stderr: str = ""
    exit_status: int | None = 0

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

    @property
    def complaint(self) -> str:
        return self.stderr or f"status {self.exit_status}"


NOT_THERE = Said("", "command not found", None)


@dataclass
class Shell:
    """Answers by the first word; what is not in it is not on PATH."""

    answers: Mapping[str, Said]

    def __call__(self, argv: Sequence[str]) -> Said:
        if argv[0] == "/bin/sh":
            return Said("".join(f"{word}\n" for word in argv[4:] if word not in self.answers))
        return self.answers.get(argv[0], NOT_THERE)


class NoCalls:
    def drain(self) -> Iterable[Call]:
        return ()

    def state(self, known: Mapping[str, Any]) -> dict[str, Any]:
        del known
        return {}


def by_subject(found: Iterable[Check]) -> dict[str, Level]:
    return {check.name.removeprefix("cluster main: "): check.level for check in found}


def advised(found: Iterable[Check]) -> list[Check]:
    """Return the findings, after a check that each bad one says what to do."""
    listed = list(found)
    assert [check.name for check in listed if check.level is not Level.OK and not check.fix] == []
    return listed


# --- files


QUOTA = """\
Disk quotas for user alice (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nfs:/home       1900000* 1800000 2000000   6days     500       0       0
/dev/sda1           500  100000  100000             95000  100000  110000
/dev/sdb1            10       0       0                 3       0       0
"""


def test_quota_is_read() -> None:
    assert parse_quota(QUOTA) == [
        Quota("nfs:/home", 1900000, 1800000, 500, 0),
        Quota("/dev/sda1", 500, 100000, 95000, 100000),
        Quota("/dev/sdb1", 10, 0, 3, 0),
    ]


def test_quota_is_judged_and_no_quota_says_nothing() -> None:
    found = advised(quota(Shell({"quota": Said(QUOTA, exit_status=1)})))
    levels = [check.level for check in found]
    assert levels == [Level.FAIL, Level.WARN]
    assert list(quota(Shell({}))) == []
    assert list(quota(Shell({"quota": Said("Disk quotas for user a (uid 1): none\n")}))) == []


@given(st.text(max_size=200))
def test_quota_reads_anything(text: str) -> None:
    for each in parse_quota(text):
        assert each.share >= 0


def figures(*, free: int, inodes: int, all_inodes: int = 10**6) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 10**9, free, free, all_inodes, inodes, inodes, 0, 255))


@pytest.mark.parametrize(
    ("free", "inodes", "all_inodes", "level"),
    [
        (10**8, 10**6, 10**6, Level.OK),
        (1000, 10**6, 10**6, Level.WARN),
        (0, 10**6, 10**6, Level.FAIL),
        (10**8, 500, 10**6, Level.WARN),
        (10**8, 0, 10**6, Level.FAIL),
        (10**8, 0, 0, Level.OK),  # btrfs counts no inodes
    ],
)
def test_room(free: int, inodes: int, all_inodes: int, level: Level) -> None:
    assert room(figures(free=free, inodes=inodes, all_inodes=all_inodes)).level is level


def test_a_sound_shared_root_is_left_as_it_was(tmp_path: Path) -> None:
    found = list(shared_root(tmp_path / "new", Shell({})))
    assert {check.level for check in found} == {Level.OK}
    assert list((tmp_path / "new").iterdir()) == []


def test_a_filesystem_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (check,) = advised(shared_root(tmp_path, Shell({})))
    assert check.level is Level.FAIL
    assert "hard links" in check.found
    assert list(tmp_path.iterdir()) == []


def test_a_filesystem_that_copies_instead_of_linking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(os, "link", copy)
    (check,) = advised(shared_root(tmp_path, Shell({})))
    assert check.level is Level.FAIL


# --- state


def lease(**values: Any) -> Lease:
    given = {
        "holder": "t", "host": "there", "pid": 77, "boot_id": "b", "purpose": "serve",
        "generation": 1, "heartbeat_at": NOW - 3, "expires_at": NOW + 27,
    }  # fmt: skip
    return Lease(**{**given, **values})


@pytest.mark.parametrize(
    ("held", "active", "level", "words"),
    [
        (lease(), 3, Level.OK, "gateway serve"),
        (None, 0, Level.OK, "nothing has to be driven"),
        (None, 3, Level.WARN, "nobody drives 3"),
        (lease(pid=0), 3, Level.WARN, "nobody"),
        (lease(expires_at=NOW - 1), 3, Level.WARN, "nobody"),
        (lease(host="here", pid=2**22 + 1), 1, Level.WARN, "nobody"),
        (lease(host="here", pid=os.getpid()), 1, Level.OK, "on here"),
    ],
)
def test_who_drives(held: Lease | None, active: int, level: Level, words: str) -> None:
    check = state_checks.driver(held, active, NOW, "here")
    assert check.level is level
    assert words in check.found


@pytest.mark.parametrize(
    ("made", "level"),
    [
        ({}, Level.OK),
        ({"status": (300, 3, 12), "submit": (5, 0, 2)}, Level.OK),
        ({"status": (300, 3, 13)}, Level.WARN),
        ({"status": (20, 15, 4)}, Level.WARN),
    ],
)
def test_calls_are_compared_with_the_budget(
    made: dict[str, tuple[int, int, int]], level: Level
) -> None:
    check = state_checks.calls("main", SlurmCluster(type="slurm"), made)
    assert check.level is level
    assert "budget is 12" in check.found


def test_a_cluster_that_takes_nothing_now_is_named() -> None:
    known = ClusterState("main", blocked_until=NOW + 30, blocked_reason="QOSMaxSubmitJobs")
    (check,) = advised(state_checks.blocked(known, NOW))
    assert "QOSMaxSubmitJobs" in check.found
    assert list(state_checks.blocked(known, NOW + 31)) == []


# --- credentials

KLIST = """\
Ticket cache: FILE:/tmp/krb5cc_1000
Default principal: alice@EXAMPLE.ORG

Valid starting       Expires              Service principal
{begin}  {end}  krbtgt/EXAMPLE.ORG@EXAMPLE.ORG
	renew until {end}
"""


@pytest.mark.parametrize("form", ["%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%b %d %H:%M:%S %Y"])
def test_the_end_of_a_ticket_is_read(form: str) -> None:
    begin, end = datetime.fromtimestamp(NOW), datetime.fromtimestamp(NOW + 7200)
    text = KLIST.format(begin=begin.strftime(form), end=end.strftime(form))
    assert ticket_end(text) == NOW + 7200


@given(st.text(max_size=200))
def test_klist_may_say_anything(text: str) -> None:
    assert ticket_end(text) is None or "krbtgt/" in text


def asks_for_tickets(wanted: bool, root: Path) -> Site:
    cluster = {"type": "htcondor", "send_credential": wanted}
    return Site.model_validate({"shared_root": str(root), "clusters": {"main": cluster}})


def klist(seconds: float) -> Callable[[Sequence[str]], Said]:
    form = "%m/%d/%Y %H:%M:%S"
    end = datetime.fromtimestamp(NOW + seconds).strftime(form)
    return Shell({"klist": Said(KLIST.format(begin=end, end=end))})


@pytest.mark.parametrize(
    ("run", "wanted", "levels"),
    [
        (Shell({}), False, []),
        (Shell({}), True, [Level.WARN]),
        (Shell({"klist": Said(exit_status=1)}), False, [Level.OK]),
        (Shell({"klist": Said(exit_status=1)}), True, [Level.FAIL]),
        (klist(86400), True, [Level.OK]),
        (klist(600), True, [Level.WARN]),
        (klist(600), False, [Level.OK]),
    ],
)
def test_tickets(
    tmp_path: Path, run: Callable[[Sequence[str]], Said], wanted: bool, levels: list[Level]
) -> None:
    found = advised(credentials(asks_for_tickets(wanted, tmp_path), run, NOW))
    assert [check.level for check in found] == levels


# --- nodes

STORED = TrialImage(Path("/images/small.sif"))
NONE = TrialImage(None, trouble="mksquashfs is not here")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.model_validate({"shared_root": str(tmp_path)})


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        ({}, Level.FAIL, "neither"),
        ({"container": "/bin/apptainer", "image": "yes"}, Level.OK, "runs"),
        ({"container": "/bin/apptainer", "namespaces": "yes"}, Level.WARN, "namespaces work"),
        ({"container": "/bin/apptainer", "namespaces": "not permitted"}, Level.WARN, "permitted"),
        ({"container": "/x", "image": "failed: no fuse", "namespaces": "yes"}, Level.FAIL, "fuse"),
        ({"container": "/x", "image": "not visible"}, Level.FAIL, "not visible"),
    ],
)
def test_what_a_node_offers(site: Site, facts: dict[str, str], level: Level, words: str) -> None:
    check = advised(judge_node(facts, "here", site, STORED))[0]
    assert check.level is level
    assert words in check.found


@pytest.mark.parametrize(
    ("named", "readable", "level"),
    [(True, "yes", Level.OK), (True, "no", Level.WARN), (False, "no", Level.OK)],
)
def test_unpacked_images(tmp_path: Path, named: bool, readable: str, level: Level) -> None:
    root = "/cvmfs/unpacked.cern.ch"
    containers = {"unpacked": [root]} if named else {}
    site = Site.model_validate({"shared_root": str(tmp_path), "containers": containers})
    facts = {"container": "/x", "image": "yes", f"readable {root}": readable}
    assert advised(judge_node(facts, "here", site, STORED))[1].level is level


def test_the_look_runs_and_changes_nothing(site: Site, tmp_path: Path) -> None:
    done = subprocess.run(look_argv(site, NONE), capture_output=True, text=True, check=True)
    facts = parse_look("a prolog says=hello\n" + done.stdout)
    assert facts["host"] == os.uname().nodename
    assert facts["readable /cvmfs/unpacked.cern.ch"] in ("yes", "no")
    assert "a prolog says" not in facts
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_run_with_the_runtime_of_the_node(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    runtime = programs / "apptainer"
    runtime.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "apptainer 1" && exit\nexit 0\n')
    runtime.chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    site.images.mkdir()
    (site.images / "large.sif").write_text("much")
    (site.images / "small.sif").write_text("")
    with trial_image(site, Shell({})) as image:
        argv = look_argv(site, image)
    assert str(site.images / "small.sif") in argv

    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert parse_look(done.stdout)["image"] == "yes"

    runtime.write_text("#!/bin/sh\necho FATAL: no fuse >&2; exit 255\n")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "no fuse" in parse_look(done.stdout)["image"]


# --- schedulers

SINFO = "main*|up|2-00:00:00|3/5/0/8\nshort|up|30:00|0/8/0/8\nlong|down|infinite|0/0/8/8\n"


def endpoint(settings: SlurmCluster | HTCondorCluster, run: Shell) -> Endpoint:
    cluster = Cluster("main", settings, FakeCluster(FakeClock(), most_tasks=900), NoCalls())
    return Endpoint(cluster, run)


def examined(answers: dict[str, Said], **settings: Any) -> list[Check]:
    site = SlurmCluster(type="slurm", **settings)
    return advised(slurm("main", site, endpoint(site, Shell(answers))))


SLURM = {
    "sbatch": Said("slurm-wlm 24.11.5\n"), "squeue": Said(), "scancel": Said(),
    "scontrol": Said(), "sinfo": Said(SINFO), "sacct": Said(),
}  # fmt: skip


def test_partitions_are_read() -> None:
    assert parse_partitions(SINFO) == [
        Partition("main", True, True, 172800, "3/5/0/8"),
        Partition("short", False, True, 1800, "0/8/0/8"),
        Partition("long", False, False, None, "0/0/8/8"),
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:00", 60),
        ("30:00", 1800),
        ("1:00:00", 3600),
        ("7-00:00:00", 604800),
        ("infinite", None),
        ("n/a", None),
        ("", None),
    ],
)
def test_walltime_limits_are_read(text: str, seconds: int | None) -> None:
    (found,) = parse_partitions(f"main|up|{text}|0/1/0/1")
    assert found.longest_s == seconds


def test_a_sound_slurm() -> None:
    found = examined(SLURM)
    assert {check.level for check in found} == {Level.OK}
    assert "24.11.5" in found[0].found
    assert any("900 tasks" in check.found for check in found)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"partition": "short"}, Level.OK),
        ({"partition": "nosuch"}, Level.FAIL),
        ({"partition": "long"}, Level.WARN),
        ({"partition": "short", "defaults": {"walltime": "1h"}}, Level.FAIL),
        ({"partition": "short", "maximum": {"walltime": "1h"}}, Level.WARN),
    ],
)
def test_partitions_are_compared_with_the_site_file(settings: dict[str, Any], level: Level) -> None:
    assert by_subject(examined(SLURM, **settings))["partitions"] is level


OFF = Said("", "Slurm accounting storage is disabled", 1)
DOWN = Said("", "sacct: error: Problem talking to the database", 1)


@pytest.mark.parametrize(
    ("sacct", "setting", "level"),
    [
        (Said(), None, Level.OK),
        (OFF, None, Level.OK),
        (OFF, True, Level.FAIL),
        (DOWN, None, Level.WARN),
        (DOWN, False, Level.OK),
    ],
)
def test_accounting(sacct: Said, setting: bool | None, level: Level) -> None:
    assert (
        by_subject(examined({**SLURM, "sacct": sacct}, accounting=setting))["accounting"] is level
    )


def test_commands_that_are_missing_and_a_controller_that_is_down() -> None:
    (check,) = examined({name: said for name, said in SLURM.items() if name != "squeue"})
    assert (check.level, check.found) == (Level.FAIL, "not on PATH: squeue")
    down = Said("", "slurm_load_partitions: Unable to contact slurm controller", 1)
    assert examined({**SLURM, "sinfo": down})[-1].level is Level.FAIL


def test_a_host_that_cannot_be_reached_is_said_in_its_words() -> None:
    assert absent(lambda _argv: NOT_THERE, ["sbatch"]) == "command not found"


CONDOR = {
    "condor_submit": Said(), "condor_rm": Said(),
    "condor_q": Said("7\n"), "condor_history": Said("6\n"),
    "condor_version": Said("$CondorVersion: 25.14.0 $\n$CondorPlatform: X86_64 $\n"),
    "condor_status": Said("node1 Debian12\n"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "subject", "level"),
    [
        ({}, "schedd", Level.OK),
        ({"condor_q": Said("", "Failed to connect", 1)}, "schedd", Level.FAIL),
        ({"condor_history": Said("", "no history file", 1)}, "history", Level.WARN),
        ({"condor_status": Said()}, "machines", Level.WARN),
        ({"condor_status": Said("", "no collector", 1)}, "machines", Level.WARN),
    ],
)
def test_htcondor(changed: dict[str, Said], subject: str, level: Level) -> None:
    settings = HTCondorCluster(type="htcondor")
    run = Shell({**CONDOR, **changed})
    found = advised(htcondor("main", settings, endpoint(settings, run)))
    assert "25.14.0" in found[0].found
    assert by_subject(found)[subject] is level


def test_the_schedd_of_the_site_file_is_asked() -> None:
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> Said:
        asked.append(argv)
        return Shell(CONDOR)(argv)

    settings = HTCondorCluster(type="htcondor", schedd="s1", pool="p1")
    made = endpoint(settings, Shell(CONDOR))
    list(htcondor("main", settings, Endpoint(made.cluster, run)))
    queue = next(argv for argv in asked if argv[0] == "condor_q")
    assert list(queue[1:5]) == ["-name", "s1", "-pool", "p1"]


# --- a site file to begin with


@pytest.mark.parametrize(
    ("commands", "clusters", "runtime"),
    [
        ((), ["local"], "host"),
        (("apptainer",), ["local"], "apptainer"),
        (("singularity", "sbatch", "squeue"), ["slurm", "local"], "apptainer"),
        (("condor_submit", "condor_q"), ["htcondor", "local"], "host"),
        (
            ("apptainer", "sbatch", "squeue", "condor_submit", "condor_q"),
            ["slurm", "htcondor", "local"],
            "apptainer",
        ),
    ],
)
def test_a_starting_site_is_valid_and_says_what_was_found(
    tmp_path: Path, commands: tuple[str, ...], clusters: list[str], runtime: str
) -> None:
    file = tmp_path / "new" / "site.yaml"
    text = starting_site(
        file, lambda name: name if name in commands else None, Shell({"sinfo": Said(SINFO)})
    )
    write_site(file, text)
    site = load_site(file)
    assert list(site.clusters) == clusters
    assert site.containers.runtime == runtime
    assert ("without" in text or "programs of the host" in text) == (runtime == "host")
    assert site.cluster_for("kubernetes") == clusters[0]
    assert [path.name for path in file.parent.iterdir()] == ["site.yaml"]


def test_a_starting_site_respects_the_partition(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    short = Shell({"sinfo": Said("debug*|up|30:00|0/8/0/8\n")})
    write_site(file, starting_site(file, str, short))
    cluster = load_site(file).clusters["slurm"]
    assert isinstance(cluster, SlurmCluster)
    assert (cluster.partition, cluster.defaults.walltime) == ("debug", 1800)


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("mine")
    with pytest.raises(ConflictError):
        write_site(file, "other")
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["site.yaml"]
    with pytest.raises(SiteError):
        write_site(file / "below" / "site.yaml", "other")
