"""The images: root file systems packed and pushed into a registry that every instance serves."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError
from .layers import TREE, Layer, debian, digest, find, on_top, publish
from .process import apart, run
from .settings import RECIPE

CATALOGUE = RECIPE / "images.toml"
SCRIPTS = RECIPE / "images"


@dataclass(frozen=True)
class Base:
    """A root file system that images start from."""

    name: str
    suite: str
    packages: tuple[str, ...]
    shell: tuple[str, ...]
    command: str
    variant: str = "minbase"

    @property
    def script(self) -> Path:
        return SCRIPTS / f"{self.name}.sh"

    @property
    def layer(self) -> str:
        key = digest("2", self.suite, self.variant, *self.packages, *self.shell, self.script)
        return f"image-{self.name}-{key}"


@dataclass(frozen=True)
class Image:
    """What is served under some names."""

    names: tuple[str, ...]
    base: Base
    pip: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.names[0].rpartition("/")[2].partition(":")[0]

    @property
    def layer(self) -> str:
        """Name of the topmost layer."""
        if not self.pip:
            return self.base.layer
        return f"image-{self.label}-{digest(self.base.layer, SCRIPTS / 'pip.sh', *self.pip)}"


def catalogue() -> list[Image]:
    try:
        data = tomllib.loads(CATALOGUE.read_text())
        bases = {
            name: Base(
                name,
                suite=entry["suite"],
                packages=tuple(entry["packages"]),
                shell=tuple(entry["shell"]),
                command=entry["command"],
                variant=entry.get("variant", "minbase"),
            )
            for name, entry in data["base"].items()
        }
        return [
            Image(tuple(entry["names"]), bases[entry["base"]], tuple(entry.get("pip", ())))
            for entry in data["image"]
        ]
    except (KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError) as error:
        raise TestbedError(f"{CATALOGUE}: {type(error).__name__}: {error}") from error


def _registry_name(images: list[Image]) -> str:
    texts = [" ".join((*image.names, image.base.command, image.layer)) for image in images]
    return f"registry-{digest(SCRIPTS / 'pack.sh', *texts)}"


def _storage(name: str) -> Path:
    return find(name) / TREE / "srv" / "registry"


def find_registry() -> Path | None:
    """Storage of the registry as the catalogue wants it now, if it has been built."""
    storage = _storage(_registry_name(catalogue()))
    return storage if storage.exists() else None


def registry_layers() -> list[str]:
    """Names of the layers that the catalogue wants."""
    images = catalogue()
    used = {name for image in images for name in (image.base.layer, image.layer)}
    return [*used, _registry_name(images)]


def build_registry(tools: Layer) -> Path:
    """Build what is missing, with the programs of a node. Hold the build lock."""
    images = catalogue()
    shares: dict[str, Path] = {}
    lines = []
    for image in images:
        layers = [_build_base(image.base)]
        if image.pip:
            layers.append(_build_wheels(image, layers[0]))
        shares |= {layer.name: layer / TREE for layer in layers}
        names = [layer.name for layer in layers]
        lines.append(" ".join([",".join(image.names), image.base.command, *names]))
    name = _registry_name(images)
    publish(name, "the registry of images", lambda work: _pack(work, tools, shares, lines))
    return _storage(name)


def _build_base(base: Base) -> Path:
    def build(work: Path) -> None:
        tree = work / TREE
        debian(tree, base.suite, base.packages, base.variant)
        (tree / "tmp").mkdir(exist_ok=True)
        inside = tree / "tmp" / "setup"
        inside.write_bytes(base.script.read_bytes())
        run(
            [*apart(), "chroot", tree, *base.shell, "/tmp/setup"],
            f"setup of the {base.name} base image",
        )
        inside.unlink()

    return publish(base.layer, f"the {base.name} base image", build)


def _build_wheels(image: Image, base: Path) -> Path:
    def build(work: Path) -> None:
        on_top(work, [base / TREE], ["bash", "/run/recipe/images/pip.sh", *image.pip])
        _strip(work / TREE)

    return publish(image.layer, f"the image {image.names[0]}", build)


def _strip(tree: Path) -> None:
    """Remove the overlay file system's own marks, which mean nothing in an image."""
    for directory, _, files in os.walk(tree):
        for name in files:
            path = Path(directory) / name
            if stat.S_ISCHR(path.lstat().st_mode):
                path.unlink()
        for path in (Path(directory), *(Path(directory) / name for name in files)):
            for mark in os.listxattr(path, follow_symlinks=False):
                if mark.startswith("trusted.overlay."):
                    os.removexattr(path, mark, follow_symlinks=False)


def _pack(work: Path, tools: Layer, shares: Mapping[str, Path], lines: list[str]) -> None:
    plan = work / "plan"
    plan.write_text("".join(line + "\n" for line in lines))
    on_top(
        work,
        tools.stack,
        ["bash", "/run/recipe/images/pack.sh"],
        network=False,
        shares={**shares, "work": plan},
    )
