"""reana.yaml to Specification: what comes out, and what is said of mistakes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ExitCode, SpecError
from gateway.spec.inputs import missing_inputs
from gateway.spec.load import LoadedSpec, load_data, load_file, restore
from gateway.vocabulary.resources import Resources

GOOD = """\
version: 0.9
inputs:
  files: [./code/fit.py]
  directories: [data/]
  parameters: {events: 100, day: 2024-01-01}
  options: {TARGET: fit}
workflow:
  type: serial
  resources: {cvmfs: [atlas.cern.ch]}
  specification:
    steps:
      - environment: python:3.13
        commands: [echo $events, echo $day]
      - name: fit
        environment: python:3.13
        compute_backend: slurmcern
        slurm_time: '5'
        memory: 2 GiB
        retries: 2
        commands: [echo]
outputs:
  files: [out/fit.json]
workspace:
  retention_days: {"**/*.log": 3}
tests: {files: [tests/a.feature]}
"""

STEP: dict[str, Any] = {"environment": "python:3.13", "commands": ["true"]}


def data_with(**step: Any) -> dict[str, Any]:
    return {"workflow": {"type": "serial", "specification": {"steps": [{**STEP, **step}]}}}


def load_text(tmp_path: Path, text: str) -> LoadedSpec:
    path = tmp_path / "reana.yaml"
    path.write_text(text)
    return load_file(path)


def problems_of(load: Callable[[], object], tmp_path: Path | None = None) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load()
    assert caught.value.exit_code is ExitCode.USAGE
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def step_problems(**step: Any) -> list[str]:
    return problems_of(lambda: load_data(data_with(**step)))


def test_everything_arrives(tmp_path: Path) -> None:
    spec = load_text(tmp_path, GOOD).specification
    assert (spec.type, spec.file, spec.root_path) == ("serial", None, None)
    assert spec.inputs.files == ("code/fit.py",)
    assert spec.inputs.directories == ("data",)
    assert spec.inputs.parameters == {"events": 100, "day": "2024-01-01"}
    assert spec.inputs.options == {"TARGET": "fit"}
    assert spec.outputs.files == ("out/fit.json",)
    assert (spec.cvmfs, spec.tests) == (("atlas.cern.ch",), ("tests/a.feature",))
    assert spec.retention_days == {"**/*.log": 3}
    first, second = spec.steps
    assert (first.index, first.name, first.cvmfs, first.retries) == (0, "1", True, None)
    assert first.commands == ("echo $events", "echo $day")
    assert (first.backend, first.resources) == (None, Resources())
    assert (second.index, second.name, second.backend, second.retries) == (1, "fit", "slurmcern", 2)
    assert second.resources == Resources(memory_mib=2048, walltime_s=300)


def test_raw_is_what_the_client_would_post(tmp_path: Path) -> None:
    spec = load_text(tmp_path, GOOD + "  \n").specification
    assert spec.raw["version"] == "0.9"
    assert spec.raw["inputs"]["files"] == ["./code/fit.py"]
    assert spec.raw["workflow"]["specification"]["steps"][0]["commands"][0] == "echo $events"


def test_stored_specification_comes_back_the_same(tmp_path: Path) -> None:
    spec = load_text(tmp_path, GOOD).specification
    assert restore(json.loads(json.dumps(spec.raw))) == spec


def test_json_body_is_not_changed() -> None:
    data = {**data_with(), "version": 0.9, "inputs": None, "outputs": {"files": None}}
    before = copy.deepcopy(data)
    spec = load_data(data).specification
    assert data == before
    assert "inputs" not in spec.raw
    assert spec.raw["outputs"] == {}


def test_blank_sections_are_as_if_absent(tmp_path: Path) -> None:
    text = "inputs:\n  files:\noutputs:\n" + json.dumps(data_with())[1:-1]
    assert load_text(tmp_path, text).specification.inputs.files == ()


def test_steps_in_another_file_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow/steps.yaml").write_text(
        "steps:\n  - environment: a:1\n    commands: [echo]\n    cpu: 1\n"
    )
    text = "workflow: {type: serial, file: flow/steps.yaml}\n"
    problems = problems_of(lambda: load_text(tmp_path, text), tmp_path)
    assert problems == ["flow/steps.yaml:4:5: step 1: unknown key 'cpu'; did you mean 'cpus'?"]
    (tmp_path / "flow/steps.yaml").write_text("steps: [{environment: 'a:1', commands: [echo]}]\n")
    spec = load_text(tmp_path, text).specification
    assert spec.steps[0].image == "a:1"
    assert spec.raw["workflow"]["file"] == "flow/steps.yaml"
    assert restore(spec.raw) == spec


@pytest.mark.parametrize(
    ("make", "why"),
    [(lambda _: None, "No such file or directory"), (Path.mkdir, "Is a directory")],
)
def test_steps_file_that_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    make(tmp_path / "steps.yaml")
    (tmp_path / "reana.yaml").write_text("workflow:\n  type: serial\n  file: steps.yaml\n")

    with pytest.raises(SpecError) as caught:
        load_file(tmp_path / "reana.yaml", called="reana.yaml")

    assert caught.value.problems == (
        f"reana.yaml:3:9: workflow.file: steps.yaml cannot be read: {why}",
    )
    assert "correct workflow.file" in caught.value.hint


def test_steps_file_outside_is_refused(tmp_path: Path) -> None:
    text = "workflow: {type: serial, file: ../x.yaml}\n"
    assert problems_of(lambda: load_text(tmp_path, text), tmp_path) == [
        "reana.yaml:1:11: workflow: the key 'specification' is missing",
        "reana.yaml:1:32: workflow.file: '../x.yaml' leads upwards; '..' is not allowed",
    ]


@pytest.mark.parametrize("language", ["yadage", "cwl", "snakemake"])
@pytest.mark.parametrize("specification", [None, {"anything": [1]}, {"steps": [{"rule": "x"}]}])
def test_other_languages_are_carried_along(language: str, specification: Any) -> None:
    data = {"workflow": {"type": language, "file": "flow", "specification": specification}}
    spec = load_data(data).specification
    assert (spec.type, spec.steps, spec.raw) == (language, (), data)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["reana.yaml: is empty"]),
        ("- a\n", ["reana.yaml:1:1: must be a mapping of keys, not a list"]),
        ("outputs: {}\n", ["reana.yaml:1:1: the key 'workflow' is missing"]),
        ("workflow: {}\n", ["reana.yaml:1:11: workflow: the key 'type' is missing"]),
        (
            "workflow: {type: seriall}\n",
            ["reana.yaml:1:18: workflow.type: must be one of serial, yadage, cwl, snakemake, not "
             "'seriall'; did you mean 'serial'?"],
        ),
        ("workflow: {type: serial}\n",
         ["reana.yaml:1:11: workflow: the key 'specification' is missing"]),
        (
            "workflow: {type: serial, specification: {steps: []}}\n",
            ["reana.yaml:1:49: workflow.specification.steps: must not be empty"],
        ),
        (
            "workflow: {type: cwl}\ninput: {files: [a]}\n",
            ["reana.yaml:2:1: unknown key 'input'; did you mean 'inputs'?"],
        ),
        (
            "workflow: {type: cwl}\ninputs: {zzz: 1}\n",
            ["reana.yaml:2:10: inputs: unknown key 'zzz'; known keys: files, directories, "
             "parameters, options"],
        ),
        (
            "workflow: {type: cwl}\ninputs:\n  files: a\n  directories: [/b, ../c, '']\n",
            ["reana.yaml:3:10: inputs.files: must be a list (items begin with '- '), not 'a'",
             "reana.yaml:4:17: inputs.directories[0]: '/b' is absolute; write a path relative to "
             "the workspace",
             "reana.yaml:4:21: inputs.directories[1]: '../c' leads upwards; '..' is not allowed",
             "reana.yaml:4:27: inputs.directories[2]: a path is empty"],
        ),
        (
            "workflow: {type: cwl}\noutputs: {files: [a, ./a, b/]}\n",
            ["reana.yaml:2:27: outputs.files[2]: 'b/' names a directory; list it under "
             "'directories'"],
        ),
        (
            "workflow: {type: cwl}\noutputs: {files: [a, ./a]}\n",
            ["reana.yaml:2:18: outputs.files: listed more than once: a"],
        ),
        (
            "workflow: {type: cwl}\ninputs: {files: [a], directories: [a/]}\n",
            ["reana.yaml:2:9: inputs: listed more than once: a"],
        ),
        (
            "workflow: {type: cwl}\nworkspace: {retention_days: {/x: 1, a: -1, b: soon}}\n",
            ["reana.yaml:2:30: workspace.retention_days./x: '/x' must be a pattern of paths "
             "relative to the workspace",
             "reana.yaml:2:40: workspace.retention_days.a: must be at least 0, not -1",
             "reana.yaml:2:47: workspace.retention_days.b: must be a whole number, not 'soon'"],
        ),
        (
            "workflow: {type: cwl, resources: {cvmfs: [a/b, x.ch], dask: {a: x}, rucio: yes}}\n",
            ["reana.yaml:1:43: workflow.resources.cvmfs[0]: 'a/b' is not the name of a CVMFS "
             "repository, such as atlas.cern.ch",
             "reana.yaml:1:61: workflow.resources.dask: not supported yet; no Dask cluster can be "
             "started for a workflow",
             "reana.yaml:1:76: workflow.resources.rucio: not supported yet; jobs run under your "
             "own account, so remove this if its credentials are enough"],
        ),
        ("version: [1]\nworkflow: {type: cwl}\n",
         ["reana.yaml:1:10: version: must be text, not a list"]),
        ("a: b: c\n", ["reana.yaml:1:5: a ':' is not allowed here; put the value in quotes if it "
                       "contains ': ', and check the indentation"]),
    ],
)  # fmt: skip
def test_mistakes_in_the_document(tmp_path: Path, text: str, problems: list[str]) -> None:
    assert problems_of(lambda: load_text(tmp_path, text), tmp_path) == problems


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ({"slurm_tiem": "5"}, "step 1: unknown key 'slurm_tiem'; did you mean 'slurm_time'?"),
        ({"name": "fit", "comands": []},
         "step 'fit': unknown key 'comands'; did you mean 'commands'?"),
        ({"name": 12}, "step 1: name: must be text, not 12; put it in quotes"),
        ({"environment": ""}, "step 1: environment: names no image"),
        ({"environment": "a b"}, "step 1: environment: 'a b' is not an image name; blanks and a "
                                 "leading '-' are not allowed"),
        ({"environment": "--nv"}, "step 1: environment: '--nv' is not an image name; blanks and a "
                                  "leading '-' are not allowed"),
        ({"commands": []}, "step 1: commands: must not be empty"),
        ({"commands": "echo"},
         "step 1: commands: must be a list (items begin with '- '), not 'echo'"),
        ({"commands": None},
         "step 1: commands: must be a list (items begin with '- '), not nothing"),
        ({"commands": ["true", " "]}, "step 1, command 2: the command is empty"),
        ({"commands": [{"echo a": "b"}]}, "step 1, command 1: must be text, not a mapping; put the "
                                          "whole text in quotes if it contains ': '"),
        ({"commands": ["a\0"]}, "step 1, command 1: contains a NUL character"),
        ({"commands": ["\ud800"]},
         "step 1, command 1: contains half a character (a lone surrogate)"),
        ({"kerberos": True},
         "step 1: kerberos: not supported yet; jobs run under your own account, "
                             "so remove this if its credentials are enough"),
        ({"rucio": "yes"}, "step 1: rucio: must be true or false, not 'yes'"),
        ({"cpus": True}, "step 1: cpus: must be a number or text"),
        ({"cpus": 0}, "step 1: cpus: '0' is not a whole number of at least 1"),
        ({"memory": 2000},
         "step 1: memory: '2000' has no unit; write for example 2000MiB or 2000GiB"),
        ({"memory": "lots"},
         "step 1: memory: 'lots' is not a size: write for example 512MiB or 4GiB"),
        ({"walltime": "soon"}, "step 1: walltime: 'soon' is not a duration: write for example 90s, "
                               "30m, 2h or 1d"),
        ({"kubernetes_memory_limit": "8GB"},
         "step 1: kubernetes_memory_limit: '8GB' is not a size as "
                                             "Kubernetes writes it, such as 512Mi or 8Gi"),
        ({"slurm_time": None}, "step 1: slurm_time: a value is missing"),
        ({"slurm_partition": "a b"},
         "step 1: slurm_partition: 'a b' is not one word without blanks, "
                                     "not beginning with '-'"),
        ({"slurm_account": "--wrap=x"}, "step 1: slurm_account: '--wrap=x' is not one word without "
                                        "blanks, not beginning with '-'"),
        ({"htcondor_requirements": "a\nqueue"},
         "step 1: htcondor_requirements: must be one line of text"),
        ({"htcondor_max_runtime": "expresso"},
         "step 1: htcondor_max_runtime: 'expresso' is not a run time; write seconds or one of "
         "espresso, microcentury, longlunch, workday, tomorrow, testmatch, nextweek"),
    ],
)  # fmt: skip
def test_mistakes_in_a_step(step: dict[str, Any], problem: str) -> None:
    assert step_problems(**step) == [problem]


def test_everything_wrong_comes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        GOOD.replace("retries: 2", "retries: -2").replace("'5'", "soon").replace("[data/]", "[/d]")
    )
    problems = problems_of(lambda: load_text(tmp_path, text), tmp_path)
    assert [problem.split(": ")[0] for problem in problems] == [
        "reana.yaml:4:17",
        "reana.yaml:17:21",
        "reana.yaml:19:18",
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "inputs.parameters.x: is not a finite number"),
        ("a\0", "inputs.parameters.x: contains a NUL character"),
        ({"\ud800": 1}, "inputs.parameters.x: contains half a character (a lone surrogate)"),
    ],
)
def test_values_that_cannot_be_stored(value: Any, problem: str) -> None:
    data = {**data_with(), "inputs": {"parameters": {"x": value}}}
    assert problems_of(lambda: load_data(data)) == [problem]


def test_hostile_nesting_is_refused() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    data = {**data_with(), "inputs": {"parameters": {"x": value}}}
    (problem,) = problems_of(lambda: load_data(data))
    assert problem.endswith("lists and mappings are nested 60 deep")


def test_values_read_in_a_surprising_way_are_warned_about(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, GOOD.replace("events: 100", "events: 0100"))
    (warning,) = loaded.warnings
    assert warning.endswith("reana.yaml:5:24: 0100 is an octal number, 64; put it in quotes if "
                            "text is meant")  # fmt: skip


def test_missing_inputs_are_those_of_the_wrong_kind_too(tmp_path: Path) -> None:
    data = {
        **data_with(),
        "inputs": {"files": ["here", "dir", "gone"], "directories": ["dir", "here", "away"]},
    }
    data["inputs"]["directories"].remove("dir")
    data["inputs"]["directories"].remove("here")
    (tmp_path / "here").touch()
    (tmp_path / "dir").mkdir()
    spec = load_data(data).specification
    assert [each.path for each in missing_inputs(spec, tmp_path)] == ["dir", "gone", "away"]


def test_input_that_no_filesystem_can_hold_is_missing(tmp_path: Path) -> None:
    data = {**data_with(), "inputs": {"files": ["x" * 5000], "directories": ["y" * 5000]}}
    spec = load_data(data).specification
    assert [each.path[0] for each in missing_inputs(spec, tmp_path)] == ["x", "y"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
step_keys = st.sampled_from(
    ["name", "environment", "commands", "cpus", "memory", "walltime", "slurm_time", "kerberos",
     "htcondor_request_disk", "kubernetes_cpu_limit", "kubernetes_uid", "foo"]
)  # fmt: skip
amounts = st.from_regex(r"[0-9]{0,400}[.:-]?[0-9²]{0,3} ?[kKMGTmh]?[iB]?", fullmatch=True)


def problems_or_none(data: dict[str, Any]) -> tuple[str, ...] | None:
    try:
        load_data(data)
    except SpecError as error:
        return error.problems
    return None


@given(st.dictionaries(step_keys, json_values | amounts, max_size=6))
def test_any_step_is_read_or_refused_as_spec_error(step: dict[str, Any]) -> None:
    problems = problems_or_none(data_with(**step))
    if problems is None:
        spec = load_data(data_with(**step)).specification
        assert restore(json.loads(json.dumps(spec.raw, allow_nan=False))) == spec
    else:
        assert problems
        assert all(problem.isprintable() for problem in problems)
        assert not any("pydantic" in problem.lower() for problem in problems)


@given(
    st.dictionaries(
        st.sampled_from(["inputs", "workflow", "outputs", "tests", "workspace", "x"]), json_values
    )
)
def test_any_document_is_read_or_refused_as_spec_error(data: dict[str, Any]) -> None:
    assert problems_or_none(data) != ()
