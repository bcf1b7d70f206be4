import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.site.model import SlurmCluster
from gateway.submitters.base import Submission, Task
from gateway.submitters.slurm import commands
from gateway.vocabulary.resources import Resources

SITE = SlurmCluster(type="slurm")
KEY = "gw0123456789abcdef"


def submission(control_dir: Path = Path("/shared/control"), count: int = 3) -> Submission:
    resources = Resources(cpus=2, memory_mib=1500, walltime_s=3601)
    tasks = tuple(Task(f"k{index}", index, "fit") for index in range(count))
    return Submission(KEY, "fit (3)", control_dir, resources, tasks)


def test_the_command_line_of_a_submission() -> None:
    assert commands.submit_argv(submission(), SITE) == (
        "sbatch",
        "--parsable",
        "--array=0-2",
        f"--job-name={KEY}-fit_3_",
        f"--comment={KEY}",
        "--export=NIL",
        "--chdir=/shared/control",
        "--output=logs/%a.slurm",
        "--open-mode=truncate",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=2",
        "--mem=1500M",
        "--time=61",
        "--signal=B:USR2@60",
    )


def test_every_resource_has_its_option() -> None:
    wants = Resources(
        gpus=2, disk_mib=100, partition="p", account="a", qos="q", constraint="fast&big"
    )
    words = commands.submit_argv(replace(submission(count=1), resources=wants), SITE)
    assert words[2] == "--array=0-0"
    assert words[11:] == (
        "--tmp=100M",
        "--gres=gpu:2",
        "--partition=p",
        "--account=a",
        "--qos=q",
        "--constraint=fast&big",
    )


def test_the_site_gives_defaults_and_has_the_last_word() -> None:
    site = SlurmCluster(
        type="slurm", partition="sp", account="sa", extra_arguments=("--reservation=school",)
    )
    words = commands.submit_argv(
        replace(submission(), resources=Resources(account="mine", walltime_s=120)),
        site,
        ("node3", "node7"),
    )
    assert words[-5:] == (
        "--time=2",
        "--partition=sp",
        "--account=mine",
        "--exclude=node3,node7",
        "--reservation=school",
    )


@given(st.text())
def test_a_name_is_plain_and_carries_the_key_whatever_the_label(label: str) -> None:
    name = commands.job_name(replace(submission(), label=label))
    assert name.isascii()
    assert name.replace("-", "").replace(".", "").replace("_", "").isalnum()
    assert len(name) <= 60
    assert commands.carries_key(name, KEY)


def test_a_longer_key_is_another_key() -> None:
    assert not commands.carries_key(f"{KEY}0-fit", KEY)
    assert commands.carries_key(KEY, KEY)


def test_the_script_is_short_and_known() -> None:
    assert commands.batch_script(submission()) == (
        "#!/bin/bash\n"
        "# Starts one task of a gateway submission. "
        "The environment is empty but for Slurm's variables.\n"
        "control=/shared/control\n"
        "given=$(/usr/bin/printenv PATH)\n"
        'export PATH="${given:+$given:}'
        '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"\n'
        '[ -n "${HOME:-}" ] || export HOME=~\n'
        'export USER="${USER:-$(id -un)}"\n'
        'export LOGNAME="${LOGNAME:-$USER}" SHELL="${SHELL:-/bin/bash}"\n'
        'export GATEWAY_NODE="${SLURMD_NODENAME:-}"\n'
        'exec bash "$control/job.sh" "$control" "$SLURM_ARRAY_TASK_ID" \\\n'
        '    "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" "${SLURM_RESTART_COUNT:-0}"\n'
    )


@pytest.mark.parametrize("name", ["plain", "with space", "it's $HOME", 'q"`id`', "{curly}", "-x\n"])
def test_the_script_starts_the_job_script(tmp_path: Path, name: str) -> None:
    control = tmp_path / name
    control.mkdir()
    (control / "job.sh").write_text(
        'printf "%s\\n" "$@" "$GATEWAY_NODE" "$HOME" "$USER" "$LOGNAME" "$PATH" "$(env)"'
    )
    given = {
        "SLURM_ARRAY_TASK_ID": "4",
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_RESTART_COUNT": "2",
        "SLURMD_NODENAME": "node9",
    }
    script = commands.batch_script(submission(control))
    done = subprocess.run(
        ["/bin/bash", "-s"], input=script, env=given, capture_output=True, text=True, check=True
    )
    said = done.stdout.removeprefix(f"{control}\n").split("\n")
    assert said[:4] == ["4", "77_4", "2", "node9"]
    assert said[4] == str(Path("~").expanduser())
    assert said[5] == said[6] != ""
    assert said[7].startswith("/usr/local/bin:")
    assert "." not in said[7].split(":")


@pytest.mark.parametrize(
    ("extra", "clusters"),
    [
        ((), ("",)),
        (("--reservation=x",), ("",)),
        (("--clusters=a",), ("a",)),
        (("-M", "a,b"), ("a", "b")),
        (("-Ma",), ("a",)),
    ],
)
def test_the_clusters_that_the_site_names_are_known(
    extra: tuple[str, ...], clusters: tuple[str, ...]
) -> None:
    assert commands.chosen_clusters(extra) == clusters


def test_the_queue_is_asked_for_everything_of_mine() -> None:
    argv = commands.queue_argv("c2", "name")
    assert argv[:4] == ("env", "SLURM_TIME_FORMAT=%s", "squeue", "--clusters=c2")
    assert {"--me", "--all", "--array", "--states=all", "--name=name"} <= set(argv)
    assert not any(word.startswith("--clusters") for word in commands.queue_argv(""))


def test_accounting_is_asked_for_ids_or_for_a_name() -> None:
    by_id = commands.accounting_argv("", 90.2, arrays=["1", "2"])
    assert "--starttime=now-91seconds" in by_id
    assert by_id[-1] == "--jobs=1,2"
    assert commands.accounting_argv("", -5, name="n")[-2:] == ("--name=n", "--allocations")


def test_long_lists_are_cut_into_command_lines() -> None:
    targets = [f"{number}_[0-9]" for number in range(5000)]
    cut = commands.portions(targets)
    assert [target for portion in cut for target in portion] == targets
    assert max(len(" ".join(portion)) for portion in cut) <= 30_100
    assert len(cut) == 2
    assert commands.portions([]) == []
