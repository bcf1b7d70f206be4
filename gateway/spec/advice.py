"""Warnings: what works, and is probably not what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.spec.load import LoadedSpec
from gateway.spec.places import STEPS, command_path, describe, step_label
from gateway.spec.substitution import names

_MOVING_TAGS = ("latest", "master")
_DANGEROUS = (
    (re.compile(r"(?<![\w-])sudo\s"), "uses sudo, which containers of ordinary users do not have"),
    (re.compile(r"(?<![\w-])cd\s+/(?=[\s;&|)]|$)"), "goes to '/', outside the workspace"),
)


def remarks(loaded: LoadedSpec, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield warnings about a serial workflow."""
    yield from _unused_parameters(loaded)
    yield from _images(loaded)
    yield from _user_ids(loaded)
    yield from _dangerous_commands(loaded)
    if "CACHE" in options:
        yield "option CACHE: has no effect; REANA's job cache is switched off as well"


def _unused_parameters(loaded: LoadedSpec) -> Iterator[str]:
    commands = (command for step in loaded.specification.steps for command in step.commands)
    used = frozenset[str]().union(*(names(command) for command in commands))
    for name in loaded.specification.inputs.parameters:
        if name not in used:
            prefix = loaded.document.prefix(("inputs", "parameters", name), key=True)
            yield f"{prefix}inputs.parameters.{name}: is used in no command"


def _images(loaded: LoadedSpec) -> Iterator[str]:
    for step in loaded.specification.steps:
        concern = image_concern(step.image)
        if concern:
            path = (*STEPS, step.index, "environment")
            yield f"{loaded.document.prefix(path)}{describe(path, loaded.document.data)}: {concern}"


def image_concern(image: str) -> str:
    """Return why an image may be another one tomorrow, or an empty string."""
    name = image.split("://", 1)[-1]
    if name.startswith((".", "/")) or name.endswith(".sif") or "@" in name:
        return ""
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    if not tag:
        return f"'{image}' has no tag; the registry's 'latest' may change any day"
    return f"the tag of '{image}' may change any day" if tag in _MOVING_TAGS else ""


def _user_ids(loaded: LoadedSpec) -> Iterator[str]:
    for step in loaded.specification.steps:
        path = (*STEPS, step.index, "kubernetes_uid")
        keys = loaded.document.data["workflow"]["specification"]["steps"][step.index]
        if keys.get("kubernetes_uid") is not None:
            prefix = loaded.document.prefix(path, key=True)
            label = describe(path, loaded.document.data)
            yield f"{prefix}{label}: has no effect, jobs run under your own user id"


def _dangerous_commands(loaded: LoadedSpec) -> Iterator[str]:
    for step in loaded.specification.steps:
        for index, command in enumerate(step.commands):
            for pattern, concern in _DANGEROUS:
                if pattern.search(command):
                    prefix = loaded.document.prefix(command_path(step.index, index))
                    label = step_label(loaded.document.data, step.index)
                    yield f"{prefix}{label}, command {index + 1}: {concern}"
