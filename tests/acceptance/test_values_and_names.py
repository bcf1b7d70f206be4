"""Hostile values of parameters, names of steps and workflows, and paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

SAVE = "printf %s '${value}' > value.txt"
VALUES = {
    "spaces": "  two  words ",
    "double quotes": 'say "hello"',
    "newline": "first line\nsecond line\n",
    "tab": "a\tb",
    "UTF-8": "Grüße, 世界, 🧪, e\u0301",
    "dollar": "$HOME costs 5$ and $$ and ${value} and $(id)",
    "backticks": "`id`",
    "percent": "100% %s %n %%",
    "backslashes": "a\\nb\\\\c\\",
    "glob": "* ? [a-z] ~ {1,2}",
    "operators": "; rm -rf x & | > < ! # && ||",
    "braces and brackets": "}) ]} @GATEWAY_SCRATCH@ @GATEWAY_CONTAINER@",
    "rich markup": "[bold]x[/]",
    "dash": "-n",
    "empty": "",
    "long": "x" * 100_000,
}


def run_one(bench: Bench, *words: str, command: str = SAVE) -> Path:
    bench.write_spec(step("save", command), inputs={"parameters": {"value": "unset"}})
    bench.ok("run", *words)
    return bench.workspace()


@pytest.mark.parametrize("case", VALUES)
def test_a_well_quoted_value_arrives_as_it_is(bench: Bench, case: str) -> None:
    workspace = run_one(bench, "-p", f"value={VALUES[case]}")

    assert (workspace / "value.txt").read_bytes().decode() == VALUES[case]


def test_a_value_from_the_specification_arrives_as_it_is(bench: Bench) -> None:
    value = "".join(VALUES[case] for case in VALUES if case != "long")
    bench.write_spec(step("save", SAVE), inputs={"parameters": {"value": value}})

    bench.ok("run", "-q")

    assert (bench.workspace() / "value.txt").read_bytes().decode() == value


def test_values_are_spliced_raw_as_in_reana(bench: Bench) -> None:
    workspace = run_one(bench, "-p", "value='; echo spliced > spliced; : '")

    assert (workspace / "spliced").exists()


def test_a_value_as_content_of_a_here_document(bench: Bench) -> None:
    value = 'it\'s "quoted" `by` $nothing\nat all'
    workspace = run_one(
        bench, "-p", f"value={value}", command="cat > value.txt << 'END'\n${value}\nEND\n"
    )

    assert (workspace / "value.txt").read_text() == f"{value}\n"


def test_a_value_with_a_nul_is_refused(bench: Bench) -> None:
    bench.write_spec(step("save", SAVE), inputs={"parameters": {"value": "a\0b"}})

    assert "NUL" in bench.refused(ExitCode.USAGE, "run")
    assert bench.ids() == []


def test_a_value_that_makes_the_command_too_long_is_refused(bench: Bench) -> None:
    bench.write_spec(step("save", SAVE), inputs={"parameters": {"value": "x" * 200_000}})

    assert "put it into a script" in bench.refused(ExitCode.USAGE, "run")


def test_values_that_are_no_text(bench: Bench) -> None:
    values = {"i": 7, "f": 1.5, "b": True, "n": None, "l": [1, 2]}
    words = " ".join(f"'${{{name}}}'" for name in values)
    bench.write_spec(step("save", f"printf '%s|' {words}"), inputs={"parameters": values})

    result = bench.run("run", "-q")

    assert result.code in (ExitCode.OK, ExitCode.USAGE)


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "a/b/c",
        "../../etc",
        "Größe 🧪",
        "x" * 300,
        "-rf",
        "a'b\"c",
        "$(id)",
        "a,b:c",
        "[a]",
    ],
    ids=range(10),
)
def test_step_names(bench: Bench, name: str) -> None:
    bench.write_spec(step(name, "echo done"), step("after", "true"))

    bench.ok("run")

    assert bench.ok("status", "workflow", "--json").json()["jobs"][0]["step"] == name
    assert "done" in bench.ok("logs", "workflow", f"--step={name}").out
    bench.ok("status", "workflow", "-v")
    bench.ok("explain", "workflow")


@pytest.mark.parametrize(
    "name", ["two words", "Größe 🧪", "x" * 200, "-rf", "a'b\"c", "$(id)", "a,b:c"]
)
def test_workflow_names(bench: Bench, name: str) -> None:
    bench.write_spec(step("a", "echo done > done"))

    bench.ok("run", f"--name={name}")

    assert bench.status(f"-w={name}.1".replace("-w=", "--workflow=")) == "finished"
    assert "done" in bench.ok("ls", "-w", name).out


def test_steps_without_names(bench: Bench) -> None:
    bench.write_spec(step(None, "echo a"), step(None, "echo b"))

    bench.ok("run")

    assert "b" in bench.ok("logs", "workflow").out


def test_file_names(bench: Bench) -> None:
    names = ["with space", "ü🧪", "quote'\"", "-dash", "$(id)", "new\nline", "*", "[x]"]
    (bench.here / "data").mkdir()
    for name in names:
        (bench.here / "data" / name).write_text(name)
    bench.write_spec(
        step("copy", "mkdir out && cp -- data/* out/"),
        inputs={"directories": ["data"]},
        outputs={"directories": ["out"]},
    )

    bench.ok("run", "-q")
    bench.ok("download", "-w", "workflow", "-o", "got")

    assert sorted(path.name for path in (bench.here / "got" / "out").iterdir()) == sorted(names)
    assert len(bench.ok("ls", "-w", "workflow", "data", "--json").json()) == len(names)


def test_names_that_are_not_utf8(bench: Bench) -> None:
    """Files of old experiments have such names."""
    (bench.here / "data").mkdir()
    (bench.here / "data" / os.fsdecode(b"caf\xe9")).write_text("x")
    bench.write_spec(step("a", "ls data"), inputs={"directories": ["data"]})

    bench.ok("run")

    assert "caf\\xe9" in bench.ok("ls", "-w", "workflow").out
    bench.ok("logs", "workflow")
    bench.ok("download", "-w", "workflow", "data", "-o", "got")
    assert os.listdir(os.fsencode(bench.here / "got/data")) == [b"caf\xe9"]


def test_output_that_is_not_utf8(bench: Bench) -> None:
    bench.write_spec(step("a", "printf 'caf\\351\\n\\000\\033[31mred\\n'; exit 1"))

    assert bench.run("run").code == ExitCode.FAILED
    assert "caf\ufffd" in bench.ok("logs", "workflow").out
    assert "caf\ufffd" in bench.ok("logs", "workflow", "--json").json()[0]["stdout"]


def test_paths_with_spaces_and_quotes(bench: Bench) -> None:
    odd = bench.root / 'it\'s a "shared" root; (é)'
    bench.write_site(shared_root=str(odd), state_dir=str(bench.root / "state dir #%41"))
    bench.write_spec(step("a", "pwd > where.txt"))

    bench.ok("run", "-q")

    workspace = bench.workspace()
    assert workspace.is_relative_to(odd)
    assert (workspace / "where.txt").read_text() == f"{workspace}\n"


def test_a_home_with_spaces_and_the_built_in_places(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bench.root / "home of a person"
    settings = home / ".config" / "gateway"
    settings.mkdir(parents=True)
    (settings / "site.yaml").write_text("containers: host\nshared_root: ~/my files\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GATEWAY_SITE")
    bench.write_spec(step("a", "true"))

    bench.ok("run", "-q")

    assert bench.workspace().is_relative_to(home / "my files")


def test_a_state_directory_with_a_question_mark_is_refused(bench: Bench) -> None:
    bench.write_site(state_dir=str(bench.root / "why?x=1"))
    bench.write_spec(step("a", "true"))

    said = bench.refused(ExitCode.USAGE, "run", "-q")

    assert "state_dir may not contain '?'" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_character(bench: Bench, encoding: str) -> None:
    bench.write_spec(step("世界", "echo 世界; false"))
    bench.run("run", "-q")

    logs = bench.process("logs", "workflow", PYTHONIOENCODING=encoding)
    run = bench.process("run", PYTHONIOENCODING=encoding)

    assert (logs.code, run.code) == (ExitCode.OK, ExitCode.FAILED)
    assert logs.out


def test_stdout_closed_early(bench: Bench) -> None:
    bench.write_spec(step("a", "seq 100000"))
    bench.ok("run", "-q")

    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m gateway logs workflow | head -n 3"],
        cwd=bench.here,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (len(done.stdout.splitlines()), done.stderr) == (3, "")
