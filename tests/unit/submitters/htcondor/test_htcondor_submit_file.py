import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.site.model import HTCondorCluster
from gateway.submitters.base import ActiveSubmission, Submission, Task
from gateway.submitters.htcondor import classad
from gateway.submitters.htcondor.submit_file import description_text, launcher_text
from gateway.vocabulary.resources import Resources

SITE = HTCondorCluster(type="htcondor")
ANY = st.text(max_size=40)
KEY = "gw0123456789abcdef"


def submission(count: int = 2, **more: object) -> Submission:
    tasks = tuple(Task(f"{KEY}.{index}", index, "step") for index in range(count))
    plain = Submission(KEY, "fit", Path("/c"), Resources(), tasks)
    return replace(plain, **more)  # type: ignore[arg-type]


def commands(text: str) -> dict[str, str]:
    """Read the commands of a description, as condor_submit splits them."""
    lines = text.partition("\nqueue ")[0].split("\n")
    return dict(line.split(" = ", 1) for line in lines)


def expanded(value: str) -> str:
    assert not re.search(r"\$(?!\(DOLLAR\))", value), "a macro would be expanded"
    return value.replace("$(DOLLAR)", "$")


def test_a_plain_submission() -> None:
    text = description_text(submission(), SITE)
    found = commands(text)
    assert found["arguments"] == "\"'/c/condor.sh' $(Process) $(Cluster).$(Process)\""
    assert found["log"] == "/c/events.log"
    assert found["MY.GatewaySubmission"] == f'"{KEY}"'
    assert found["should_transfer_files"] == "NO"
    assert found["getenv"] == "False"
    assert not {name for name in found if name.startswith("request_")}
    assert "requirements" not in found
    assert "allowed_job_duration" not in found
    assert text.endswith(f'queue GatewayTask from (\n"{KEY}.0"\n"{KEY}.1"\n)\n')


def test_resources_in_htcondor_s_units() -> None:
    wanted = Resources(cpus=2, memory_mib=300, disk_mib=5, walltime_s=60, gpus=1)
    found = commands(description_text(submission(resources=wanted), SITE))
    assert found["request_cpus"] == "2"
    assert found["request_memory"] == "300"
    assert found["request_disk"] == "5120"
    assert found["request_gpus"] == "1"
    assert found["allowed_job_duration"] == found["MY.MaxRuntime"] == "60"
    assert "46" in found["periodic_remove"]
    no_gpu = commands(description_text(submission(resources=Resources(gpus=0)), SITE))
    assert "request_gpus" not in no_gpu


def test_the_site_s_settings() -> None:
    site = HTCondorCluster(
        type="htcondor",
        accounting_group="group_u",
        send_credential=True,
        extra_lines=('+JobFlavour = "espresso"', "should_transfer_files = YES"),
    )
    text = description_text(submission(), site)
    found = commands(text)
    assert found["accounting_group"] == "group_u"
    assert found["MY.SendCredential"] == "True"
    assert found["+JobFlavour"] == '"espresso"'
    assert found["should_transfer_files"] == "YES", "the site has the last word"
    mine = submission(resources=Resources(accounting_group="group_mine"))
    assert commands(description_text(mine, site))["accounting_group"] == "group_mine"


def test_excluded_nodes_and_the_user_s_requirements() -> None:
    sent = submission(
        exclude_nodes=("n1.example", "short"), resources=Resources(requirements="A || B")
    )
    assert commands(description_text(sent, SITE))["requirements"] == (
        '(TARGET.Machine =!= "n1.example" || time() - MY.QDate > 600) && '
        '(split(TARGET.Machine, ".")[0] =!= "short" || time() - MY.QDate > 600) && (A || B)'
    )


def test_tasks_that_are_not_numbered_from_zero_on_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="numbered"):
        description_text(submission(tasks=(Task("k", 1, "s"),)), SITE)


