"""Sites that are wrong, away, full or read-only: one clear message, and what was there stays."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

WRONG_SITES: dict[str, tuple[dict[str, Any] | str, list[str]]] = {
    "not YAML": ("clusters: [", ["site.yaml:1"]),
    "a list": ("- a\n", ["must be a mapping"]),
    "unknown key": ({"shared_rooot": "/tmp"}, ["did you mean 'shared_root'?"]),
    "unknown runtime": ({"containers": "docker"}, ["containers", "apptainer", "host"]),
    "no cluster": ({"clusters": {}}, ["clusters"]),
    "cluster without a type": ({"clusters": {"a": {"cpus": 1}}}, ["clusters.a", "type"]),
    "unknown type": ({"clusters": {"a": {"type": "slurmm"}}}, ["clusters.a", "'slurm'"]),
    "key of another type": (
        {"clusters": {"a": {"type": "local", "partition": "x"}}},
        ["clusters.a", "partition"],
    ),
    "bad memory": (
        {"clusters": {"a": {"type": "local", "memory": "lots"}}}, ["clusters.a.memory", "lots"]
    ),
    "bad default": ({"default_cluster": "b"}, ["default_cluster", "'b'"]),
    "bad backend": ({"backends": {"slurmcern": "b"}}, ["backends.slurmcern", "'b'"]),
    "colon in a path": ({"shared_root": "/tmp/a:b"}, ["shared_root", "':'"]),
    "number for a path": ({"state_dir": 7}, ["state_dir"]),
}  # fmt: skip


@pytest.mark.parametrize(
    "words", [("config", "check"), ("run",), ("list",), ("doctor",), ("tick",)]
)
@pytest.mark.parametrize("case", WRONG_SITES)
def test_a_wrong_site_file_is_refused_with_the_place(
    bench: Bench, case: str, words: tuple[str, ...]
) -> None:
    content, expected = WRONG_SITES[case]
    if isinstance(content, str):
        bench.site_file.write_text(content)
    else:
        bench.write_site(**content)
    bench.write_spec(step("a", "true"))

    said = bench.refused(ExitCode.USAGE, *words)

    assert [part for part in ["site.yaml", *expected] if part not in said] == []
    assert not bench.database.exists()


def test_a_site_file_that_does_not_exist(bench: Bench) -> None:
    bench.site_file.unlink()

    assert "$GATEWAY_SITE" in bench.refused(ExitCode.USAGE, "list")
    assert "--site" in bench.refused(ExitCode.USAGE, "--site", "nosuch.yaml", "list")


def test_what_config_show_prints_is_a_site_file(bench: Bench) -> None:
    bench.write_site(
        containers={"runtime": "host", "build_memory": "3 GiB", "image_map": {"a:1": "/b.sif"}},
        clusters={
            "yes": {"type": "local", "memory": "2500 MB", "maximum": {"disk": "1 TiB"}},
            "s": {"type": "slurm", "defaults": {"memory": "2 GiB", "walltime": "1h30m"}},
            "c": {"type": "htcondor", "extra_lines": ['+JobFlavour = "espresso"'], "held_for": 0},
        },
    )
    shown = bench.ok("config", "show").out
    as_json = bench.ok("config", "show", "--json").json()["site"]
    for number, text in enumerate((shown, json.dumps(as_json))):
        again = bench.here / f"again{number}.yaml"
        again.write_text(text)

        bench.ok("config", "check", str(again))
        assert bench.ok("--site", str(again), "config", "show").out == shown


def test_a_file_to_check_that_does_not_exist(bench: Bench) -> None:
    said = bench.refused(ExitCode.USAGE, "config", "check", "nosuch.yaml")

    assert "nosuch.yaml" in said
    assert "-f" not in said


def test_help_works_with_a_wrong_site(bench: Bench) -> None:
    bench.site_file.write_text("clusters: [")

    bench.ok("--help")
    bench.ok("run", "--help")
    bench.ok("--version")


def test_an_empty_site_file_is_the_built_in_site(bench: Bench) -> None:
    bench.site_file.write_text("")

    assert (
        "built-in" in bench.ok("config", "check").err or "valid" in bench.ok("config", "check").err
    )


@pytest.mark.parametrize("words", [("list",), ("run",), ("status", "x"), ("tick",), ("doctor",)])
def test_a_state_directory_that_cannot_be_made(bench: Bench, words: tuple[str, ...]) -> None:
    (bench.root / "file").write_text("in the way")
    bench.write_site(state_dir=str(bench.root / "file" / "state"))
    bench.write_spec(step("a", "true"))

    result = bench.run(*words)

    assert result.code in (ExitCode.SITE, ExitCode.UNREACHABLE)
    assert str(bench.root / "file" / "state") in result.out + result.err
    assert "state_dir" in result.out + result.err


@pytest.mark.parametrize("words", [("run",), ("submit",), ("doctor",)])
def test_a_shared_root_that_cannot_be_made(bench: Bench, words: tuple[str, ...]) -> None:
    (bench.root / "file").write_text("in the way")
    bench.write_site(shared_root=str(bench.root / "file" / "shared"))
    bench.write_spec(step("a", "true"))

    result = bench.run(*words)

    assert result.code == ExitCode.SITE
    assert str(bench.root / "file" / "shared") in result.out + result.err


def test_a_database_of_a_newer_version(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")
    with closing(sqlite3.connect(bench.database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = bench.database.read_bytes()

    said = bench.refused(ExitCode.SITE, "list")

    assert "newer" in said
    assert bench.database.read_bytes() == before


def test_a_database_that_is_none(bench: Bench) -> None:
    bench.database.parent.mkdir()
    bench.database.write_text("these are my notes, not a database\n" * 100)

    said = bench.refused(ExitCode.SITE, "list")

    assert str(bench.database) in said
    assert bench.database.read_text().startswith("these are my notes")


def test_a_database_url_that_is_none(bench: Bench) -> None:
    bench.write_site(database="postgresql+nosuch://me:secret@host/name")

    said = bench.refused(ExitCode.SITE, "list")

    assert "secret" not in said


def test_a_database_whose_table_is_gone(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")
    with closing(sqlite3.connect(bench.database)) as database, database:
        database.execute("DROP TABLE attempts")

    result = bench.run("status", "workflow")

    assert result.code in (ExitCode.SITE, ExitCode.UNREACHABLE)


# --- a filesystem that is full or read-only -------------------------------------------------

_PROBE = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]


@pytest.fixture
def mounts() -> None:
    """Skip where this user may not mount anything in a namespace of its own."""
    if (
        not shutil.which("unshare")
        or subprocess.run(_PROBE, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount in a private mount namespace (root)")


def mounted(bench: Bench, mount: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of gateway commands where ``shared root`` is a mount of its own."""
    bench.shared.mkdir(exist_ok=True)
    gateway = f'gateway() {{ "{sys.executable}" -m gateway "$@"; }}'
    text = f"set -e; shared='{bench.shared}'; {mount}; set +e; {gateway}; {script}"
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", text],
        cwd=bench.here, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert "mistake of the gateway" not in done.stderr
    return done


