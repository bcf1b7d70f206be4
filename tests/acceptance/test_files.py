"""Files of a workspace: what goes in, comes out, and never leads out."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import Bench, step

OUTSIDE = [
    "../secret",
    "../../secret",
    "a/../../secret",
    "a/../../../../../../etc/passwd",
    "link-out",
]


@pytest.fixture
def done(bench: Bench) -> Bench:
    """A workflow with some files, and a link that leads out."""
    bench.write_spec(
        step("a", "true"), outputs={"files": ["out/one.txt"], "directories": ["out/deep"]}
    )
    bench.ok("create")
    workspace = bench.workspace()
    (workspace / "out" / "deep").mkdir(parents=True)
    for name, text in {"out/one.txt": "1", "out/deep/two.txt": "2", "run.log": "log"}.items():
        (workspace / name).write_text(f"{text}\n")
    (workspace / "old.csv").touch()
    os.utime(workspace / "old.csv", (0, 1_577_934_245))
    for directory in (bench.shared, workspace.parent):
        (directory / "secret").write_text("not yours")
    (workspace / "link-out").symlink_to(workspace.parent / "secret")
    return bench


def everything_in(directory: Path) -> str:
    """Return the texts of all files."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return "".join(path.read_text("utf-8", "replace") for path in files)


@pytest.mark.parametrize("name", [*OUTSIDE, "/etc/passwd"])
@pytest.mark.parametrize(
    "words",
    [
        ("ls", "-w", "workflow", "NAME"),
        ("download", "-w", "workflow", "NAME"),
        ("download", "-w", "workflow", "NAME", "-o", "-"),
        ("download", "-w", "workflow", "NAME", "--tar", "x.tar"),
        ("download", "-w", "workflow", "NAME", "--zip", "x.zip"),
        ("rm", "-w", "workflow", "NAME"),
        ("mv", "-w", "workflow", "NAME", "mine"),
        ("mv", "-w", "workflow", "run.log", "NAME"),
    ],
    ids=" ".join,
)
def test_no_name_leads_out_of_the_workspace(done: Bench, words: tuple[str, ...], name: str) -> None:
    result = done.run(*(word.replace("NAME", name) for word in words))

    assert "not yours" not in result.out
    assert "root:" not in result.out
    assert (done.shared / "secret").read_text() == "not yours"
    assert (done.shared / "workspaces" / "secret").read_text() == "not yours"
    assert Path("/etc/passwd").exists()
    if name != "link-out" and words[0] != "ls":
        assert result.code in (ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.CONFLICT)
        assert len(result.errors) == 1
        assert (done.workspace() / "run.log").exists()
    assert "not yours" not in everything_in(done.here)


@pytest.mark.parametrize("command", ["ls", "download", "rm", "mv", "du", "upload"])
def test_file_commands_of_a_workflow_that_does_not_exist(bench: Bench, command: str) -> None:
    words = {"rm": ["x"], "mv": ["x", "y"]}.get(command, [])

    assert "no workflow" in bench.refused(ExitCode.NOT_FOUND, command, "-w", "nosuch", *words)
    assert "REANA_WORKON" in bench.refused(ExitCode.USAGE, command, *words)


def test_download_of_the_declared_outputs(done: Bench) -> None:
    result = done.ok("download", "-w", "workflow")

    assert result.out == ""
    assert (done.here / "out/one.txt").read_text() == "1\n"
    assert (done.here / "out/deep/two.txt").read_text() == "2\n"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("out", {"out/one.txt", "out/deep/two.txt"}),
        ("out/*.txt", {"out/one.txt"}),
        ("**/*.txt", {"out/one.txt", "out/deep/two.txt"}),
        ("run.log", {"run.log"}),
        ("./out/deep/", {"out/deep/two.txt"}),
    ],
)
def test_download_of_chosen_files(done: Bench, pattern: str, names: set[str]) -> None:
    done.ok("download", "-w", "workflow", pattern, "-o", "got here")

    got = done.here / "got here"
    assert {str(p.relative_to(got)) for p in got.rglob("*") if p.is_file()} == names


