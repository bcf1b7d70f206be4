"""Every command: help with an example, JSON that parses, and a word for the lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import click
import pytest

from gateway.cli.main import COMMANDS, cli
from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

NAMES = [name for section in COMMANDS.values() for name in section]


def leaves() -> list[tuple[str, ...]]:
    """Return every command, groups with their own commands."""
    found: list[tuple[str, ...]] = []
    context = click.Context(cli)
    for name in NAMES:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.commands]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_has_help_with_an_example(bench: Bench, words: tuple[str, ...]) -> None:
    shown = bench.ok(*words, "--help").out

    assert f"gateway {' '.join(words)}" in shown
    assert re.search(rf"Example.*gateway {' '.join(words)}", shown.replace("\n", " "))
    assert not bench.database.exists()


def test_the_help_names_every_command(bench: Bench) -> None:
    shown = bench.ok("--help").out

    assert [name for name in NAMES if f"\n  {name} " not in shown] == []
    assert bench.ok("-h").out == shown


def test_without_a_command_help_is_shown(bench: Bench) -> None:
    result = bench.run()

    assert "Usage: gateway" in result.out + result.err


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (("statsu",), "status"), (("Run",), "run"), (("log",), "logs"), (("ps",), ""),
        (("status", "--fromat", "x"), "--format"), (("run", "--tiemout", "1"), "--timeout"),
        (("cluster", "lst"), "list"), (("config", "chek"), "check"),
        (("completion", "bsh"), "bash"),
    ],
)  # fmt: skip
def test_misspelt_words_are_guessed(bench: Bench, words: tuple[str, ...], suggestion: str) -> None:
    said = bench.refused(ExitCode.USAGE, *words)

    assert suggestion in said.splitlines()[-1]
    assert "Try 'gateway" in said


@pytest.mark.parametrize(
    "words",
    [
        ("status", "a", "b", "c"), ("mv", "-w", "x", "y"), ("rm", "-w", "x"), ("start", "-p"),
        ("tick", "--for", "soon"), ("wait", "x", "--timeout", "soon"), ("delete",), ("explain",),
    ],
)  # fmt: skip
def test_wrong_numbers_of_words(bench: Bench, words: tuple[str, ...]) -> None:
    bench.refused(ExitCode.USAGE, *words)


@pytest.mark.parametrize("span", ["-1", "nan", "inf", "1h", "-0.5"])
@pytest.mark.parametrize(
    "words", [("wait", "x", "--timeout"), ("run", "--timeout"), ("tick", "--for")]
)
def test_times_that_are_no_seconds(bench: Bench, words: tuple[str, ...], span: str) -> None:
    bench.write_spec(step("a", "true"))

    said = bench.refused(ExitCode.USAGE, *words, span)

    assert f"'{span}' is not a number of seconds, 0 or more" in said
    assert not bench.database.exists()


def test_no_time_at_all_is_one_look(bench: Bench) -> None:
    bench.write_spec(step("a", "sleep 5"))
    bench.ok("submit")

    assert bench.run("wait", "workflow", "--timeout", "0").code == ExitCode.TIMED_OUT


def test_an_option_before_its_command(bench: Bench) -> None:
    said = bench.refused(ExitCode.USAGE, "-w", "x", "status")

    assert "options of a command come after its name" in said


def test_a_workflow_that_only_the_environment_names(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REANA_WORKON", "gone")

    assert "$REANA_WORKON names 'gone'" in bench.refused(ExitCode.NOT_FOUND, "status")
    assert "$REANA_WORKON" not in bench.refused(ExitCode.NOT_FOUND, "status", "other")


def test_looking_before_anything_exists(bench: Bench) -> None:
    assert "gateway run" in bench.ok("list").err
    assert "REANA_WORKON" in bench.refused(ExitCode.USAGE, "status")
    assert "gateway list" in bench.refused(ExitCode.NOT_FOUND, "status", "fit")
    assert "gateway status" in bench.refused(ExitCode.NOT_FOUND, "explain", "fit")
    bench.ok("cluster", "list")
    bench.ok("config", "show")
    bench.ok("doctor")
    bench.ok("tick")


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_environment_variable_names_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("REANA_WORKON", value)

    assert bench.run("status").code in (ExitCode.USAGE, ExitCode.NOT_FOUND)


JSON_COMMANDS = [
    ("validate",), ("status", "workflow"), ("list",), ("list", "--all"), ("logs", "workflow"),
    ("explain", "workflow"), ("ls", "-w", "workflow"), ("du", "-w", "workflow"), ("tick",),
    ("doctor",), ("config", "show"), ("cluster", "list"), ("wait", "workflow"), ("run",),
    ("submit",), ("create",), ("restart", "workflow"), ("delete", "workflow"),
]  # fmt: skip


@pytest.mark.parametrize("words", JSON_COMMANDS, ids=" ".join)
def test_json_of_every_command_parses(bench: Bench, words: tuple[str, ...]) -> None:
    bench.write_spec(step("a", "echo 'äöü \"x\" \\'"), outputs={"files": ["x"]})
    bench.ok("run", "-q")

    json.loads(bench.ok(*words, "--json").out)


def test_json_of_start_and_stop(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("create")

    assert bench.ok("start", "workflow", "--json").json()["status"] == "queued"
    assert bench.ok("stop", "workflow", "--json").json()["name"] == "workflow"


@pytest.mark.parametrize("words", [("run",), ("start", "workflow", "--follow")])
def test_json_is_one_document_also_when_it_follows(bench: Bench, words: tuple[str, ...]) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("create")

    assert json.loads(bench.ok(*words, "--json").out)["name"] == "workflow"


def test_errors_are_json_where_json_was_asked_for(bench: Bench) -> None:
    result = bench.run("status", "nosuch", "--json")

    assert json.loads(result.err)["exit_code"] == result.code == ExitCode.NOT_FOUND
    assert result.out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(bench: Bench, shell: str) -> None:
    assert "_GATEWAY_COMPLETE" in bench.ok("completion", shell).out


def test_completion_offers_commands_and_workflows(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q", "-n", "fitting")
    asks = {"_GATEWAY_COMPLETE": "bash_complete"}

    commands = bench.process(COMP_WORDS="gateway sta", COMP_CWORD="1", **asks).out
    workflows = bench.process(COMP_WORDS="gateway status -w fit", COMP_CWORD="3", **asks).out
    arguments = bench.process(COMP_WORDS="gateway status fit", COMP_CWORD="2", **asks).out

    assert "status" in commands
    assert "fitting.1" in workflows
    assert "fitting.1" in arguments


def test_completion_is_silent_on_a_broken_site(bench: Bench) -> None:
    bench.site_file.write_text("clusters: [")

    result = bench.process(
        _GATEWAY_COMPLETE="bash_complete", COMP_WORDS="gateway status -w x", COMP_CWORD="3"
    )

    assert (result.out.strip(), result.err) == ("", "")


def test_lists(bench: Bench) -> None:
    bench.write_spec(step("a", "exit ${code}"), inputs={"parameters": {"code": 0}})
    bench.ok("run", "-q", "-n", "good")
    bench.run("run", "-q", "-n", "bad", "-p", "code=1")

    failed = bench.ok("list", "--filter", "status=failed", "--json").json()
    assert [each["name"] for each in failed] == ["bad"]
    named = bench.ok("list", "--filter", "name=good", "--format", "NAME,STATUS").out
    assert named.split() == ["NAME", "STATUS", "good", "finished"]
    assert "statuses" in bench.refused(ExitCode.USAGE, "list", "--filter", "status=done")
    assert "columns" in bench.refused(ExitCode.USAGE, "list", "--format", "nam")


def test_explain_of_a_job_by_the_beginning_of_its_id(bench: Bench) -> None:
    bench.write_spec(step("a", "false"))
    bench.run("run", "-q")
    job = bench.ok("status", "workflow", "--json").json()["jobs"][0]["id"]

    for asked in (job, job[:8], job.replace("-", "")):
        shown = bench.ok("explain", asked).out
        assert "exit code 1" in shown
        assert "standard error" in shown


def test_the_version(bench: Bench) -> None:
    assert re.fullmatch(r"gateway \d\S*\n", bench.ok("--version").out)


def loaded(bench: Bench, *words: str) -> set[str]:
    """Return which heavy packages a command loads in a process of its own."""
    code = (
        "import sys; from gateway.cli.main import run; run(sys.argv[1:]);"
        "heavy = {'sqlalchemy', 'pydantic', 'yaml', 'rich', 'fabric', 'alembic', 'fastapi'};"
        "print(*(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True,
        cwd=bench.here, env={**os.environ, "XDG_CACHE_HOME": str(bench.root / "cache")},
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_nothing_heavy_is_loaded_for_help(bench: Bench) -> None:
    assert loaded(bench, "--version") == set()


@pytest.mark.parametrize(
    "words",
    [("status", "workflow"), ("list",), ("ls", "-w", "workflow"), ("logs", "workflow"), ("tick",)],
)
def test_what_only_reads_checks_the_site_file_once(bench: Bench, words: tuple[str, ...]) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")

    assert "pydantic" in loaded(bench, *words)
    assert loaded(bench, *words) == {"sqlalchemy"}

    bench.site_file.write_text(bench.site_file.read_text() + "retries: 1  # of $HERE\n")
    assert "pydantic" in loaded(bench, *words)
    bench.site_file.write_text(bench.site_file.read_text() + "retrys: 1\n")
    assert "retries" in bench.process(*words).err