OWN_CLUSTER = {"disk": {"type": "local", "cpus": 4, "memory": "4 GiB"}}
"""Jobs of other tests on this machine, on clusters of other names, take no room here."""
FULL = 'mount -t tmpfs -o size=1m none "$shared"'


@pytest.mark.usefixtures("mounts")
def test_inputs_that_do_not_fit_on_the_disk(bench: Bench) -> None:
    (bench.here / "big.bin").write_bytes(os.urandom(3_000_000))
    bench.write_spec(step("a", "true"), inputs={"files": ["big.bin"]})

    done = mounted(bench, FULL, 'gateway run; echo $?; find "$shared" -name "*big*"; gateway list')

    code, *rest = done.stdout.splitlines()
    assert int(code) == ExitCode.SITE
    assert "big.bin" in done.stderr
    assert "the filesystem is full" in done.stderr
    assert "created" in rest[-1]
    assert "workflow.1 was created and is not started" in done.stderr
    assert "gateway upload -w workflow.1 -f reana.yaml && gateway start -w" in done.stderr
    assert "gateway delete -w workflow.1" in done.stderr
    assert len(rest) == 2
    assert (bench.here / "big.bin").stat().st_size == 3_000_000


@pytest.mark.usefixtures("mounts")
def test_a_disk_that_is_full_waits_for_room(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ran >> ran"))
    script = """
        gateway submit
        head -c 2M /dev/zero > "$shared/ballast" 2>/dev/null
        gateway tick; gateway tick; gateway status workflow
        rm "$shared/ballast"
        gateway wait workflow --timeout 40; echo code $?
        cat "$shared"/workspaces/*/ran
    """

    done = mounted(bench, FULL, script)

    assert "code 0\nran\n" in done.stdout
    assert "No space left" in done.stderr


@pytest.mark.usefixtures("mounts")
def test_a_job_that_fills_the_disk_is_judged_once_there_is_room(bench: Bench) -> None:
    bench.write_spec(step("a", "head -c 3M /dev/zero > big && touch never"))
    script = """
        gateway run --timeout 1; echo code $?
        rm "$shared"/workspaces/*/big
        gateway wait workflow --timeout 40; echo code $?
    """

    done = mounted(bench, FULL, script)

    assert done.stdout == "code 7\ncode 1\n"
    assert "exit code 1" in done.stderr


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("words", ["run", "run -q", "submit >/dev/null; gateway wait workflow"])
def test_who_follows_a_workflow_hears_of_a_full_disk_once(bench: Bench, words: str) -> None:
    """The job has filled the disk, so nothing of it comes back."""
    bench.write_site(clusters=OWN_CLUSTER)
    bench.write_spec(step("a", "head -c 3M /dev/zero > big; sleep 60"))

    done = mounted(bench, FULL, f"gateway {words} --timeout 20; gateway status workflow --json")

    told = [line for line in done.stderr.splitlines() if "is held up" in line]
    assert len(told) == 1
    assert f"the disk under {bench.shared} is full; make room" in told[0]
    held_up = json.loads(done.stdout)["held_up"]
    assert [each["kind"] for each in held_up] == ["disk"]
    assert held_up[0]["reason"] == f"the disk under {bench.shared} is full"


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_is_told_by_the_live_table_and_by_status(bench: Bench) -> None:
    waits = "touch started; for i in $$(seq 600); do [ -e go ] && exit 0; sleep 0.1; done"
    bench.write_site(clusters=OWN_CLUSTER)
    bench.write_spec(step("a", waits))
    terminal = "import pty, sys; pty.spawn(sys.argv[1:])"
    script = f"""
        export TERM=xterm COLUMNS=200
        seen() {{ for i in $(seq 600); do "$@" 2>/dev/null && break; sleep 0.1; done; }}
        (
            seen eval 'ls "$shared"/workspaces/*/started >/dev/null'
            head -c 2M /dev/zero > "$shared/ballast"
            seen grep -q "is held up" screen
            gateway status workflow
            rm "$shared/ballast"
            seen grep -q "no longer held up" screen
            touch "$shared"/workspaces/*/go
        ) 2>&1 | cat &
        "{sys.executable}" -c '{terminal}' "{sys.executable}" -m gateway run >screen; wait
    """

    done = mounted(bench, FULL, script)

    screen = (bench.here / "screen").read_text()
    reason = f"the disk under {bench.shared} is full; make room"
    assert screen.count(f"is held up: {reason}") == 1
    assert "is no longer held up" in screen
    assert f"Held up: {reason}" in done.stdout


READ_ONLY = 'mount --bind "$shared" "$shared"; mount -o remount,ro,bind "$shared"'


@pytest.mark.usefixtures("mounts")
def test_a_read_only_shared_root(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))

    done = mounted(bench, READ_ONLY, "gateway run; echo $?; gateway list --json")

    code, rest = done.stdout.split("\n", 1)
    assert (int(code), rest) == (ExitCode.SITE, "[]\n")
    assert "the filesystem is read-only" in done.stderr
    assert str(bench.shared) in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error")]) == 1


