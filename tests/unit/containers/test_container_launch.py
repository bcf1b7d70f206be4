from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.containers.launch import (
    HOME,
    LONGEST_COMMAND,
    build_fetch,
    build_launch,
    container_runtime,
)
from gateway.containers.reference import parse_registry_name
from gateway.errors import UsageError
from gateway.site.model import Containers
from gateway.vocabulary.image import ImageSource, ResolvedImage
from gateway.vocabulary.launch import CONTAINER, SCRATCH, JobSecrets, Launch

IMAGE = ResolvedImage("python:3", "/images/x.sif", ImageSource.STORE, "", 0.0)
ON_HOST = replace(IMAGE, path="", source=ImageSource.HOST)
WORKSPACE = Path("/shared/a workspace")
SECRETS_DIR = Path("/shared/secrets/gw1.0")


def launch(command: str = "true", image: ResolvedImage = IMAGE, **env: str) -> Launch:
    return build_launch(
        image, command, WORKSPACE, "uuid", "gw1.0", Containers(),
        gpus=False, cvmfs=False, user="alice", secrets=JobSecrets(env=env), secrets_dir=SECRETS_DIR,
    )  # fmt: skip


def binds(words: tuple[str, ...]) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words) if word == "--bind"]


def test_the_command_line_of_a_container() -> None:
    assert launch().runtime == (
        CONTAINER, "-s", "exec", "--cleanenv", "--no-eval", "--contain",
        "--home", f"{SCRATCH}/home:{HOME}",
        "--bind", f"{SCRATCH}/tmp:/tmp",
        "--bind", f"{SCRATCH}/tmp:/var/tmp",
        "--bind", "/shared/a workspace:/shared/a workspace",
        "--pwd", "/shared/a workspace",
        "/images/x.sif",
    )  # fmt: skip


def test_the_command_is_one_untouched_argument() -> None:
    command = "echo '$HOME' \"x\" `y`\n# end"
    assert launch(command).inner[-1] == command
    assert launch(command, ON_HOST).inner == ("bash", "-c", command)


@pytest.mark.parametrize("image", [IMAGE, ON_HOST])
def test_variables_travel_in_the_environment_only(image: ResolvedImage) -> None:
    built = launch("true", image, TOKEN="hidden-1")
    assert built.env == {
        "REANA_WORKSPACE": str(WORKSPACE),
        "REANA_WORKFLOW_UUID": "uuid",
        "GATEWAY_KEY": "gw1.0",
        "USER": "alice",
        "LOGNAME": "alice",
    }
    assert built.secrets.env == {"TOKEN": "hidden-1"}
    assert "hidden-1" not in repr(built)
    assert "hidden-1" not in " ".join((*built.runtime, *built.inner))
    assert built.workspace == str(WORKSPACE)


def test_the_workspace_is_bound_after_everything_that_may_lie_above_it() -> None:
    words = container_runtime(
        "/x.sif", WORKSPACE, ("/shared", "/data:/d:ro"), gpus=True, cvmfs=True
    )
    assert binds(words)[2:] == [
        "/cvmfs", "/shared", "/data:/d:ro", "/shared/a workspace:/shared/a workspace",
    ]  # fmt: skip
    assert "--nv" in words
    assert words[-1] == "/x.sif"


def test_secret_files_are_mounted_where_reana_has_them_or_named_on_the_host() -> None:
    secrets = JobSecrets(files={"proxy.pem": b"hidden-2"})
    options: dict[str, Any] = {"gpus": False, "cvmfs": False, "user": "alice"}
    options |= {"secrets": secrets, "secrets_dir": SECRETS_DIR}
    inside = build_launch(IMAGE, "true", WORKSPACE, "uuid", "gw1.0", Containers(), **options)
    assert binds(inside.runtime)[2:-1] == [f"{SECRETS_DIR}/files:/etc/reana/secrets:ro"]
    assert inside.env["REANA_SECRETS_DIR"] == "/etc/reana/secrets"
    outside = build_launch(ON_HOST, "true", WORKSPACE, "uuid", "gw1.0", Containers(), **options)
    assert outside.env["REANA_SECRETS_DIR"] == f"{SECRETS_DIR}/files"
    assert "hidden-2" not in repr((inside, outside))


