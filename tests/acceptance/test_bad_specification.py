"""Specifications that are wrong: one message, nothing created, the user's files untouched."""

from __future__ import annotations

import os
import threading

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

GOOD = """\
version: 0.9.0
inputs:
  parameters: {who: world}
workflow:
  type: serial
  specification:
    steps:
      - name: greet
        environment: docker.io/library/busybox:1.36
        commands: ['echo hello ${who}']
"""

WRONG_TEXTS = {
    "empty file": ("", ["is empty"]),
    "only a comment": ("# to be done\n", ["is empty"]),
    "a list": ("- a\n", ["must be a mapping", "reana.yaml:1:1"]),
    "plain words": ("hello\n", ["must be a mapping"]),
    "a tab": (GOOD.replace("  type", "\ttype"), ["reana.yaml:5:1", "tab", "spaces"]),
    "open bracket": (GOOD.replace("']", "'"), ["reana.yaml:", "']' or ',' is missing"]),
    "open quote": (GOOD.replace("who}'", "who}"), ["reana.yaml:", "quote"]),
    "colon in a command": (GOOD.replace("['echo", "echo: ['"), ["reana.yaml:10"]),
    "text for a list": (GOOD.replace("['echo hello ${who}']", "echo"), ["commands", "a list"]),
    "number for a name": (GOOD.replace("greet", "12"), ["name", "quotes"]),
    "list for steps' map": (GOOD.replace("- name", "- - name"), ["reana.yaml:9", "indentation"]),
    "misspelt key": (GOOD.replace("commands", "comands"), ["did you mean 'commands'?"]),
    "misspelt top key": (GOOD.replace("inputs", "input"), ["did you mean 'inputs'?"]),
    "misspelt type": (GOOD.replace("serial", "serail"), ["did you mean 'serial'?"]),
    "no image": (GOOD.replace("environment", "name2"), ["environment", "missing"]),
    "no steps": (GOOD[: GOOD.index("      -")], ["steps"]),
    "unknown parameter": (GOOD.replace("${who}", "${whom}"), ["${whom}", "did you mean 'who'?"]),
    "shell substitution": (GOOD.replace("${who}", "$(date)"), ["$(", "$$("]),
    "shell variable": (GOOD.replace("${who}", "$HOME"), ["$HOME", "$$HOME"]),
    "unknown backend": (
        GOOD.replace("commands", "compute_backend: lsf\n        commands"),
        ["compute_backend", "'lsf'", "local"],
    ),
    "more than the machine": (
        GOOD.replace("commands", "kubernetes_memory_limit: 900Ti\n        commands"),
        ["greet", "900"],
    ),
    "two documents": (GOOD + "---\n" + GOOD, ["second document"]),
    "a key twice": (GOOD + "version: 0.9.1\n", ["version", "reana.yaml:11"]),
    "an endless alias": ("a: &a [*a]\n", ["reana.yaml"]),
    "a python object": ("a: !!python/object/apply:os.getcwd []\n", ["reana.yaml:1", "tag"]),
}


def assert_nothing_was_made(bench: Bench) -> None:
    assert bench.ids() == []
    assert not list(bench.shared.glob("workspaces/*"))


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize("case", WRONG_TEXTS)
def test_wrong_text_is_refused_with_the_place_and_a_way_out(
    bench: Bench, case: str, command: str
) -> None:
    text, expected = WRONG_TEXTS[case]
    file = bench.here / "reana.yaml"
    file.write_text(text)

    said = bench.refused(ExitCode.USAGE, command)

    assert [words for words in expected if words not in said] == []
    assert len(said.splitlines()) <= 5
    assert file.read_text() == text
    if command == "run":
        assert_nothing_was_made(bench)


def test_all_problems_are_shown_at_once(bench: Bench) -> None:
    text = GOOD.replace("${who}", "${whom} $(date)").replace("- name: greet", "- name: greet")
    (bench.here / "reana.yaml").write_text(text)

    said = bench.refused(ExitCode.USAGE, "validate")

    assert "${whom}" in said
    assert "$$(" in said


@pytest.mark.parametrize("content", [b"a: \xff\xfe\n", b"a: \x00\n", bytes(range(256))])
def test_bytes_that_are_no_text(bench: Bench, content: bytes) -> None:
    (bench.here / "reana.yaml").write_bytes(content)

    assert "reana.yaml:" in bench.refused(ExitCode.USAGE, "run")


