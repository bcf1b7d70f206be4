"""create, list, status: workflows, their names and runs."""

from __future__ import annotations

import pytest

from tests.conformance.place import ClientError, Reana, Server


def test_a_created_workflow_has_a_name_with_a_run_number_and_its_specification(
    reana: Reana,
) -> None:
    reana.spec("true")
    assert reana.create("-w", "fit") == "fit.1"
    assert reana.create("-w", "fit") == "fit.2"
    assert reana.create() == "workflow.1"
    assert reana.ok("ls", "-w", "fit.1", "--format", "name").out.split() == ["NAME", "reana.yaml"]


def test_the_same_specification_comes_back(reana: Reana) -> None:
    name = reana.created("fit", "echo $x", inputs={"parameters": {"x": "1"}})
    found = reana.api("get_workflow_specification", name)
    inputs = found["specification"]["inputs"]
    assert {name: value for name, value in inputs.items() if value} == {"parameters": {"x": "1"}}
    assert found["parameters"] == {}
    assert reana.api("get_workflow_parameters", name)["parameters"] == {"x": "1"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.b", "contains illegal character"),
        ("4a9b7b22-0d8f-4f4e-9d27-0ad2f0d7a1c3", "cannot be a valid UUIDv4"),
    ],
)
def test_a_bad_name_is_refused(reana: Reana, name: str, words: str) -> None:
    reana.spec("true")
    done = reana("create", "-w", name)
    assert done.code != 0
    assert words in done.seen
    assert reana.ok("list", "--json").data == []


def test_a_name_may_have_letters_beyond_ascii(reana: Reana) -> None:
    assert reana.created("naïve") == "naïve.1"
    assert reana.ok("status", "-w", "naïve.1", "--json").data[0]["name"] == "naïve"


def test_a_backend_that_is_not_here_is_refused_before_anything_is_created(reana: Reana) -> None:
    reana.spec("true")
    step = {"name": "s", "environment": "img:1", "commands": ["true"]}
    step |= {"compute_backend": "slurmcern"}
    workflow = {"type": "serial", "specification": {"steps": [step]}}
    with pytest.raises(ClientError, match="slurmcern"):
        reana.api("create_workflow", {"workflow": workflow}, "fit")
    assert reana.ok("list", "--json").data == []


def test_a_step_key_that_the_client_does_not_know_reaches_us(reana: Reana) -> None:
    step = {"environment": "img:1", "commands": ["true"], "slurm_tiem": "5"}
    workflow = {"type": "serial", "specification": {"steps": [step]}}
    with pytest.raises(ClientError, match="slurm_tiem"):
        reana.api("create_workflow_from_json", "fit", workflow_json=workflow["specification"],
                  workflow_engine="serial")  # fmt: skip


@pytest.mark.parametrize("form", ["fit", "fit.1", "uuid"])
def test_a_workflow_is_found_by_every_form_of_its_name(reana: Reana, form: str) -> None:
    reana.created("fit")
    uuid = reana.ok("list", "--json", "-v").data[0]["id"]
    asked = uuid if form == "uuid" else form
    by_option = reana.ok("status", "-w", asked, "--json").data
    by_variable = reana.ok("status", "--json", REANA_WORKON=asked).data
    assert by_option == by_variable
    assert by_option[0]["name"] == "fit"
    assert by_option[0]["run_number"] == "1"
    assert by_option[0]["status"] == "created"


def test_restarted_runs_are_named_with_their_minor_number(reana: Reana) -> None:
    reana.created("fit")
    reana.ok("start", "-w", "fit")
    reana.wait("fit.1")
    assert "fit.1.1" in reana.ok("restart", "-w", "fit.1").out
    reana.wait("fit.1.1")
    assert reana.ok("status", "-w", "fit.1.1", "--json").data[0]["run_number"] == "1.1"
    assert reana.ok("status", "-w", "fit", "--json").data[0]["run_number"] == "1.1"
    assert reana.ok("status", "-w", "fit.1", "--json").data[0]["run_number"] == "1"


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["logs"],
        ["start"],
        ["stop", "--force"],
        ["delete"],
        ["restart"],
        ["ls"],
        ["du"],
        ["download", "a.txt"],
        ["upload", "a.txt"],
        ["mv", "a.txt", "b.txt"],
        ["prune"],
        ["diff", "nope", "other"],
        ["retention-rules-list"],
        ["open"],
        ["close"],
    ],
    ids=lambda words: words[0],
)
def test_an_unknown_workflow_is_said_to_be_unknown(reana: Reana, words: list[str]) -> None:
    reana.write("a.txt", "x")
    done = reana(*words, REANA_WORKON="nope")
    assert done.code == 1
    assert "nope" in done.seen
    assert "does not exist" in done.seen
    assert {each.status for each in reana.exchanged()} <= {403, 404}


def test_rm_in_an_unknown_workflow_fails(reana: Reana) -> None:
    # The client does not show what the server says of it.
    assert reana("rm", "-w", "nope", "a.txt").code == 1
    (seen,) = reana.exchanged()
    assert "nope" in seen.json()["message"]


def test_workflows_of_others_are_unknown(reana: Reana, server: Server) -> None:
    name = reana.created("fit")
    server.app.accounts.add_user(f"other-{reana.cwd.name}@example.org")
    reana.token = server.app.accounts.new_token(f"other-{reana.cwd.name}@example.org")[1]
    done = reana("status", "-w", name)
    assert done.code == 1
    assert "does not exist" in done.seen
    assert reana.ok("list", "--json").data == []