@pytest.mark.parametrize("bind", ["/cvmfs", "/cvmfs/", "/mnt/cvmfs:/cvmfs:ro", "/"])
def test_cvmfs_is_not_bound_twice(bind: str) -> None:
    words = container_runtime("/x.sif", WORKSPACE, (bind,), gpus=False, cvmfs=True)
    assert binds(words)[2:-1] == [bind]


@pytest.mark.parametrize("bind", ["/cvmfs2", "/cvmfs/one.repository", "/x:/y"])
def test_other_binds_do_not_stand_for_cvmfs(bind: str) -> None:
    words = container_runtime("/x.sif", WORKSPACE, (bind,), gpus=False, cvmfs=True)
    assert binds(words)[2:-1] == ["/cvmfs", bind]


def test_commands_that_linux_would_not_pass_on_are_refused() -> None:
    launch("#" * LONGEST_COMMAND)
    subprocess.run(["true", "#" * LONGEST_COMMAND], check=True)
    with pytest.raises(UsageError, match="at most 131071"):
        launch("#" * (LONGEST_COMMAND + 1))
    with pytest.raises(UsageError, match="at most 131071"):
        launch("é" * (LONGEST_COMMAND // 2 + 1))
    with pytest.raises(UsageError, match="NUL"):
        launch("a\0b")


@pytest.mark.parametrize("path", ["/a:b", "/a,b", "/a\nb"])
def test_workspaces_that_a_bind_cannot_name_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="binds"):
        build_launch(
            IMAGE, "true", Path(path), "u", "k", Containers(),
            gpus=False, cvmfs=False, user="a", secrets=JobSecrets(), secrets_dir=SECRETS_DIR,
        )  # fmt: skip


def on_host(command: str, scratch: Path, host: dict[str, str], **env: str) -> str:
    built = launch(command, ON_HOST, **env)
    argv = [word.replace(SCRATCH, str(scratch)) for word in (*built.runtime, *built.inner)]
    ran = subprocess.run(
        argv, env={**host, **built.env, **env}, capture_output=True, check=True, cwd=scratch
    )
    assert ran.stderr == b""
    return ran.stdout.decode()


def test_the_host_runtime_hands_on_nothing_of_the_host(tmp_path: Path) -> None:
    host = {
        "PATH": "/usr/bin:/bin", "LEAK": "1", "HOME": "/root", "LD_PRELOAD": "", "IFS": "x",
        "BASH_FUNC_leak%%": "() { echo leaked; }", "keep": "1", "name": "2",
    }  # fmt: skip
    out = on_host("env -0", tmp_path, host, SECRET="a\n'$b")
    env = dict(item.partition("=")[::2] for item in out.split("\0") if item)
    for own in ("SHLVL", "PWD", "OLDPWD", "_"):
        env.pop(own, None)
    assert env == {
        "PATH": "/usr/bin:/bin",
        "HOME": f"{tmp_path}/home",
        "TMPDIR": f"{tmp_path}/tmp",
        "LANG": "C.UTF-8",
        "SECRET": "a\n'$b",
        **launch().env,
    }


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_value_reaches_a_command_on_the_host(value: str) -> None:
    host = {"PATH": "/usr/bin:/bin"}
    assert on_host('printf %s "$VALUE"', Path("/tmp"), host, VALUE=value) == value


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_the_shell_of_the_container_passes_the_command_on(text: str) -> None:
    command = f"printf %s {_quoted(text)}; exit 7"
    ran = subprocess.run(launch(command).inner, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout.decode(), ran.stderr) == (7, text, b"")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def test_without_bash_the_command_runs_in_sh(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    ran = subprocess.run(
        launch('echo "$0"; exit 4').inner,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (4, b"sh\n")


def test_a_fetch_keeps_the_environment_and_unpacks_in_scratch() -> None:
    image = parse_registry_name("docker.io/library/python:3", written="-odd")
    built = build_fetch(image, Path("/store"), Path("/r"), Containers(build_timeout=60))
    assert built.runtime == ("env", f"TMPDIR={SCRATCH}/tmp")
    assert built.inner[1:] == (
        "-m", "gateway.containers.fetch", "--reference=docker.io/library/python:3",
        "--written=-odd", "--store=/store", "--result=/r", "--timeout=60",
    )  # fmt: skip
    assert built.env == {}