@pytest.mark.usefixtures("mounts")
def test_results_can_be_read_from_a_read_only_shared_root(bench: Bench) -> None:
    bench.write_spec(step("a", "echo result > out.txt; echo words"), outputs={"files": ["out.txt"]})
    bench.ok("run", "-q")
    script = """
        gateway logs workflow && gateway ls -w workflow && gateway download -w workflow -o got
        echo code $?
        gateway rm -w workflow out.txt; gateway upload -w workflow reana.yaml
    """

    done = mounted(bench, READ_ONLY, script)

    assert "words" in done.stdout
    assert "code 0" in done.stdout
    assert (bench.here / "got" / "out.txt").read_text() == "result\n"
    assert "not removed out.txt: Read-only file system" in done.stderr
    assert "reana.yaml: the filesystem is read-only" in done.stderr


@pytest.mark.usefixtures("mounts")
def test_a_full_state_directory(bench: Bench) -> None:
    state = Path(bench.root / "state")
    state.mkdir()
    bench.write_spec(step("a", "true"))
    mount = f"mount -t tmpfs -o size=400k none '{state}'"
    fill = f"dd if=/dev/zero of='{state}/ballast' bs=1k 2>/dev/null"

    done = mounted(bench, mount, f"gateway list; {fill}; gateway run; echo $?")

    assert int(done.stdout.splitlines()[-1]) in (ExitCode.SITE, ExitCode.UNREACHABLE)
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error")]) == 1


