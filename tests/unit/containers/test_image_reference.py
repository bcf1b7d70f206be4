from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.containers.reference import PathImage, RegistryImage, parse_reference
from gateway.errors import UsageError

WORKSPACE, HOME = Path("/ws/a b"), Path("/home/alice")
DIGEST = "sha256:" + "0123456789abcdef" * 4


def parse(text: str) -> RegistryImage | PathImage:
    return parse_reference(text, workspace=WORKSPACE, home=HOME)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("  python:3.13-slim\n", "docker.io/library/python:3.13-slim"),
        ("library/python:3", "docker.io/library/python:3"),
        ("reanahub/x:1", "docker.io/reanahub/x:1"),
        ("docker.io/reanahub/x:1", "docker.io/reanahub/x:1"),
        ("docker.io/python", "docker.io/library/python:latest"),
        ("index.docker.io/library/python", "docker.io/library/python:latest"),
        ("registry-1.docker.io/a/b", "docker.io/a/b:latest"),
        ("registry.hub.docker.com/cmssw/el8:x86_64", "docker.io/cmssw/el8:x86_64"),
        ("docker://python:3", "docker.io/library/python:3"),
        ("DOCKER://ghcr.io/a/b", "ghcr.io/a/b:latest"),
        ("ghcr.io/a/b/c/d:v1.2_3-x", "ghcr.io/a/b/c/d:v1.2_3-x"),
        ("GHCR.io/a/b", "ghcr.io/a/b:latest"),
        ("gitlab-registry.cern.ch/g/sub/x:latest", "gitlab-registry.cern.ch/g/sub/x:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1"),
        ("[::1]:5000/x:1", "[::1]:5000/x:1"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3@{DIGEST}", f"docker.io/library/python:3@{DIGEST}"),
        (f"docker://ghcr.io/a/b:t@{DIGEST}", f"ghcr.io/a/b:t@{DIGEST}"),
        ("x/a__b.c---d/e_f", "docker.io/x/a__b.c---d/e_f:latest"),
    ],
)
def test_names_of_registries(text: str, name: str) -> None:
    image = parse(text)
    assert isinstance(image, RegistryImage)
    assert image.name == name
    assert image.written == text
    assert image.is_pinned == ("@" in name)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/images/x.sif", "/images/x.sif"),
        ("/images/../x.SIF", "/x.SIF"),
        ("~/x.img", "/home/alice/x.img"),
        ("~", "/home/alice"),
        ("x.sif", "/ws/a b/x.sif"),
        ("./x", "/ws/a b/x"),
        ("images/my image.sif", "/ws/a b/images/my image.sif"),
        ("../x.simg", "/ws/x.simg"),
        ("file:///images/x", "/images/x"),
        ("file://images/x", "/ws/a b/images/x"),
        ("/cvmfs/unpacked.cern.ch/registry.hub.docker.com/library/python:3",
         "/cvmfs/unpacked.cern.ch/registry.hub.docker.com/library/python:3"),
    ],
)  # fmt: skip
def test_paths(text: str, path: str) -> None:
    assert parse(text) == PathImage(text, path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("my image", "spaces"),
        ("python\x003", "control"),
        ("Python:3", "lower case"),
        ("reanahub/Env:1", "lower case"),
        ("Reanahub/env:1", "lower case"),
        ("python:3:4", "two colons"),
        ("python:", "tag"),
        ("python:-x", "tag"),
        ("python:" + "x" * 129, "tag"),
        ("python@sha256:123", "64 hexadecimal"),
        ("python@sha256:" + "G" * 64, "64 hexadecimal"),
        ("python@", "64 hexadecimal"),
        (f"python@{DIGEST}@{DIGEST}", "64 hexadecimal"),
        ("ghcr.io/", "no repository"),
        (":3", "no repository"),
        ("a//b", "''"),
        ("a/b/", "''"),
        ("-a/b", "'-a'"),
        ("${image}:1", "'${image}'"),
        ("user:password@host/x", "64 hexadecimal"),
        ("ho_st.example:5000/x", "registry"),
        ("0" * 64, "id of an image"),
        ("a/" * 130 + "a", "255"),
        ("oras://ghcr.io/a/b", "apptainer pull"),
        ("library://a/b", "apptainer pull"),
        ("shub://a/b", "apptainer pull"),
        ("https://hub.docker.com/_/python", "https://"),
        ("docker:///x", "path"),
        ("~bob/x.sif", "home directory"),
        ("/images/x\0.sif", "NUL"),
    ],
)
def test_what_is_no_image_is_said_in_words(text: str, word: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert word in raised.value.message + raised.value.hint


component = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
registries = st.sampled_from(["", "docker.io", "ghcr.io", "localhost", "h:1", "a.b.c:65535"])
tags = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))


@given(
    registry=registries,
    path=st.lists(component, min_size=1, max_size=3).map("/".join),
    tag=tags,
    digest=st.sampled_from(["", DIGEST]),
    scheme=st.sampled_from(["", "docker://"]),
)
def test_the_one_spelling_means_the_same_as_any_other(
    registry: str, path: str, tag: str, digest: str, scheme: str
) -> None:
    text = scheme + (f"{registry}/" if registry else "") + path
    text += (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    first, slash, _ = path.partition("/")
    assume(registry or not slash or not ("." in first or first == "localhost"))
    assume(not text.lower().endswith((".sif", ".simg", ".img")))
    image = parse(text)
    assert isinstance(image, RegistryImage)
    again = parse(image.name)
    assert isinstance(again, RegistryImage)
    assert again.name == image.name
    assert (image.digest, image.tag) == (digest, tag or ("" if digest else "latest"))
    if registry and registry != "docker.io":
        assert (image.registry, image.repository) == (registry, path)


@given(st.text(max_size=60))
def test_any_text_is_an_image_or_a_mistake_in_words(text: str) -> None:
    with contextlib.suppress(UsageError):
        image = parse(text)
        _check_is_safe(image)


def _check_is_safe(image: RegistryImage | PathImage) -> None:
    if isinstance(image, PathImage):
        assert image.path.startswith("/")
        return
    assert not set(image.name) & set(" \t\n'\"$`\\;|&<>*?()")
    assert not image.name.startswith("-")
