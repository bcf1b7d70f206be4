"""Yadage, CWL and Snakemake: read, checked and sent by the client, refused by us when started."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.conformance.place import ClientError, Reana

IMAGE = "docker.io/library/python:3.13-slim"
TOOL = f"""
cwlVersion: v1.0
class: CommandLineTool
requirements: {{DockerRequirement: {{dockerPull: "{IMAGE}"}}}}
baseCommand: echo
inputs:
  words: {{type: string, inputBinding: {{position: 0}}}}
outputs:
  said: {{type: stdout}}
stdout: said.txt
"""
CWL = """
cwlVersion: v1.0
class: Workflow
inputs: {words: string}
outputs:
  said: {type: File, outputSource: say/said}
steps:
  say:
    run: say.tool
    in: {words: words}
    out: [said]
"""
SNAKEFILE = f"""
rule all:
    input: "said.txt"

rule say:
    output: "said.txt"
    params: words=config["words"]
    container: "docker://{IMAGE}"
    resources: kubernetes_memory_limit="256Mi"
    shell: "echo {{params.words}} > {{output}}"
"""
YADAGE = f"""
stages:
  - name: say
    dependencies: [init]
    scheduler:
      scheduler_type: singlestep-stage
      parameters:
        words: {{step: init, output: words}}
        said: "{{workdir}}/said.txt"
      step:
        process: {{process_type: string-interpolated-cmd, cmd: "echo {{words}} > {{said}}"}}
        publisher: {{publisher_type: frompar-pub, outputmap: {{said: said}}}}
        environment:
          environment_type: docker-encapsulated
          image: {IMAGE.partition(":")[0]}
          imagetag: {IMAGE.partition(":")[2]}
"""
INPUT = {"input.yaml": "words: hello\n"}
FILES: dict[str, Mapping[str, str]] = {
    "cwl": {"workflow.cwl": CWL, "say.tool": TOOL, **INPUT},
    "snakemake": {"Snakefile": SNAKEFILE, **INPUT},
    "yadage": {"workflow.yaml": YADAGE},
}
PARAMETERS = {
    "cwl": {"input": "input.yaml"},
    "snakemake": {"input": "input.yaml"},
    "yadage": {"words": "hello"},
}
NOT_YET = "workflows cannot be run yet; supported now: serial"

pytestmark = pytest.mark.parametrize("language", FILES)


def prepare(reana: Reana, language: str) -> str:
    """Write a workflow; return the name of the file that the language reads first."""
    for name, content in FILES[language].items():
        reana.write(name, content)
    first = next(iter(FILES[language]))
    inputs = {"files": list(FILES[language]), "parameters": PARAMETERS[language]}
    reana.yaml(
        {"inputs": inputs, "workflow": {"type": language, "file": first},
         "outputs": {"files": ["said.txt"]}}
    )  # fmt: skip
    return first


def refused_at_start(reana: Reana, workflow: str, language: str) -> None:
    """Start it, and look whether nothing but a clear sentence came of that."""
    reana.exchanged()
    done = reana("start", "-w", workflow)
    assert done.code == 1
    assert f"{language} {NOT_YET}" in done.seen
    assert [each.status for each in reana.exchanged()][-1] == 400
    assert reana.ok("status", "-w", workflow, "--json").data[0]["status"] == "created"


def test_a_workflow_of_another_language_is_checked_created_and_refused_at_its_start(
    reana: Reana, language: str
) -> None:
    prepare(reana, language)
    assert "Valid REANA specification file" in reana.ok("validate").seen
    name = reana.create("-w", "fit")
    reana.ok("upload", "-w", "fit")
    found = {each["name"] for each in reana.ok("ls", "-w", "fit", "--json").data}
    assert found == {"reana.yaml", *FILES[language]}
    workflow = reana.api("get_workflow_specification", name)["specification"]["workflow"]
    sent = {"cwl": "$graph", "snakemake": "steps", "yadage": "stages"}[language]
    assert workflow["specification"] is None or sent in workflow["specification"]
    assert reana.api("get_workflow_parameters", name)["parameters"] == {"words": "hello"}
    refused_at_start(reana, name, language)


def test_run_of_another_language_ends_with_a_clear_sentence(reana: Reana, language: str) -> None:
    prepare(reana, language)
    done = reana("run", "-w", "fit", "--follow")
    assert done.code == 1
    assert f"{language} {NOT_YET}" in done.seen


def test_the_python_api_creates_it_from_its_file_too(reana: Reana, language: str) -> None:
    first = prepare(reana, language)
    created = reana.api(
        "create_workflow_from_json", "fit", workflow_file=first, workflow_engine=language,
        parameters={"files": list(FILES[language]), "parameters": PARAMETERS[language]},
        outputs={"files": ["said.txt"]}, workspace_path=str(reana.cwd),
    )  # fmt: skip
    name = created["workflow_name"]
    with pytest.raises(ClientError, match=NOT_YET):
        reana.api("start_workflow", name, parameters={})
    assert reana.api("get_workflow_status", name)["status"] == "created"
