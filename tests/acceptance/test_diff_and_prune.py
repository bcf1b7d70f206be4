"""Two runs compared, and a workspace cleared of what nobody declared."""

from __future__ import annotations

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import WAITS_FOR_GO, Bench, step


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Two runs that differ in a parameter and in a file."""
    for number, greeting in ((1, "hello"), (2, "bye")):
        bench.write_spec(
            step("a", "echo ${greeting}"),
            inputs={"parameters": {"greeting": greeting}, "files": ["in.txt"]},
            outputs={"directories": ["out"]},
        )
        bench.ok("create")
        workspace = bench.workspace(f"workflow.{number}")
        (workspace / "out").mkdir()
        (workspace / "out" / "text").write_text(f"same\n\n{greeting}\n")
        (workspace / "in.txt").write_text("in\n")
        (workspace / "log").write_text("log\n")
    return bench


def test_diff_shows_what_differs(two: Bench) -> None:
    shown = two.ok("diff", "workflow.1", "workflow.2").out
    assert "==> differences in inputs" in shown
    assert "'greeting': 'bye'" in shown
    assert "==> differences in the workspaces" in shown
    assert "-hello\n+bye" in shown
    assert "differences in workflow" not in shown
    brief = two.ok("diff", "workflow.1", "workflow.2", "-q").out
    assert "Files workflow.1/out/text and workflow.2/out/text differ" in brief
    assert "+bye" not in brief
    short = two.ok("diff", "workflow.1", "workflow.2", "-u", "0").out
    assert " same" not in short


def test_diff_as_json(two: Bench) -> None:
    found = two.ok("diff", "workflow.1", "workflow.2", "--json").json()
    assert found["specification"]["workflow"] == []
    assert "\n-hello\n+bye" in found["workspaces"]


def test_diff_of_the_same(two: Bench) -> None:
    result = two.ok("diff", "workflow.1", "workflow.1")
    assert (result.out, "no differences" in result.err) == ("", True)


def test_diff_of_what_does_not_exist(two: Bench) -> None:
    assert "'nope'" in two.refused(ExitCode.NOT_FOUND, "diff", "workflow.1", "nope")
    two.ok("delete", "workflow.1")
    gone = two.ok("diff", "workflow.1", "workflow.2").out
    assert "Workspace of workflow.1 does not exist." in gone


def test_prune_keeps_what_is_declared(two: Bench) -> None:
    workspace = two.workspace("workflow.1")
    assert "removed 2 files" in two.ok("prune", "-w", "workflow.1").err
    assert sorted(path.name for path in workspace.iterdir()) == ["in.txt", "out"]
    removed = two.ok("prune", "-w", "workflow.1", "--include-inputs", "--json").json()
    assert removed == {"deleted": {"in.txt": 3}, "failed": {}}
    two.ok("prune", "-w", "workflow.1", "--include-outputs")
    assert list(workspace.iterdir()) == []
    assert (two.workspace("workflow.2") / "out/text").exists()


def test_prune_is_refused_while_files_are_needed(bench: Bench) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO))
    bench.ok("submit")
    (bench.workspace() / "log").touch()
    said = bench.refused(ExitCode.CONFLICT, "prune", "-w", "workflow")
    assert "needs the files" in said
    assert (bench.workspace() / "log").exists()
    bench.ok("stop", "workflow")
