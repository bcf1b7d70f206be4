from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from gateway.containers.credentials import Credentials, find_credentials, in_config


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, auths: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))


@pytest.mark.parametrize("prefix", ["APPTAINER", "SINGULARITY"])
def test_the_environment_wins(tmp_path: Path, prefix: str) -> None:
    write(tmp_path / ".docker/config.json", {"ghcr.io": entry("file", "x")})
    env = {f"{prefix}_DOCKER_USERNAME": "u", f"{prefix}_DOCKER_PASSWORD": "p"}
    assert find_credentials("ghcr.io", env, tmp_path) == Credentials("u", "p")
    del env[f"{prefix}_DOCKER_PASSWORD"]
    assert find_credentials("ghcr.io", env, tmp_path) == Credentials("file", "x")


def test_apptainers_file_comes_before_dockers(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"ghcr.io": entry("docker", "1:2")})
    assert find_credentials("ghcr.io", {}, tmp_path) == Credentials("docker", "1:2")
    write(tmp_path / ".apptainer/docker-config.json", {"ghcr.io": entry("apptainer", "y")})
    assert find_credentials("ghcr.io", {}, tmp_path) == Credentials("apptainer", "y")
    assert find_credentials("quay.io", {}, tmp_path) is None


def test_docker_may_keep_its_file_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/config.json", {"https://ghcr.io": entry("u", "p")})
    env = {"DOCKER_CONFIG": str(tmp_path / "elsewhere")}
    assert find_credentials("ghcr.io", env, tmp_path) == Credentials("u", "p")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_many_names(key: str) -> None:
    assert in_config({"auths": {key: entry("u", "p")}}, "docker.io") == Credentials("u", "p")
    assert in_config({"auths": {key: entry("u", "p")}}, "ghcr.io") is None


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"auths": []},
        {"auths": {"ghcr.io": None}},
        {"auths": {"ghcr.io": {}}},
        {"auths": {"ghcr.io": {"auth": 3}}},
        {"auths": {"ghcr.io": {"auth": "not base64!"}}},
        {"auths": {"ghcr.io": {"auth": base64.b64encode(b"nocolon").decode()}}},
        {"auths": {"ghcr.io": {"auth": base64.b64encode(b"\xff:\xff").decode()}}},
        {"auths": {"ghcr.io.evil.example": entry("u", "p")}},
    ],
)
def test_what_cannot_be_read_is_no_login(config: dict[str, object]) -> None:
    assert in_config(config, "ghcr.io") is None


def test_a_password_is_not_shown() -> None:
    assert "hidden" not in repr(Credentials("u", "hidden"))