def test_download_to_stdout(done: Bench) -> None:
    result = done.process("download", "-w", "workflow", "out/one.txt", "-o", "-")

    assert (result.out, result.err) == ("1\n", "")
    assert done.ok("download", "-w", "workflow", "-o", "-").out == "1\n2\n"


def test_download_as_archives(done: Bench) -> None:
    assert "2 files" in done.ok("download", "-w", "workflow", "--tar", "all.tar").err
    done.ok("download", "-w", "workflow", "*.log", "out", "--zip", "all.zip")

    with tarfile.open(done.here / "all.tar") as tar:
        assert sorted(tar.getnames()) == ["out/deep/two.txt", "out/one.txt"]
    with zipfile.ZipFile(done.here / "all.zip") as archive:
        assert sorted(archive.namelist()) == ["out/deep/two.txt", "out/one.txt", "run.log"]


def test_download_of_missing_files_names_them_and_fetches_the_rest(done: Bench) -> None:
    said = done.refused(
        ExitCode.NOT_FOUND, "download", "-w", "workflow", "run.log", "nosuch.txt", "*.root"
    )

    assert "nosuch.txt, *.root" in said
    assert "gateway ls -w workflow.1" in said
    assert (done.here / "run.log").exists()


@pytest.mark.parametrize("option", ["--tar", "--zip"])
def test_an_archive_that_fails_leaves_nothing(done: Bench, option: str) -> None:
    (done.here / "kept").write_text("mine")

    assert "nosuch" in done.refused(
        ExitCode.NOT_FOUND, "download", "-w", "workflow", "nosuch", option, "kept"
    )
    done.refused(ExitCode.USAGE, "download", "-w", "workflow", option, "nowhere/x")
    assert (done.here / "kept").read_text() == "mine"
    assert sorted(path.name for path in done.here.iterdir()) == ["kept", "reana.yaml"]


def test_outputs_that_were_declared_and_not_written(bench: Bench) -> None:
    bench.write_spec(step("a", "true"), outputs={"files": ["never.txt"]})

    assert "never.txt was not written" in bench.ok("run").err
    assert "never.txt" in bench.refused(ExitCode.NOT_FOUND, "download", "-w", "workflow")