@given(label=ANY, requirements=ANY.filter(bool), node=ANY, directory=ANY)
def test_no_word_of_a_user_becomes_a_command(
    label: str, requirements: str, node: str, directory: str
) -> None:
    plain = description_text(
        submission(exclude_nodes=("n",), resources=Resources(requirements="R")), SITE
    )
    hostile = description_text(
        submission(
            label=label,
            control_dir=Path("/c") / directory.replace("\0", "").replace("/", ""),
            exclude_nodes=(node,),
            resources=Resources(requirements=requirements),
        ),
        SITE,
    )
    assert list(commands(hostile)) == list(commands(plain))
    found = commands(hostile)
    expanded(found["requirements"])
    expanded(found["MY.JobBatchName"])
    assert re.fullmatch(r'"(?:[^"\\]|\\")*"', found["MY.JobBatchName"])


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), max_size=30))
def test_the_control_directory_is_one_argument(name: str) -> None:
    directory = Path("/c") / f"x{name}"
    found = commands(description_text(submission(control_dir=directory), SITE))
    assert expanded(found["log"]) == f"{directory}/events.log"
    quoted = found["arguments"].removeprefix('"').removesuffix(' $(Process) $(Cluster).$(Process)"')
    word = expanded(quoted).replace('""', '"')
    assert word.startswith("'")
    assert word.endswith("'")
    assert word[1:-1].replace("''", "'") == f"{directory}/condor.sh"


@pytest.mark.parametrize(
    ("job_ad", "restart", "node"),
    [
        ('NumShadowStarts = 1\nMachine = "x"\n', "0", "b9.example"),
        ("NumShadowStartsX = 9\nNumShadowStarts = 4\n", "3", "b9.example"),
        ("", "0", "b9.example"),
        (None, "0", ""),
    ],
)
def test_the_launcher_counts_starts(
    tmp_path: Path, job_ad: str | None, restart: str, node: str
) -> None:
    control = tmp_path / 'it\'s "$HOME" here'
    control.mkdir()
    job = control / "job.sh"
    job.write_text('printf "%s\\n" "$@" "$GATEWAY_NODE"')
    script = tmp_path / "condor.sh"
    script.write_text(launcher_text(control))
    env = {}
    if job_ad is not None:
        (tmp_path / "job.ad").write_text(job_ad)
        (tmp_path / "machine.ad").write_text('MachineX = "n"\nMachine = "b9.example"\n')
        env = {
            "_CONDOR_JOB_AD": str(tmp_path / "job.ad"),
            "_CONDOR_MACHINE_AD": str(tmp_path / "machine.ad"),
        }
    argv = ["bash", str(script), "5", "12.5"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(control), "5", "12.5", restart, node]


@given(ANY)
def test_a_literal_is_one_line_and_closed(text: str) -> None:
    written = classad.literal(text)
    assert len(written.splitlines()) == 1 or not set("\n\r") & set(written)
    assert re.fullmatch(r'"(?:[^"\\]|\\["\\])*"', written)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sets(st.integers(0, 40), max_size=30), max_size=4))
def test_constraints_name_exactly_the_open_tasks(wanted: list[set[int]]) -> None:
    active = [
        ActiveSubmission(f"gw{number}", str(number), Path("/c"), 0.0, dict.fromkeys(indexes, "k"))
        for number, indexes in enumerate(wanted)
    ]
    lines = [meaning(line) for line in classad.open_tasks(active)]
    for number, indexes in enumerate(wanted):
        for proc in range(42):
            job = {"GatewaySubmission": f"gw{number}", "ProcId": proc}
            assert any(eval(line, job) for line in lines) == (proc in indexes)


def meaning(constraint: str) -> CodeType:
    """Compile the part of the ClassAd language that constraints use."""
    return compile(constraint.replace("||", " or ").replace("&&", " and "), "constraint", "eval")


def test_constraints_are_split_to_fit_into_an_argument() -> None:
    every_other = dict.fromkeys(range(0, 4000, 2), "k")
    active = [ActiveSubmission(f"gw{n}", "1", Path("/c"), 0.0, every_other) for n in range(5)]
    lines = list(classad.open_tasks(active))
    assert len(lines) == 5
    assert max(map(len, lines)) < 128 * 1024
    few = [ActiveSubmission(f"gw{n:016x}", "1", Path("/c"), 0.0, {0: "k"}) for n in range(500)]
    assert len(list(classad.open_tasks(few))) == 1