def test_a_huge_file_is_not_read(bench: Bench) -> None:
    with (bench.here / "reana.yaml").open("wb") as file:
        file.truncate(10**10)

    assert "larger than" in bench.refused(ExitCode.USAGE, "run")


def test_no_specification_here(bench: Bench) -> None:
    assert "no reana.yaml" in bench.refused(ExitCode.USAGE, "run")


def test_a_file_that_does_not_exist(bench: Bench) -> None:
    assert "nosuch.yaml" in bench.refused(ExitCode.USAGE, "run", "nosuch.yaml")


def test_a_directory_instead_of_a_file(bench: Bench) -> None:
    assert "is a directory" in bench.refused(ExitCode.USAGE, "run", str(bench.root))


def test_two_files_named_at_once(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.write_spec(step("a", "true"), name="other.yaml")

    said = bench.refused(ExitCode.USAGE, "run", "reana.yaml", "-f", "other.yaml")

    assert "reana.yaml" in said
    assert "other.yaml" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-p", "whom=x"), "did you mean 'who'?"),
        (("-p", "who"), "KEY=VALUE"),
        (("-p", "=x"), "KEY=VALUE"),
        (("-o", "TRAGET=a"), "did you mean 'TARGET'?"),
        (("-o", "TARGET=gret"), "did you mean 'greet'?"),
        (("--cluster", "lokal"), "did you mean 'local'?"),
        (("--timeout", "soon"), "soon"),
        (("-n", "a.b"), "try 'a-b'"),
        (("-n", "a/b"), "without '/'"),
        (("-n", "a\nb"), "one line"),
        (("-n", "n" * 201), "at most 200"),
        (("-n", "b6f8a0a2-1f9b-4b7e-9d7e-0a1b2c3d4e5f"), "looks like a workflow id"),
    ],
)
def test_wrong_words_beside_a_good_file(
    bench: Bench, words: tuple[str, ...], expected: str
) -> None:
    (bench.here / "reana.yaml").write_text(GOOD)

    assert expected in bench.refused(ExitCode.USAGE, "run", *words)
    assert_nothing_was_made(bench)


def test_missing_inputs_are_named_and_nothing_is_made(bench: Bench) -> None:
    bench.write_spec(step("a", "true"), inputs={"files": ["data.csv"], "directories": ["code"]})

    said = bench.refused(ExitCode.USAGE, "run")

    assert "data.csv" in said
    assert "code" in said
    assert_nothing_was_made(bench)


def test_inputs_outside_of_the_directory_are_refused(bench: Bench) -> None:
    (bench.root / "secret").write_text("x")
    bench.write_spec(step("a", "true"), inputs={"files": ["../secret"]})

    assert "../secret" in bench.refused(ExitCode.USAGE, "run")
    assert_nothing_was_made(bench)


def test_a_bad_restart_specification_changes_nothing(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")
    (bench.here / "changed.yaml").write_text("workflow: {type: serial\n")

    bench.refused(ExitCode.USAGE, "restart", "workflow", "-f", "changed.yaml")

    assert len(bench.ids()) == 1


def test_errors_as_json(bench: Bench) -> None:
    (bench.here / "reana.yaml").write_text(GOOD.replace("${who}", "${whom}"))

    result = bench.run("validate", "--json")

    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert '"problems"' in result.err


def test_a_specification_from_a_pipe(bench: Bench) -> None:
    (bench.here / "kept.yaml").write_text(GOOD)
    os.mkfifo(bench.here / "pipe")
    feed = threading.Thread(target=(bench.here / "pipe").write_text, args=[GOOD])
    feed.start()

    bench.ok("run", "pipe", "-q")

    feed.join()
    assert bench.ok("ls", "-w", "workflow", "--json").json() == []


def test_what_the_site_cannot_do_and_what_is_not_there_are_shown_together(bench: Bench) -> None:
    bench.write_spec(
        step("a", "echo ${nope}"),
        step("b", "true", compute_backend="slurmcern"),
        step("c", "true", gpus=1, slurm_partition="p", slurm_qos="q"),
        inputs={"files": ["gone.txt", "code"], "directories": ["a.py"]},
    )
    (bench.here / "code").mkdir()
    (bench.here / "a.py").touch()

    said = bench.refused(ExitCode.USAGE, "validate")

    for words in (
        "nope",
        "no cluster here serves compute_backend 'slurmcern'",
        "graphics processors",
        "partition cannot be honoured",
        "qos cannot be honoured",
        "gone.txt does not exist",
        "code is no file: list it under inputs.directories",
        "a.py is no directory: list it under inputs.files",
    ):
        assert words in said