# --- schedulers and images that are not there -----------------------------------------------


def test_no_scheduler_on_the_path_waits_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write_site(clusters={"farm": {"type": "slurm"}})
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if shutil.which("sbatch"):
        pytest.skip("this machine has a Slurm")
    bench.write_spec(step("a", "true"))

    bench.ok("submit")
    bench.run("tick")

    status = bench.ok("status", "workflow")
    assert bench.status() in ("pending", "running", "queued")
    assert "sbatch" in status.out + status.err
    assert "sbatch" in bench.ok("explain", "workflow").out
    doctor = bench.run("doctor")
    assert doctor.code == ExitCode.SITE
    assert "sbatch" in doctor.out
    bench.ok("stop", "workflow", "--wait")


@pytest.fixture
def apptainer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that there is one."""
    program = bench.root / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_without_apptainer_that_is_said_before_anything_is_made(bench: Bench) -> None:
    """The gateway does not fall back to the host by itself."""
    bench.write_site(containers="apptainer")
    bench.write_spec(step("a", "true"))

    said = bench.refused(ExitCode.USAGE, "run")

    assert "neither apptainer nor singularity is on PATH" in said
    assert "containers: host" in said
    assert bench.ids() == []


@pytest.mark.usefixtures("apptainer")
@pytest.mark.parametrize(
    "image",
    ["shub://x", "library://a/b", "oras://ghcr.io/x:1", "docker://", "python:", "Foo/Bar:1",
     "python@sha256:abc"],
)  # fmt: skip
def test_names_that_no_image_can_have_are_refused_at_once(bench: Bench, image: str) -> None:
    bench.write_site(containers="apptainer")
    bench.write_spec(step("a", "true"), {**step("b", "true"), "environment": image})

    said = bench.refused(ExitCode.USAGE, "validate")

    assert "step 'b': environment:" in said
    assert bench.ids() == []


@pytest.mark.usefixtures("apptainer")
def test_an_image_file_that_does_not_exist(bench: Bench) -> None:
    bench.write_site(containers="apptainer")
    bench.write_spec({"name": "a", "environment": "/nosuch/image.sif", "commands": ["true"]})

    result = bench.run("run", "--timeout", "20")

    assert result.code in (ExitCode.FAILED, ExitCode.USAGE)
    assert "/nosuch/image.sif" in result.err


@pytest.mark.usefixtures("apptainer")
def test_an_image_name_that_is_none(bench: Bench) -> None:
    bench.write_site(containers="apptainer")
    bench.write_spec({"name": "a", "environment": "not an image!", "commands": ["true"]})

    result = bench.run("run", "--timeout", "20")

    assert result.code in (ExitCode.FAILED, ExitCode.USAGE)
    assert "not an image!" in result.err
