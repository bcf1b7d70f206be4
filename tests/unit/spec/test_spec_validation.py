"""What keeps a well-formed specification from being run, and what is only worth a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SpecError
from gateway.spec.advice import image_concern
from gateway.spec.languages import LANGUAGES, not_yet
from gateway.spec.load import LoadedSpec, load_data, load_file
from gateway.spec.validate import MAX_COMMAND_BYTES, validate


def loaded(*commands: str, parameters: dict[str, Any] | None = None, **more: Any) -> LoadedSpec:
    step = {"name": "fit", "environment": "a:1", "commands": list(commands or ["true"])}
    step |= more.pop("step", {})
    inputs = {"parameters": parameters or {}, **more.pop("inputs", {})}
    workflow = {"type": "serial", "specification": {"steps": [step]}}
    return load_data({"inputs": inputs, "workflow": workflow, **more})


def test_nothing_wrong() -> None:
    report = validate(loaded("echo $x", parameters={"x": 1}), {"x": "2"}, {"TARGET": "fit"})
    assert (report.errors, report.warnings) == ((), ())
    report.raise_for_errors()


def test_unknown_parameters() -> None:
    spec = loaded("$events", parameters={"events": 1})
    assert validate(spec, {"evnts": 1, "zz": 1}).errors == (
        "parameter evnts: is not in inputs.parameters of the specification; did you mean 'events'?",
        "parameter zz: is not in inputs.parameters of the specification; inputs.parameters has "
        "events",
    )


def test_commands_are_checked_with_the_effective_parameters() -> None:
    spec = loaded("echo $x", parameters={"x": "small"})
    assert validate(spec).errors == ()
    (error,) = validate(spec, {"x": "y" * MAX_COMMAND_BYTES}).errors
    assert error == (
        "step 'fit', command 1: is 100 KiB long, at most 100 KiB are possible; put it into a script"
    )
    (error,) = validate(spec, {"x": "a\0"}).errors
    assert error == "step 'fit', command 1: contains a NUL character"
    (error,) = validate(spec, {"x": "\ud800"}).errors
    assert error == "step 'fit', command 1: contains half a character (a lone surrogate)"


def test_the_longest_command_passes() -> None:
    assert validate(loaded("é" * (MAX_COMMAND_BYTES // 2))).errors == ()
    assert validate(loaded("é" * (MAX_COMMAND_BYTES // 2) + "x")).errors


def test_everything_at_once_with_places(tmp_path: Path) -> None:
    path = tmp_path / "reana.yaml"
    path.write_text(
        "inputs:\n"
        "  options: {FORM: fit, report: x}\n"
        "workflow:\n"
        "  type: serial\n"
        "  specification:\n"
        "    steps:\n"
        "      - environment: a:1\n"
        "        commands:\n"
        "          - echo $(date) $x\n"
        "          - |\n"
        "            true\n"
        "            echo $y\n"
        "workspace: {root_path: /scratch}\n"
    )
    report = validate(load_file(path), {"q": 1}, {"FROM": "zz"})
    assert [line.replace(str(path), "reana.yaml") for line in report.errors] == [
        "parameter q: is not in inputs.parameters of reana.yaml; inputs.parameters has none",
        "reana.yaml:2:13: option FORM: is not an option; did you mean 'FROM'?",
        "reana.yaml:2:24: option report: is for snakemake workflows, not for serial ones",
        "option FROM: there is no step 'zz'; steps: 1",
        "reana.yaml:13:24: workspace.root_path: '/scratch' is not a place for workspaces here; "
        "remove it, the site decides where workspaces lie",
        "reana.yaml:9:13: step 1, command 1: $( is not a parameter; for a command substitution of "
        "the shell write $$(",
        "reana.yaml:9:13: step 1, command 1: $x is not an input parameter; for a variable of the "
        "shell write $$x",
        "reana.yaml:10:13: step 1, command 2: its line 2: $y is not an input parameter; for a "
        "variable of the shell write $$y",
    ]
    with pytest.raises(SpecError) as caught:
        report.raise_for_errors()
    assert caught.value.problems == report.errors


def test_allowed_workspace_root() -> None:
    spec = loaded(workspace={"root_path": "/scratch"})
    assert validate(spec, workspace_roots=["/scratch"]).errors == ()


@pytest.mark.parametrize("language", ["yadage", "cwl", "snakemake"])
def test_other_languages_give_one_clear_not_yet(language: str) -> None:
    spec = load_data(
        {"workflow": {"type": language, "file": "x"}, "workspace": {"root_path": "/scratch"}}
    )
    report = validate(spec, {"a": 1}, {"b": 2})
    assert report.errors == (
        f"workflow.type: {language} workflows cannot be run yet; supported now: serial",
    )


def test_languages() -> None:
    assert [language for language in LANGUAGES if not_yet(language) is None] == ["serial"]


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (loaded(parameters={"x": 1}), "inputs.parameters.x: is used in no command"),
        (loaded(step={"kubernetes_uid": 500}),
         "step 'fit': kubernetes_uid: has no effect, jobs run under your own user id"),
        (loaded("sudo ls"),
         "step 'fit', command 1: uses sudo, which containers of ordinary users do not have"),
        (loaded("(cd /)"), "step 'fit', command 1: goes to '/', outside the workspace"),
        (loaded("cd /\nls"), "step 'fit', command 1: goes to '/', outside the workspace"),
        (loaded("true", "cd / && ls"), "step 'fit', command 2: goes to '/', outside the workspace"),
        (loaded(step={"environment": "python"}),
         "step 'fit': environment: 'python' has no tag; the registry's 'latest' may change any "
         "day"),
        (loaded(inputs={"options": {"CACHE": False}}),
         "option CACHE: has no effect; REANA's job cache is switched off as well"),
    ],
)  # fmt: skip
def test_warnings(spec: LoadedSpec, warning: str) -> None:
    report = validate(spec)
    assert (report.errors, report.warnings) == ((), (warning,))


def test_harmless_commands_give_no_warning() -> None:
    commands = ("pseudo sudoku", "cd /data", "cd /$$x", "cd sub", "abcd / x", "echo $$(cd sub)")
    assert validate(loaded(*commands)).warnings == ()


@pytest.mark.parametrize(
    ("image", "concern"),
    [
        ("python:3.13", ""),
        ("docker://registry:5000/a/python:3.13", ""),
        ("python@sha256:abc", ""),
        ("/cvmfs/unpacked.cern.ch/python", ""),
        ("images/x.sif", ""),
        ("registry:5000/python",
         "'registry:5000/python' has no tag; the registry's 'latest' may change any day"),
        ("python:latest", "the tag of 'python:latest' may change any day"),
        ("a/b:master", "the tag of 'a/b:master' may change any day"),
    ],
)  # fmt: skip
def test_image_concern(image: str, concern: str) -> None:
    assert image_concern(image) == concern


def test_messages_cannot_move_the_cursor_of_a_terminal() -> None:
    report = validate(loaded(parameters={"\x1b[31m": 1}), {"\x1b[32m": 1})
    assert all(line.isprintable() for line in (*report.errors, *report.warnings))
