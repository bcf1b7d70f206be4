"""``gateway doctor`` as a user runs it, with a real job on the local cluster."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, ended, until

SCHEDULER_WITHOUT_END = """\
#!/bin/sh
case $(basename "$0") in
    sbatch)
        [ "$1" = --version ] && echo "slurm-wlm 24.11.5" && exit
        for word; do case $word in --job-name=*) echo "${{word#*=}}" >{root}/name ;; esac; done
        echo 4711 ;;
    sinfo) echo "main*|up|1:00:00|0/1/0/1" ;;
    squeue)
        s=$(printf '\\037')
        printf "%s$s" JOBID STATE REASON NODELIST START_TIME END_TIME EXIT_CODE RESTART_COUNT NAME
        echo
        [ -e {root}/cancelled ] && exit 0
        printf '4711_0%sPENDING%sResources%s%sN/A%sN/A%s0%s0%s%s%s\\n' \
            "$s" "$s" "$s" "$s" "$s" "$s" "$s" "$s" "$(cat {root}/name)" "$s" ;;
    scancel) touch {root}/cancelled ;;
    scontrol) echo "MaxArraySize = 1001" ;;
esac
"""


@pytest.fixture(autouse=True)
def _room(bench: Bench) -> None:
    """Gateways of one host share the room of a cluster's name: take a name of this file."""
    bench.write_site(clusters={"ward": {"type": "local", "cpus": 64, "memory": "64 GiB"}})


def findings(bench: Bench, *words: str, code: ExitCode = ExitCode.OK) -> dict[str, dict[str, Any]]:
    result = bench.run("doctor", "--json", *words)
    assert result.code == code
    return {check["name"]: check for check in result.json()}


def fake_slurm(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Slurm on PATH whose jobs wait for ever; return where it notes things."""
    programs = bench.root / "programs"
    programs.mkdir()
    for name in ("sbatch", "squeue", "scancel", "scontrol", "sinfo"):
        path = programs / name
        path.write_text(SCHEDULER_WITHOUT_END.format(root=programs))
        path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return programs


def test_a_sound_site(bench: Bench) -> None:
    found = findings(bench)
    assert {check["level"] for check in found.values()} <= {"ok", "warn"}
    assert found["cluster ward: probe job"]["level"] == "ok"
    assert found["cluster ward: clock"]["level"] == "ok"
    assert found["database"]["level"] == "ok"
    assert os.uname().nodename in found["cluster ward: probe job"]["found"]


def test_every_bad_line_has_a_fix(bench: Bench) -> None:
    found = findings(bench)
    assert [check for check in found.values() if check["level"] != "ok" and not check["fix"]] == []


def test_the_probe_leaves_nothing_behind(bench: Bench) -> None:
    bench.ok("doctor")
    left = [path for path in bench.shared.rglob("*") if not path.is_dir()]
    assert left == []
    assert list((bench.shared / "control").iterdir()) == []
    assert bench.ids() == []


def test_quick_sends_no_job(bench: Bench) -> None:
    assert [name for name in findings(bench, "--quick") if "probe" in name] == []


def test_text_names_the_level_and_the_fix(bench: Bench) -> None:
    out = bench.ok("doctor", "--quick").out
    assert "warn  containers: commands run on the host" in out
    assert "fix: install Apptainer" in out


def test_a_local_cluster_that_is_full_is_a_warning(bench: Bench) -> None:
    bench.write_site(
        clusters={"ward": {"type": "local", "memory": "1 MiB", "defaults": {"memory": "1 GiB"}}}
    )
    found = findings(bench)
    assert found["cluster ward: probe job"]["level"] == "warn"
    assert "room" in found["cluster ward: probe job"]["found"]


def test_a_job_that_waits_is_removed_in_time_and_its_reason_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = fake_slurm(bench, monkeypatch)
    bench.write_site(clusters={"main": {"type": "slurm", "accounting": False}})
    began = time.monotonic()
    found = findings(bench, "--timeout", "5")
    assert time.monotonic() - began < 30
    probe = found["cluster main: probe job"]
    assert (probe["level"], "4711" in probe["found"]) == ("warn", True)
    assert "Resources" in probe["found"]
    assert (programs / "cancelled").exists()
    assert list((bench.shared / "control").iterdir()) == []
    assert found["cluster main: limits"]["level"] == "ok"


def test_the_calls_of_a_doctor_are_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_slurm(bench, monkeypatch)
    bench.write_site(clusters={"main": {"type": "slurm", "accounting": False}})
    bench.ok("doctor", "--quick")
    (listed,) = bench.ok("cluster", "list", "--json").json()
    assert 3 <= listed["calls_last_hour"] <= 8


def test_ctrl_c_removes_the_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = fake_slurm(bench, monkeypatch)
    bench.write_site(clusters={"main": {"type": "slurm", "accounting": False}})
    with ended(bench.start("doctor", "--timeout", "100")) as process:
        until((programs / "name").exists, "the probe to be sent")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == ExitCode.DETACHED
        process.communicate()
    assert (programs / "cancelled").exists()
    assert list((bench.shared / "control").iterdir()) == []


def test_one_cluster_that_cannot_be_built_does_not_hide_the_others(bench: Bench) -> None:
    bench.write_site(clusters={"far": {"type": "slurm", "ssh": {"host": "nosuch.invalid"}}} | {
        "ward": {"type": "local", "cpus": 64}
    })  # fmt: skip
    found = findings(bench, code=ExitCode.SITE)
    assert found["cluster far"]["level"] == "fail"
    assert found["cluster ward: probe job"]["level"] == "ok"


def test_a_database_that_is_none_does_not_hide_the_rest(bench: Bench) -> None:
    bench.database.parent.mkdir(parents=True)
    bench.database.write_text("no database at all, but long enough to be taken for one " * 100)
    found = findings(bench, code=ExitCode.SITE)
    assert found["database"]["level"] == "fail"
    assert found["shared root"]["level"] == "ok"


def test_a_site_file_to_begin_with(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_slurm(bench, monkeypatch)
    bench.site_file.write_text("clusters: [wrong")
    file = bench.root / "new" / "site.yaml"
    bench.ok("doctor", "--write-site", str(file))
    text = file.read_text()
    assert "partition: main" in text
    assert "#" in text
    bench.ok("config", "check", str(file))

    said = bench.refused(ExitCode.CONFLICT, "doctor", "--write-site", str(file))
    assert "not overwritten" in said
    assert file.read_text() == text


def test_what_was_written_works(bench: Bench) -> None:
    file = bench.root / "site 2.yaml"
    bench.ok("doctor", "--write-site", str(file))
    result = bench.run("--site", str(file), "doctor", "--json")
    levels = {check["name"]: check["level"] for check in json.loads(result.out)}
    assert levels["cluster local: probe job"] in ("ok", "warn")  # others may use up the room


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_timeout_that_is_none(bench: Bench, seconds: str) -> None:
    result = bench.run("doctor", "--timeout", seconds)
    assert result.code == ExitCode.USAGE
