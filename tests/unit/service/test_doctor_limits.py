"""Limits of schedulers as the doctor reads them: answers of Slurm 24.11 and HTCondor 23.9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.parts import Cluster
from gateway.service.doctor.check import Check, Level
from gateway.service.doctor.htcondor import htcondor
from gateway.service.doctor.slurm_limits import read_rows, slurm_limits
from gateway.service.doctor.tools import Endpoint
from gateway.site.model import HTCondorCluster, SlurmCluster
from gateway.testing.clock import FakeClock
from gateway.testing.fake_cluster import FakeCluster
from tests.unit.service.test_doctor_judgements import NoCalls, Said

CONFIG = """\
Configuration data as of 2026-11-28T20:17:14
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = associations,limits
ClusterName             = testbed
MaxJobCount             = 20000
"""
NOT_ENFORCED = CONFIG.replace("associations,limits", "none")


class Slurm:
    """Answers by what is listed."""

    def __init__(
        self,
        mine: str = "testbed|users||normal||||\n",
        account: str = "testbed||\n",
        qos: str = "normal|||||\n",
        config: str = CONFIG,
        refusal: Said | None = None,
    ) -> None:
        self.mine, self.account, self.qos, self.config = mine, account, qos, config
        self.refusal = refusal
        self.asked: list[Sequence[str]] = []

    def __call__(self, argv: Sequence[str]) -> Said:
        self.asked.append(argv)
        if argv[0] == "scontrol":
            return Said(self.config)
        if self.refusal:
            return self.refusal
        if argv[0] == "/bin/sh":
            return Said(self.mine)
        return Said(self.qos if "qos" in argv else self.account)


def found(slurm: Slurm, **settings: Any) -> dict[str, Check]:
    cluster = SlurmCluster(type="slurm", **settings)
    checks = list(slurm_limits("main", cluster, slurm))
    assert [check.name for check in checks if check.level is not Level.OK and not check.fix] == []
    return {check.name.removeprefix("cluster main: "): check for check in checks}


def test_nothing_is_limited() -> None:
    slurm = Slurm()
    (check,) = found(slurm).values()
    assert check.level is Level.OK
    assert "none" in check.found
    assert "users" in check.found
    assert len(slurm.asked) == 4


@pytest.mark.parametrize(
    ("listed", "name", "level", "words"),
    [
        ({"mine": "testbed|users||normal||3||\n"}, "MaxSubmitJobs in account users", "warn",
         "takes 3 jobs of yours"),
        ({"mine": "testbed|users||normal||500||\n"}, "MaxSubmitJobs in account users", "ok",
         "takes 500"),
        ({"mine": "testbed|users||normal||0||\n"}, "MaxSubmitJobs in account users", "fail",
         "no job of yours"),
        ({"mine": "testbed|users||normal|||2|\n"}, "MaxJobs in account users", "ok",
         "runs 2 jobs of yours at once; others wait"),
        ({"mine": "testbed|users||normal|||0|\n"}, "MaxJobs in account users", "fail", "starts no"),
        ({"account": "testbed|7|\n"}, "GrpSubmitJobs in account users", "warn",
         "takes 7 jobs of all its users"),
        ({"qos": "other|1||||\nnormal|4||||\n"}, "MaxSubmitJobsPU in QOS normal", "warn",
         "takes 4"),
        ({"mine": "testbed|users||normal||||00:30:00\n"}, "MaxWall in account users", "fail",
         "30m"),
        ({"qos": "normal|||||1-12:00:00\n"}, "MaxWall in QOS normal", "warn", "1d 12h"),
        ({"qos": "normal|||||7-00:00:00\n"}, "MaxWall in QOS normal", "ok", "7d"),
    ],
)  # fmt: skip
def test_a_limit_and_what_it_means(
    listed: dict[str, Any], name: str, level: str, words: str
) -> None:
    settings = {"defaults": {"walltime": "1h"}, "maximum": {"walltime": "48h"}}
    checks = found(Slurm(**listed), **settings)
    assert list(checks) == [name]
    assert checks[name].level == level
    assert words in checks[name].found


def test_a_site_that_keeps_below_the_limit_is_well() -> None:
    checks = found(Slurm(mine="testbed|users||normal||3||\n"), max_active_tasks=3)
    assert checks["MaxSubmitJobs in account users"].level is Level.OK


def test_associations_of_others_do_not_count() -> None:
    rows = (
        "testbed|users|other|normal||1||\n"
        "elsewhere|users||normal||2||\n"
        "testbed|another||normal||3||\n"
        "testbed|users|main|normal,high|high|4||\n"
    )
    slurm = Slurm(mine=rows, qos="normal|8||||\nhigh|9||||\n")
    checks = found(slurm, account="users", partition="main")
    assert list(checks) == ["MaxSubmitJobs in account users", "MaxSubmitJobsPU in QOS high"]
    assert "takes 4" in checks["MaxSubmitJobs in account users"].found


def test_of_several_qos_without_a_default_none_is_taken_for_ours() -> None:
    slurm = Slurm(mine="testbed|users||high,normal||||\n", qos="normal|4||||\n")
    assert list(found(slurm)) == ["limits of accounting"]
    assert list(found(slurm, qos="normal")) == ["MaxSubmitJobsPU in QOS normal"]


def test_limits_that_slurm_does_not_enforce_are_none() -> None:
    slurm = Slurm(mine="testbed|users||normal||3||\n", config=NOT_ENFORCED)
    (check,) = found(slurm).values()
    assert check.level is Level.OK
    assert "none is enforced" in check.found
    assert len(slurm.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Said("", "sacctmgr: error: Access/permission denied", 1), "Access/permission denied"),
        (Said("", "sacctmgr: command not found", 127), "not found"),
        (
            Said("", "You are not running a supported accounting_storage plugin\n", 1),
            "Slurm keeps no accounts",
        ),
    ],
)
def test_what_may_not_be_read_is_no_fault(refusal: Said, words: str) -> None:
    (check,) = found(Slurm(refusal=refusal)).values()
    assert check.level is Level.OK
    assert words in check.found


@given(st.text(max_size=200))
def test_lists_of_anything_are_read(text: str) -> None:
    for row in read_rows(text, ("a", "b")):
        assert set(row) == {"a", "b"}


def pool(values: dict[str, Said]) -> dict[str, Check]:
    def run(argv: Sequence[str]) -> Said:
        if argv[0] == "condor_config_val":
            return values.get(argv[-1], Said("2147483647\n"))
        return Said("", "", 0) if argv[0] == "/bin/sh" else Said("something\n")

    site = HTCondorCluster(type="htcondor")
    cluster = Cluster("main", site, FakeCluster(FakeClock()), NoCalls())
    checks = htcondor("main", site, Endpoint(cluster, run))
    return {check.name.removeprefix("cluster main: "): check for check in checks}


def test_a_pool_that_takes_few_jobs() -> None:
    checks = pool({"MAX_JOBS_PER_OWNER": Said("10\n")})
    assert checks["MAX_JOBS_PER_OWNER"].level is Level.WARN
    assert "takes 10 jobs of yours" in checks["MAX_JOBS_PER_OWNER"].found
    assert "max_active_tasks: 10" in checks["MAX_JOBS_PER_OWNER"].fix
    assert "MAX_JOBS_SUBMITTED" not in checks


def test_a_pool_with_the_limits_of_htcondor_itself() -> None:
    checks = pool({"MAX_JOBS_PER_OWNER": Said("100000\n")})
    assert checks["MAX_JOBS_PER_OWNER"].level is Level.OK


def test_a_schedd_that_does_not_tell_its_limits() -> None:
    checks = pool({"MAX_JOBS_SUBMITTED": Said("", "Permission denied", 1)})
    assert checks["MAX_JOBS_SUBMITTED"].level is Level.OK
    assert "Permission denied" in checks["MAX_JOBS_SUBMITTED"].found