def test_list_with_every_option(reana: Reana) -> None:
    for name in ("alpha", "beta", "alpha"):
        reana.created(name)
    assert [each["name"] for each in reana.ok("list", "--json").data] == ["alpha", "beta", "alpha"]
    runs = reana.ok("list", "-w", "alpha", "--json", "--sort", "run_number").data
    assert [each["run_number"] for each in runs] == ["2", "1"]
    found = reana.ok("list", "--filter", "name=bet", "--json").data
    assert [each["name"] for each in found] == ["beta"]
    assert reana.ok("list", "--filter", "status=running", "--json").data == []
    page = reana.ok("list", "--page", "2", "--size", "2", "--json").data
    assert [each["name"] for each in page] == ["alpha"]
    verbose = reana.ok("list", "-v", "--json", "--include-duration").data[0]
    assert verbose["size"]["raw"] > 0 if isinstance(verbose["size"], dict) else verbose["size"]
    assert verbose["progress"] in ("-", "-/-", "0/0", "0/1")
    shown = reana.ok("list", "-h", "-v", "--include-workspace-size").out
    assert "SIZE" in shown
    assert "beta.1 *" not in shown
    assert "*" in reana.ok("list", REANA_WORKON="beta.1").out
    assert reana.ok("list", "--sessions").out.split()[0] == "NAME"
    only = reana.ok("list", "--format", "name,run_number").out.split()
    assert only[:4] == ["NAME", "RUN_NUMBER", "alpha", "2"]


def test_deleted_runs_are_listed_when_asked_for(reana: Reana) -> None:
    reana.created("fit")
    assert "deleted" in reana.ok("delete", "-w", "fit.1").out
    assert reana.ok("list", "--json").data == []
    for option in ("--all", "--show-deleted-runs"):
        (one,) = reana.ok("list", option, "--json").data
        assert one["status"] == "deleted"
    again = reana("start", "-w", "fit.1")
    assert again.code == 1
    assert "deleted" in again.seen
    assert reana.created("fit") == "fit.2"


def test_all_runs_are_deleted_together(reana: Reana) -> None:
    for _ in range(3):
        reana.created("fit")
    reana.created("other")
    reana.ok("delete", "-w", "fit.2", "--include-all-runs", "--include-workspace")
    assert [each["name"] for each in reana.ok("list", "--json").data] == ["other"]


def test_create_from_another_file_and_without_the_clients_checks(reana: Reana) -> None:
    reana.spec("true")
    (reana.cwd / "reana.yaml").rename(reana.cwd / "other.yaml")
    assert reana.create("-f", "other.yaml", "-n", "fit") == "fit.1"
    checked = [each.path for each in reana.exchanged()]
    assert reana.create("-f", "other.yaml", "-n", "fit", "--skip-validation") == "fit.2"
    unchecked = [each.path for each in reana.exchanged()]
    assert checked == ["/api/info", "/api/workflows", "/api/workflows/fit.1/workspace"]
    assert unchecked == ["/api/workflows", "/api/workflows/fit.2/workspace"]


def test_what_the_client_does_not_check_we_do(reana: Reana) -> None:
    reana.yaml({"workflow": {"type": "serial", "specification": {"steps": []}}})
    done = reana("create", "-w", "fit", "--skip-validation")
    assert done.code == 1
    assert "steps" in done.seen
    assert reana.ok("list", "--json").data == []
    with pytest.raises(ClientError):
        reana.api("create_workflow_from_json", "x", workflow_engine="yadage")


def test_list_with_progress_or_size_alone(reana: Reana) -> None:
    reana.created("fit")
    (one,) = reana.ok("list", "--include-progress", "--json").data
    assert ("progress" in one, "size" in one) == (True, False)
    (one,) = reana.ok("list", "--include-workspace-size", "--json").data
    assert ("progress" in one, "size" in one) == (False, True)


def test_the_python_api_lists_by_everything(reana: Reana) -> None:
    for name in ("alpha", "beta", "alpha"):
        reana.created(name)
    reana.api("delete_workflow", "beta", all_runs=False, workspace=True)

    def listed(**words: object) -> list[str]:
        found = reana.api("get_workflows", type="batch", **words)
        return [each["name"] for each in found]

    assert listed() == ["alpha.2", "beta.1", "alpha.1"]
    assert listed(status=["created"]) == ["alpha.2", "alpha.1"]
    assert listed(status=["created", "deleted"]) == ["alpha.2", "beta.1", "alpha.1"]
    assert listed(page=2, size=2) == ["alpha.1"]
    assert listed(workflow="alpha") == ["alpha.2", "alpha.1"]
    assert listed(search='{"name": ["ET"]}') == ["beta.1"]
    found = reana.api("get_workflows", type="batch", verbose=True)[0]
    assert found["size"]["raw"] > 0
    assert found["progress"]["total"] == {"total": 0, "job_ids": []}
    found = reana.api("get_workflows", type="batch", verbose=True, include_progress=False,
                      include_workspace_size=False)[0]  # fmt: skip
    assert found["size"]["raw"] == -1
    assert not found["progress"]["total"]
    assert reana.api("get_workflows", type="interactive") == []