def test_download_without_declared_outputs(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")

    assert "declares no outputs" in bench.refused(ExitCode.USAGE, "download", "-w", "workflow")


def test_download_to_where_nothing_can_be_written(done: Bench) -> None:
    (done.here / "file").write_text("mine")

    said = done.refused(ExitCode.USAGE, "download", "-w", "workflow", "run.log", "-o", "file/below")

    assert "file/below/run.log" in said
    assert (done.here / "file").read_text() == "mine"


def test_upload_keeps_relative_paths(done: Bench) -> None:
    (done.here / "code/sub").mkdir(parents=True)
    (done.here / "code/sub/fit.py").write_text("fit")
    (done.here / "two words.txt").write_text("x")
    (done.root / "elsewhere.txt").write_text("x")
    workspace = done.workspace()

    done.ok("upload", "-w", "workflow", "code", "two words.txt")
    done.ok("upload", "-w", "workflow", "code/../two words.txt", str(done.here / "reana.yaml"))
    done.ok("upload", "-w", "workflow", "../elsewhere.txt")

    assert (workspace / "code/sub/fit.py").read_text() == "fit"
    assert (workspace / "two words.txt").exists()
    assert (workspace / str(done.root / "elsewhere.txt").lstrip("/")).exists()
    assert not (workspace.parent / "elsewhere.txt").exists()


def test_upload_replaces_and_never_follows_a_link_out(done: Bench) -> None:
    (done.here / "link-out").write_text("new")

    done.ok("upload", "-w", "workflow", "link-out")

    assert (done.workspace() / "link-out").read_text() == "new"
    assert (done.shared / "workspaces" / "secret").read_text() == "not yours"


@pytest.mark.parametrize("kind", ["missing", "fifo", "loop", "device"])
def test_upload_of_what_is_no_file(done: Bench, kind: str) -> None:
    odd = done.here / "odd"
    if kind == "fifo":
        os.mkfifo(odd)
    if kind == "loop":
        odd.symlink_to(odd)
    name = "/dev/null" if kind == "device" else "odd"

    result = done.run("upload", "-w", "workflow", name)

    assert result.code == (ExitCode.NOT_FOUND if kind == "missing" else ExitCode.USAGE)
    assert name in result.errors[0]


def test_upload_of_a_missing_file_uploads_nothing(done: Bench) -> None:
    (done.here / "a.txt").write_text("x")

    done.refused(ExitCode.NOT_FOUND, "upload", "-w", "workflow", "a.txt", "nosuch.txt")

    assert not (done.workspace() / "a.txt").exists()


def test_upload_of_an_empty_directory(done: Bench) -> None:
    (done.here / "empty").mkdir()

    assert "nothing was uploaded" in done.ok("upload", "-w", "workflow", "empty").err


def test_rm(done: Bench) -> None:
    assert "removed run.log (4 Bytes)" in done.ok("rm", "-w", "workflow", "*.log").err
    assert "nosuch" in done.refused(ExitCode.NOT_FOUND, "rm", "-w", "workflow", "nosuch")
    done.refused(ExitCode.USAGE, "rm", "-w", "workflow", "")
    assert (done.workspace() / "out/one.txt").exists()
    done.ok("rm", "-w", "workflow", "link-out")
    assert (done.shared / "workspaces" / "secret").exists()


def test_mv(done: Bench) -> None:
    workspace = done.workspace()

    done.ok("mv", "-w", "workflow", "run.log", "new.log")
    done.ok("mv", "-w", "workflow", "new.log", "out")

    assert (workspace / "out/new.log").exists()
    assert "nosuch" in done.refused(ExitCode.NOT_FOUND, "mv", "-w", "workflow", "nosuch", "x")
    done.refused(ExitCode.NOT_FOUND, "mv", "-w", "workflow", "out", "nodir/x")
    done.refused(ExitCode.CONFLICT, "mv", "-w", "workflow", "out", "out/deep")
    assert (workspace / "out/deep/two.txt").exists()


def test_ls(done: Bench) -> None:
    everything = {row["name"]: row for row in done.ok("ls", "-w", "workflow", "--json").json()}

    assert everything["out/one.txt"]["size"] == 2
    assert everything["old.csv"]["last_modified"].startswith("2020-01-02")
    assert "reana.yaml" in everything
    listed = done.ok("ls", "-w", "workflow", "--format", "name", "--filter", "name=TWO").out
    assert listed.split() == ["NAME", "out/deep/two.txt"]
    modified = done.ok("ls", "-w", "workflow", "--filter", "last-modified=2020-01", "--json").json()
    assert [row["name"] for row in modified] == ["old.csv"]
    assert "no file fits" in done.ok("ls", "-w", "workflow", "*.nosuch").err
    assert "name=" in done.refused(ExitCode.USAGE, "ls", "-w", "workflow", "--filter", "nam=x")
    assert "columns" in done.refused(ExitCode.USAGE, "ls", "-w", "workflow", "--format", "nam")


def test_du(done: Bench) -> None:
    assert done.ok("du", "-w", "workflow", "-s", "--json").json()[0]["size"] > 0
    assert "KiB" in done.ok("du", "-w", "workflow", "-h").out


def test_nothing_of_the_gateway_lies_in_the_workspace(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")

    assert [row["name"] for row in bench.ok("ls", "-w", "workflow", "--json").json()] == [
        "reana.yaml"
    ]
