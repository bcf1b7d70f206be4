"""start, run, restart, stop, delete, logs, status: the life of a workflow as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.place import ClientError, Reana

HELLO = {"inputs": {"files": ["in.txt"], "parameters": {"greeting": "hello"}},
         "outputs": {"files": ["results/out.txt"]}}  # fmt: skip
COMMANDS = ["mkdir -p results", "echo ${greeting} `cat in.txt` > results/out.txt", "echo said"]


def hello(reana: Reana) -> None:
    reana.write("in.txt", "world")
    reana.spec(*COMMANDS, **HELLO)


def test_run_follow_brings_a_workflow_to_its_end_and_names_its_results(reana: Reana) -> None:
    hello(reana)
    done = reana.ok("run", "-w", "fit", "--follow")
    assert "fit.1" in done.out
    assert "finished" in done.out
    assert "results/out.txt" in done.out
    reana.ok("download", "-w", "fit.1")
    assert (reana.cwd / "results/out.txt").read_text() == "hello world\n"


def test_run_follow_of_a_failing_workflow_exits_with_1(reana: Reana) -> None:
    reana.spec("echo before; exit 3", "echo never")
    done = reana("run", "-w", "fit", "--follow")
    assert done.code == 1
    assert "failed" in done.seen
    logs = reana.ok("logs", "-w", "fit").out
    assert "before" in logs
    assert "never\n" not in logs.replace("echo never", "")


def test_start_with_parameters_and_with_one_that_does_not_exist(reana: Reana) -> None:
    hello(reana)
    reana.ok("create", "-w", "fit")
    reana.ok("upload", "-w", "fit")
    done = reana("start", "-w", "fit", "-p", "greeting=bonjour", "-p", "nope=1")
    assert done.code == 0
    assert "nope" in done.seen
    reana.wait("fit")
    reana.ok("download", "-w", "fit", "results/out.txt")
    assert (reana.cwd / "results/out.txt").read_text() == "bonjour world\n"
    assert reana.api("get_workflow_specification", "fit")["parameters"] == {"greeting": "bonjour"}


def test_start_by_the_python_api_with_a_parameter_that_does_not_exist(reana: Reana) -> None:
    reana.created("fit")
    with pytest.raises(ClientError, match="nope"):
        reana.api("start_workflow", "fit", parameters={"input_parameters": {"nope": "1"}})
    assert reana.api("get_workflow_status", "fit")["status"] == "created"


def test_a_workflow_is_started_once(reana: Reana) -> None:
    name = reana.created("fit")
    reana.ok("start", "-w", "fit")
    reana.wait("fit")
    reana.exchanged()
    done = reana("start", "-w", "fit")
    assert done.code == 1
    assert name in done.seen
    assert [each.status for each in reana.exchanged()] == [403]


def test_a_run_without_its_inputs_fails_with_the_commands_own_words(reana: Reana) -> None:
    reana.created("fit", "cat in.txt", inputs={"files": ["in.txt"]})
    done = reana("start", "-w", "fit", "--follow")
    assert done.code == 1
    assert "in.txt: No such file" in reana.ok("logs", "-w", "fit").out


def marked_steps(reana: Reana, file: str) -> None:
    steps = [
        {"name": name, "environment": "img:1", "commands": [f"echo {name} ${{x}} >> ran.txt"]}
        for name in ("first", "second")
    ]
    workflow = {"type": "serial", "specification": {"steps": steps}}
    reana.yaml({"inputs": {"parameters": {"x": ""}}, "workflow": workflow}, file)


def test_run_with_every_option(reana: Reana) -> None:
    marked_steps(reana, "other.yaml")
    words = ["-f", "other.yaml", "-n", "fit", "-p", "x=y", "-o", "TARGET=first", "--follow"]
    done = reana.ok("run", *words, "--skip-validation")
    assert "Verifying REANA specification file" not in done.seen
    assert reana.ok("download", "-w", "fit.1", "ran.txt", "-o", "-").out == "first y\n"
    assert "Verifying REANA specification file" in reana.ok("run", *words).seen


@pytest.mark.parametrize("option", ["FROM=second", "TARGET=first"])
def test_options_choose_steps(reana: Reana, option: str) -> None:
    marked_steps(reana, "reana.yaml")
    reana.ok("create", "-w", "fit")
    reana.ok("start", "-w", "fit", "-o", option)
    assert reana.wait("fit") == "finished"
    reana.ok("download", "-w", "fit", "ran.txt")
    assert (reana.cwd / "ran.txt").read_text().split() == [option.partition("=")[2]]


def test_an_option_of_another_language_is_refused(reana: Reana) -> None:
    reana.created("fit")
    done = reana("start", "-w", "fit", "-o", "report=x")
    assert done.code == 1
    assert "report" in done.seen


def test_restart_with_parameters_options_and_another_specification(reana: Reana) -> None:
    reana.spec("echo ${word} >> said.txt", inputs={"parameters": {"word": "one"}})
    assert reana("run", "-w", "fit", "--follow").code == 0
    done = reana.ok("restart", "-w", "fit", "-p", "word=two")
    assert "fit.1.1" in done.out
    reana.wait("fit.1.1")
    reana.write("other.yaml", (reana.cwd / "reana.yaml").read_text().replace("echo", "echo now"))
    reana.ok("restart", "-w", "fit.1", "-f", "other.yaml", "-p", "word=three")
    reana.wait("fit.1.2")
    reana.ok("restart", "-w", "fit.1.2", "-o", "CACHE=off")
    reana.wait("fit.1.3")
    reana.ok("download", "-w", "fit.1.3", "said.txt")
    said = (reana.cwd / "said.txt").read_text().splitlines()
    assert said == ["one", "two", "now three", "now one"]


def test_restart_of_what_never_ran_is_refused(reana: Reana) -> None:
    reana.created("fit")
    reana.exchanged()
    done = reana("restart", "-w", "fit")
    assert done.code == 1
    assert [each.status for each in reana.exchanged()] == [403]


def test_a_running_workflow_cannot_be_deleted_and_can_be_stopped(reana: Reana) -> None:
    reana.spec("echo begun; sleep 100")
    reana.ok("run", "-w", "fit")
    reana.wait("fit", "running")
    done = reana("delete", "-w", "fit")
    assert done.code == 1
    assert "running" in done.seen
    assert reana.ok("status", "-w", "fit", "--json").data[0]["status"] == "running"
    refused = reana("stop", "-w", "fit")
    assert refused.code == 1
    assert "force" in refused.seen
    reana.ok("stop", "-w", "fit", "--force")
    assert reana.wait("fit") == "stopped"
    times = reana.api("get_workflow_status", "fit")["progress"]
    assert times["run_stopped_at"]
    assert not times["run_finished_at"]
    reana.ok("delete", "-w", "fit")


def test_stop_of_what_does_not_run_is_refused(reana: Reana) -> None:
    reana.created("fit")
    reana.exchanged()
    done = reana("stop", "-w", "fit", "--force")
    assert done.code == 1
    assert [each.status for each in reana.exchanged()] == [409]


def test_logs_of_a_job_that_runs_are_there_while_it_runs(reana: Reana) -> None:
    reana.spec("echo alive; sleep 100")
    reana.ok("run", "-w", "fit")
    reana.wait("fit", "running")
    for _ in range(50):
        if "alive\n" in reana.ok("logs", "-w", "fit").out.replace("echo alive", ""):
            break
    else:
        pytest.fail("no live logs")
    reana.ok("stop", "-w", "fit", "--force")
    reana.wait("fit")


def test_status_in_every_form(reana: Reana) -> None:
    hello(reana)
    reana.ok("run", "-w", "fit")
    reana.wait("fit")
    (plain,) = reana.ok("status", "-w", "fit", "--json").data
    assert (plain["status"], plain["progress"]) == ("finished", "3/3")
    (verbose,) = reana.ok("status", "-w", "fit", "-v", "--json").data
    assert {"id", "user"} <= set(verbose)
    reana.ok("status", "-w", "fit", "-v", "--include-duration")
    shown = reana.ok("status", "-w", "fit", "--format", "NAME,RUN_NUMBER,STATUS").out
    assert shown.split() == ["NAME", "RUN_NUMBER", "STATUS", "fit", "1", "finished"]


def two_steps(reana: Reana) -> None:
    steps = [
        {"name": name, "environment": f"img:{name}", "commands": [f"echo I am {name}"]}
        for name in ("first", "second")
    ]
    workflow = {"type": "serial", "specification": {"steps": steps}}
    reana.write("reana.yaml", json.dumps({"workflow": workflow}))
    reana.ok("run", "-w", "fit")
    reana.wait("fit")


def jobs(found: dict[str, Any]) -> list[str]:
    return [job["job_name"] for job in found["job_logs"].values()]


def test_logs_with_every_filter(reana: Reana) -> None:
    two_steps(reana)
    text = reana.ok("logs", "-w", "fit").out
    assert "I am first" in text
    assert "I am second" in text
    assert jobs(reana.ok("logs", "-w", "fit", "--json").data) == ["first", "second"]
    for words, wanted in {
        ("--filter", "step=second"): ["second"],
        ("--filter", "step=first", "--filter", "step=second"): ["first", "second"],
        ("--filter", "status=finished"): ["first", "second"],
        ("--filter", "docker_img=img:first"): ["first"],
        ("--filter", "compute_backend=Local"): ["first", "second"],
        ("--filter", "compute_backend=slurm"): [],
        ("--filter", "compute_backend=Local", "--filter", "step=second"): ["second"],
        ("--page", "2", "--size", "1"): ["second"],
    }.items():
        found = reana.ok("logs", "-w", "fit", "--json", *words).data
        assert jobs(found) == wanted, words
    unknown = reana("logs", "-w", "fit", "--filter", "step=third")
    assert "third" in unknown.seen


def test_the_python_api_reads_logs_by_step_and_page(reana: Reana) -> None:
    two_steps(reana)
    every = reana.api("get_workflow_logs", "fit")
    assert every["workflow_name"] == "fit.1"
    one = json.loads(reana.api("get_workflow_logs", "fit", steps=["second"])["logs"])
    assert jobs(one) == ["second"]
    assert one["workflow_logs"] is None
    page = json.loads(reana.api("get_workflow_logs", "fit", page=1, size=1)["logs"])
    assert jobs(page) == ["first"]


def test_diff_of_two_runs(reana: Reana) -> None:
    reana.spec("printf 'a\\n\\nb\\n' > out.txt")
    reana.ok("run", "-w", "fit", "--follow")
    reana.spec("printf 'a\\n\\nc\\n' > out.txt")
    reana.ok("run", "-w", "fit", "--follow")
    done = reana.ok("diff", "fit.1", "fit.2")
    assert "-b" in done.out
    assert "+c" in done.out
    brief = reana.ok("diff", "-q", "fit.1", "fit.2").out
    assert "fit.1/out.txt" in brief
    assert "+c" not in brief
    narrow = reana.ok("diff", "-u", "0", "fit.1", "fit.2").out
    assert len(narrow) < len(done.out)
    assert "fit.1/out.txt" not in reana.ok("diff", "-q", "fit.1", "fit.1").out


def test_the_python_api_stops_and_compares(reana: Reana) -> None:
    reana.created("fit", "sleep 100")
    with pytest.raises(ClientError, match="nothing to stop"):
        reana.api("stop_workflow", "fit", force_stop=True)
    reana.api("start_workflow", "fit", parameters={})
    reana.wait("fit", "running")
    reana.api("stop_workflow", "fit", force_stop=True)
    assert reana.wait("fit") == "stopped"
    reana.created("fit", "sleep 200")
    found = reana.api("diff_workflows", "fit.1", "fit.2", brief=False, context_lines="5")
    assert "sleep 200" in found["reana_specification"]
    assert "reana.yaml" in found["workspace_listing"]


def test_the_python_api_walks_through(reana: Reana, tmp_path: Path) -> None:
    reana.write("data/in.txt", "x")
    steps = [{"environment": "img:1", "commands": ["cp data/in.txt out.txt"]}]
    created = reana.api(
        "create_workflow_from_json", "api", workflow_json={"steps": steps},
        workflow_engine="serial", parameters={"files": ["data/in.txt"]},
        outputs={"files": ["out.txt"]},
    )  # fmt: skip
    assert created["workflow_name"] == "api.1"
    reana.api("upload_to_server", "api", [str(tmp_path / "data/in.txt")])
    started = reana.api("start_workflow", "api", parameters={})
    assert started["workflow_name"] == "api"
    assert str(started["run_number"]) == "1"
    assert reana.wait("api") == "finished"
    assert {each["name"] for each in reana.api("list_files", "api")} == {"data/in.txt", "out.txt"}
    content, name, is_zip = reana.api("download_file", "api", "out.txt")
    assert (content, name, is_zip) == ({"base64": "eA=="}, "out.txt", False)
    reana.api("delete_workflow", "api", all_runs=False, workspace=True)
    assert reana.api("get_workflow_status", "api")["status"] == "deleted"
