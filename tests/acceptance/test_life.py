"""The life of workflows: run, wait, stop, restart, delete, and the exit codes that scripts read."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.crash_points import CrashPoint
from gateway.errors import ExitCode
from tests.acceptance.bench import WAITS_FOR_GO, Bench, ended, step, until


def test_a_run_prints_its_outputs_and_nothing_else(bench: Bench) -> None:
    bench.write_spec(
        step("a", "mkdir plots && echo 1 > plots/a.txt"),
        step("b", "cat plots/a.txt > b.txt"),
        outputs={"files": ["b.txt", "never.txt"], "directories": ["plots"]},
    )

    result = bench.ok("run")

    workspace = bench.workspace()
    assert result.out.splitlines() == [str(workspace / "b.txt"), str(workspace / "plots")]
    assert "never.txt was not written" in result.err


def test_a_failing_command_ends_the_workflow(bench: Bench) -> None:
    bench.write_spec(
        step("first", "touch first"),
        step("second", "echo some words; echo bad news >&2; exit 3", "touch never"),
        step("third", "touch never"),
    )

    result = bench.run("run")

    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert "step 'second', command 1 of 2, failed: exit code 3" in result.err
    assert "  | some words" in result.err
    assert "  | bad news" in result.err
    assert "gateway explain" in result.err
    assert (bench.workspace() / "first").exists()
    assert not (bench.workspace() / "never").exists()
    view = bench.ok("status", "workflow", "--json").json()
    assert view["status"] == "failed"
    assert (view["progress"]["failed"], view["progress"]["finished"]) == (1, 1)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program --x", "command not found"),
        ("touch x; ./x", "not executable"),
        ("kill -SEGV $$$$", "signal 11"),
        ("if true; then", "syntax error"),
        ("cd /nosuch", "No such file or directory"),
        ("cat missing.txt", "missing.txt"),
    ],
)
def test_what_a_user_sees_of_a_broken_command(bench: Bench, command: str, words: str) -> None:
    bench.write_spec(step("broken", command))

    result = bench.run("run")

    assert result.code == ExitCode.FAILED
    assert words in result.err
    assert "step 'broken'" in result.err


def test_identical_steps_and_commands_all_run(bench: Bench) -> None:
    bench.write_spec(
        step("a", "echo x >> x", "echo x >> x"), step("a", "echo x >> x", "echo x >> x")
    )

    bench.ok("run")

    assert (bench.workspace() / "x").read_text() == "x\n" * 4


def test_progress_reaches_its_total(bench: Bench) -> None:
    bench.write_spec(step("a", "true", "true"), step("b", "true"))

    assert "3 of 3 jobs finished" in bench.ok("run").err
    progress = bench.ok("list", "--json").json()[0]["progress"]
    assert (progress["total"], progress["finished"]) == (3, 3)
    assert "3/3" in bench.ok("list").out


def test_created_then_started_then_waited_for(bench: Bench) -> None:
    (bench.here / "data.txt").write_text("some data")
    bench.write_spec(step("a", "cat data.txt"), inputs={"files": ["data.txt"]})

    assert bench.ok("create", "-w", "mine").out == "mine.1\n"
    assert bench.status("mine") == "created"
    bench.ok("upload", "-w", "mine")
    assert bench.ok("start", "mine").out == "mine.1\n"
    bench.ok("wait", "mine")

    assert "some data" in bench.ok("logs", "mine").out


def test_started_without_its_inputs_warns(bench: Bench) -> None:
    bench.write_spec(step("a", "true"), inputs={"files": ["data.txt"]})
    bench.ok("create")

    assert "data.txt" in bench.ok("start", "workflow").err


def test_names_of_runs(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    for _ in range(3):
        bench.ok("run", "-q", "-n", "fit")
    bench.ok("restart", "fit.2", "--follow")
    bench.ok("restart", "fit.2.1", "--follow")
    ids = {f"{e['name']}.{e['run_number']}": e["id"] for e in bench.ok("list", "--json").json()}

    assert sorted(ids) == ["fit.1", "fit.2", "fit.2.1", "fit.2.2", "fit.3"]
    for name, known in ids.items():
        for asked in (name, known, known.upper(), known.replace("-", "")):
            assert bench.ok("status", asked, "--json").json()["id"] == known
    assert bench.ok("status", "fit", "--json").json()["id"] == ids["fit.3"]
    for asked in ("fit.4", "fit.2.3", "fit.0", "fit.x", "fitt", ids["fit.1"][:8], "*", "%"):
        assert "no workflow" in bench.refused(ExitCode.NOT_FOUND, "status", asked)


def test_a_workflow_from_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write_spec(step("a", "echo words"))
    bench.ok("run", "-q", "-n", "fit")
    monkeypatch.setenv("REANA_WORKON", "fit.1")

    assert bench.ok("status", "--format", "STATUS").out.split() == ["STATUS", "finished"]
    assert "words" in bench.ok("logs").out
    assert "reana.yaml" in bench.ok("ls").out
    bench.ok("wait")


def test_wait_tells_by_its_exit_code(bench: Bench) -> None:
    bench.write_spec(step("a", "exit ${code}"), inputs={"parameters": {"code": 0}})

    assert bench.run("run", "-q").code == ExitCode.OK
    assert bench.run("run", "-q", "-p", "code=9").code == ExitCode.FAILED
    assert bench.run("wait", "workflow.1").code == ExitCode.OK
    assert bench.run("wait", "workflow.2").code == ExitCode.FAILED
    bench.ok("delete", "workflow.2")
    assert bench.run("wait", "workflow.2").code == ExitCode.STOPPED
    bench.refused(ExitCode.NOT_FOUND, "wait", "workflow.3")


@pytest.mark.parametrize("command", ["run", "wait"])
def test_timeout_leaves_the_workflow_alone(bench: Bench, command: str) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO))
    if command == "wait":
        bench.ok("submit")
    words = ["wait", "workflow"] if command == "wait" else ["run"]

    said = bench.refused(ExitCode.TIMED_OUT, *words, "--timeout", "0.3")

    assert "is still" in said
    (bench.workspace() / "go").touch()
    bench.ok("wait", "workflow")


def test_stop_of_a_running_workflow(bench: Bench) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO), step("b", "touch never"))
    bench.ok("submit")
    until(lambda: bench.ok("tick") and (bench.workspace() / "started").exists(), "the start")

    assert "being stopped" in bench.ok("stop", "workflow").err
    assert "being stopped" in bench.ok("status", "workflow").err
    result = bench.run("wait", "workflow")

    assert result.code == ExitCode.STOPPED
    assert "stopped on request" in result.err
    assert not (bench.workspace() / "never").exists()


def test_stop_before_anything_ran(bench: Bench) -> None:
    bench.write_spec(step("a", "touch never"))
    bench.ok("submit")

    bench.ok("stop", "workflow", "--wait")

    assert bench.status() == "stopped"
    assert not (bench.workspace() / "never").exists()


def test_stop_of_what_waits_for_room(bench: Bench) -> None:
    bench.write_site(clusters={"local": {"type": "local", "cpus": 1, "memory": "4 GiB"}})
    bench.write_spec(step("a", WAITS_FOR_GO))
    bench.ok("submit")
    until(lambda: bench.ok("tick") and (bench.workspace() / "started").exists(), "the start")
    bench.ok("submit", "-n", "second")
    bench.ok("tick")
    assert bench.status("second") in ("pending", "running")

    bench.ok("stop", "second", "--wait")

    assert bench.status("second") == "stopped"
    assert not (bench.workspace("second") / "started").exists()
    bench.ok("stop", "workflow", "--wait")


def test_stop_of_what_does_not_run(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("create")
    assert "nothing to stop" in bench.refused(ExitCode.CONFLICT, "stop", "workflow")
    bench.ok("start", "workflow", "--follow")
    assert "finished" in bench.refused(ExitCode.CONFLICT, "stop", "workflow")
    assert "finished" in bench.refused(ExitCode.CONFLICT, "start", "workflow")


def test_restart_with_other_parameters(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ${n} >> n.txt"), inputs={"parameters": {"n": 1}})
    bench.ok("run", "-q", "-p", "n=2")

    assert bench.ok("restart", "workflow", "-p", "n=3", "--follow").out == "workflow.1.1\n"

    assert (bench.workspace("workflow.1") / "n.txt").read_text() == "2\n3\n"
    assert bench.workspace("workflow.1.1") == bench.workspace("workflow.1")


def test_restart_from_and_up_to_a_step(bench: Bench) -> None:
    bench.write_spec(*(step(name, f"echo {name} >> ran") for name in "abcd"))
    bench.ok("run", "-q")

    bench.ok("restart", "workflow", "-o", "FROM=b", "-o", "TARGET=c", "--follow")

    assert (bench.workspace() / "ran").read_text().split() == list("abcd") + list("bc")


@pytest.mark.parametrize(
    ("option", "words"), [("FROM=e", "'e'"), ("TARGET=e", "'e'"), ("FRO=a", "did you mean 'FROM'")]
)
def test_restart_with_wrong_options_starts_nothing(bench: Bench, option: str, words: str) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")

    assert words in bench.refused(ExitCode.USAGE, "restart", "workflow", "-o", option)
    assert len(bench.ids()) == 1


def test_restart_with_a_changed_specification(bench: Bench) -> None:
    bench.write_spec(step("a", "false"))
    assert bench.run("run", "-q").code == ExitCode.FAILED
    bench.write_spec(step("a", "true"))

    bench.ok("restart", "workflow", "-f", "reana.yaml", "--follow")


def test_restart_of_what_still_runs(bench: Bench) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO))
    bench.ok("submit")

    said = bench.refused(ExitCode.CONFLICT, "restart", "workflow")

    assert "wait for it to end" in said
    bench.ok("stop", "workflow", "--wait")


def test_delete(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    for _ in range(3):
        bench.ok("run", "-q")
    workspaces = [bench.workspace(f"workflow.{run}") for run in (1, 2, 3)]

    assert "workflow.2" in bench.ok("delete", "workflow.2").err
    assert [path.exists() for path in workspaces] == [True, False, True]
    said = bench.refused(ExitCode.NOT_FOUND, "ls", "-w", "workflow.2")
    assert "deleted" in said
    assert "deleted" in bench.refused(ExitCode.CONFLICT, "restart", "workflow.2")
    bench.ok("delete", "workflow", "--include-all-runs")
    assert not any(path.exists() for path in workspaces)
    assert bench.ok("list", "--json").json() == []
    assert len(bench.ok("list", "--all", "--json").json()) == 3


def test_delete_keeps_a_workspace_that_a_restart_uses(bench: Bench) -> None:
    bench.write_spec(step("a", "true"))
    bench.ok("run", "-q")
    bench.ok("restart", "workflow", "--follow")

    bench.ok("delete", "workflow.1")
    assert bench.workspace("workflow.1.1").exists()
    bench.ok("delete", "workflow.1.1")
    assert not bench.workspace("workflow.1.1").exists()


def test_delete_of_what_runs(bench: Bench) -> None:
    bench.write_spec(step("a", WAITS_FOR_GO))
    bench.ok("submit")

    assert "gateway stop -w workflow.1" in bench.refused(ExitCode.CONFLICT, "delete", "workflow")
    assert bench.workspace().exists()
    bench.ok("stop", "workflow", "--wait")


def test_the_same_key_again_is_the_same_workflow(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ran >> ran"))

    first = bench.ok("submit", "--key", "k 1")
    again = bench.ok("submit", "--key", "k 1")
    bench.ok("run", "--key", "k 1")
    bench.ok("run", "--key", "k 1")

    assert first.out == again.out
    assert len(bench.ids()) == 1
    assert (bench.workspace() / "ran").read_text() == "ran\n"


@pytest.mark.parametrize(
    ("words", "differs"),
    [
        (("-p", "n=2"), "other parameters"),
        ((), "other parameters"),
        (("-p", "n=1", "--name", "other"), "another name"),
        (("-p", "n=1", "--cluster", "second"), "another cluster"),
        (("-p", "n=1", "-o", "TARGET=a"), "other options"),
        (("-p", "n=1", "-f", "other.yaml"), "another specification"),
    ],
)
def test_a_key_is_refused_for_another_order(
    bench: Bench, words: tuple[str, ...], differs: str
) -> None:
    """Else the outputs of one workflow would be taken for those of another."""
    local = {"type": "local", "cpus": 4}
    bench.write_site(clusters={"local": local, "second": local}, default_cluster="local")
    inputs = {"parameters": {"n": 0}}
    bench.write_spec(step("a", "echo ${n} > n"), inputs=inputs)
    bench.write_spec(step("a", "echo ${n} > m"), inputs=inputs, name="other.yaml")
    bench.ok("run", "-q", "--key", "k", "-p", "n=1")

    said = bench.refused(ExitCode.CONFLICT, "submit", "--key", "k", *words)

    assert "belongs to workflow.1" in said
    assert differs in said
    assert len(bench.ids()) == 1
    bench.ok("submit", "--key", "k", "-p", "n=1")


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_a_mistake_of_a_script(bench: Bench, key: str) -> None:
    bench.write_spec(step("a", "true"))

    assert "the key is empty" in bench.refused(ExitCode.USAGE, "submit", "--key", key)
    assert bench.ids() == []


def test_a_created_workflow_keeps_its_key_after_a_start_with_parameters(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ${n} > n"), inputs={"parameters": {"n": 0}})
    created = bench.ok("create", "--key", "k").out
    bench.ok("start", "workflow", "-p", "n=1", "--follow")

    assert bench.ok("create", "--key", "k").out == created


def test_the_same_key_from_many_processes_at_once(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ran >> ran"))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: bench.process("run", "-q", "--key", "job-7"), range(8)))

    assert [result.code for result in results] == [ExitCode.OK] * 8
    assert len(bench.ids()) == 1
    assert (bench.workspace() / "ran").read_text() == "ran\n"


def test_a_call_with_the_same_key_waits_while_another_one_brings_inputs_in(bench: Bench) -> None:
    """Else the slower one would bring an input in again that a job has changed or moved."""
    (bench.here / "data").mkdir()
    for number in range(10):
        (bench.here / "data" / str(number)).write_text("original\n")
    bench.write_spec(
        step("change", "for i in data/*; do echo changed > $$i; done; mv data/9 nine"),
        step("look", "sort -u data/* nine > seen; ls data | wc -l >> seen"),
        inputs={"directories": ["data"]},
    )
    words = ("run", "-q", "--key", "k")
    with ended(bench.start(*words, GATEWAY_PAUSE_AT=f"{CrashPoint.FILE_STAGED.name}:5")) as slow:
        until(lambda: is_stopped(slow.pid), "the pause")
        with ended(bench.start(*words)) as other:
            assert other.stderr is not None
            assert "waiting for it" in other.stderr.readline()
            assert bench.status() == "created"
            slow.send_signal(signal.SIGCONT)
            assert (slow.wait(60), other.wait(60)) == (ExitCode.OK, ExitCode.OK)

    assert (bench.workspace() / "seen").read_text() == "changed\n9\n"


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_of_two_starts_at_once_one_is_refused(bench: Bench) -> None:
    bench.write_spec(step("a", "echo ran >> ran"))
    bench.ok("create")
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: bench.process("start", "workflow").code, range(4)))

    assert sorted(codes) == [ExitCode.OK, *[ExitCode.CONFLICT] * 3]


def test_logs_while_it_runs_and_to_the_end(bench: Bench) -> None:
    bench.write_spec(
        step("a", f"echo early; ({WAITS_FOR_GO}); echo late"), step("b", "printf tail")
    )
    bench.ok("submit")
    with ended(bench.start("logs", "workflow", "--follow", PYTHONUNBUFFERED="1")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a | early\n"
        (bench.workspace() / "go").touch()
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "a | late\nb | tail\n")
    assert "Traceback" not in err


def test_followed_logs_say_nothing_twice(bench: Bench) -> None:
    bench.write_spec(step("a", "printf 'no end of line'"), step("b", "sleep 0.3; echo b"))
    bench.ok("submit")

    shown = bench.ok("logs", "workflow", "--follow").out

    assert shown == "a | no end of line\nb | b\n"
    both = bench.run("logs", "workflow", "--follow", "--json")
    assert (both.code, both.out) == (ExitCode.USAGE, "")


def test_logs_of_chosen_steps(bench: Bench) -> None:
    bench.write_spec(step("a", "echo one"), step("b", "echo two"))
    bench.ok("run", "-q")

    assert "one" not in bench.ok("logs", "workflow", "--step", "b").out
    said = bench.refused(ExitCode.NOT_FOUND, "logs", "workflow", "--step", "c")
    assert "steps so far: a, b" in said


def test_ctrl_c_detaches_and_wait_comes_back(bench: Bench) -> None:
    bench.write_spec(step("a", f"echo ran >> ran; {WAITS_FOR_GO}"))
    with ended(bench.start("run")) as process:
        until(bench.ids, "the workflow")
        until((bench.workspace() / "started").exists, "the job")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (ExitCode.DETACHED, "")
    assert "Traceback" not in err
    assert "gateway wait workflow.1" in err
    assert bench.status() == "running"
    (bench.workspace() / "go").touch()
    assert bench.run("wait", "workflow").code == ExitCode.OK
    assert (bench.workspace() / "ran").read_text() == "ran\n"
