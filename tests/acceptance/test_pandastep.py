"""scripts/pandastep: one step of another system, which may be killed and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from gateway.errors import ExitCode
from tests.acceptance.bench import PROJECT, WAITS_FOR_GO, Bench, ended, step, until

SCRIPT = PROJECT / "scripts/pandastep"
LIMIT_S = 200
"""Not awaited when all is well: a dozen processes start in each test."""

pytestmark = pytest.mark.timeout(2 * LIMIT_S)


@pytest.fixture
def gateway(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the command ``gateway`` where the script looks for it."""
    command = bench.root / "gateway"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("GATEWAY", str(command))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return command


def pandastep(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), "--patience", "0", *words],
        cwd=bench.here,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def runs(bench: Bench) -> list[str]:
    return [each["status"] for each in bench.ok("list", "--all", "--json").json()]


OUT = {"files": ["out.txt"]}


@pytest.mark.usefixtures("gateway")
def test_the_outputs_are_there_and_the_same_key_gives_them_again(bench: Bench) -> None:
    bench.write_spec(step("s", "echo ${word} > out.txt"), outputs=OUT,
                     inputs={"parameters": {"word": "a"}})  # fmt: skip
    for _ in range(2):
        done = pandastep(bench, "--key", "7", "-p", "word=b", "--summary", "end.json", "reana.yaml")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        with tarfile.open(bench.here / "outputs.tar") as found:
            member = found.extractfile("out.txt")
            assert member is not None
            assert member.read() == b"b\n"
        (bench.here / "outputs.tar").unlink()
    assert json.loads((bench.here / "end.json").read_text())["status"] == "finished"
    assert runs(bench) == ["finished"]


@pytest.mark.usefixtures("gateway")
def test_a_failure_is_a_failure_with_its_log(bench: Bench) -> None:
    bench.write_spec(step("s", "echo out of luck; exit 3"), outputs=OUT)
    done = pandastep(bench, "--key", "7", "reana.yaml")
    assert done.returncode == ExitCode.FAILED
    assert "out of luck" in done.stderr
    assert not (bench.here / "outputs.tar").exists()


@pytest.mark.usefixtures("gateway")
def test_a_missing_output_is_a_failure(bench: Bench) -> None:
    bench.write_spec(step("s", "true"), outputs=OUT)
    done = pandastep(bench, "--key", "7", "reana.yaml")
    assert done.returncode == ExitCode.NOT_FOUND
    assert "out.txt" in done.stderr
    assert not (bench.here / "outputs.tar").exists()


@pytest.mark.usefixtures("gateway")
def test_time_that_is_over_is_said_and_the_next_run_goes_on(bench: Bench) -> None:
    bench.write_spec(step("s", WAITS_FOR_GO, "echo x > out.txt"), outputs=OUT)
    done = pandastep(bench, "--key", "7", "--timeout", "1", "reana.yaml")
    assert done.returncode == ExitCode.TIMED_OUT, done.stderr
    (workspace,) = (bench.shared / "workspaces").iterdir()
    (workspace / "go").touch()
    assert pandastep(bench, "--key", "7", "reana.yaml").returncode == 0
    assert runs(bench) == ["finished"]


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("stop", [False, True])
def test_a_killed_step_is_continued_or_stopped(bench: Bench, stop: bool) -> None:
    bench.write_spec(step("s", WAITS_FOR_GO, "echo x > out.txt"), outputs=OUT)
    words = [str(SCRIPT), "--key", "7", *(["--stop-on-signal"] if stop else []), "reana.yaml"]
    workspaces = bench.shared / "workspaces"
    started = subprocess.Popen(words, cwd=bench.here, stderr=subprocess.PIPE, text=True)
    with ended(started) as process:
        until(lambda: list(workspaces.glob("*/started")), "the job", LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
    (workspace,) = workspaces.iterdir()
    (workspace / "go").touch()
    again = pandastep(bench, "--key", "7", "reana.yaml")
    assert again.returncode == (ExitCode.STOPPED if stop else 0), again.stderr
    assert runs(bench) == ["stopped" if stop else "finished"]


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    "words", [[], ["reana.yaml"], ["--key", "7"], ["--key"], ["--key", "7", "--nope", "reana.yaml"]]
)
def test_wrong_usage_is_said_before_anything_happens(bench: Bench, words: list[str]) -> None:
    done = pandastep(bench, *words)
    assert done.returncode == ExitCode.USAGE
    assert "usage:" in done.stderr


def test_trouble_that_may_pass_is_passed_on_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = bench.root / "gateway"
    command.write_text("#!/bin/sh\necho no contact >&2\nexit 75\n")
    command.chmod(0o755)
    monkeypatch.setenv("GATEWAY", str(command))
    bench.write_spec(step("s", "true"))
    done = pandastep(bench, "--key", "7", "reana.yaml")
    assert done.returncode == ExitCode.UNREACHABLE
    assert [each.name for each in bench.here.iterdir()] == ["reana.yaml"]
