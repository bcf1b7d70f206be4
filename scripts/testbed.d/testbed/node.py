"""The node's root file system: Debian packages, a Python environment, configuration."""

from __future__ import annotations

from pathlib import Path

from .layers import TREE, Layer, debian, digest, find, on_top, publish
from .settings import RECIPE, Flavour


def packages(flavour: Flavour) -> list[str]:
    lines = (RECIPE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")] + list(flavour.packages)


def build_node(flavour: Flavour) -> Layer:
    """The topmost layer of the node, building what is missing. Hold the build lock."""
    layers: list[Path] = []
    for name, what, command in _steps(flavour):
        below = [layer / TREE for layer in reversed(layers)]

        def build(work: Path, below: list[Path] = below, command: list[str] = command) -> None:
            if command:
                on_top(work, below, command, network=not command[-1].endswith("/node.sh"))
            else:
                debian(work / TREE, flavour.name, packages(flavour))

        layers.append(publish(name, what, build))
    return _stack(layers)


def find_node(flavour: Flavour) -> Layer | None:
    """The node as the recipe wants it now, if it has been built."""
    layers = [find(name) for name in node_layers(flavour)]
    return _stack(layers) if all(layer.exists() for layer in layers) else None


def node_layers(flavour: Flavour) -> list[str]:
    """Names of the layers that the recipe wants."""
    return [name for name, _, _ in _steps(flavour)]


def _stack(layers: list[Path]) -> Layer:
    *below, top = layers
    return Layer(top, tuple(layer / TREE for layer in reversed(below)))


def _steps(flavour: Flavour) -> list[tuple[str, str, list[str]]]:
    """Name, description and command of each layer, lowest first; names follow the contents."""
    key = digest("1", flavour.name, *packages(flavour))
    steps: list[tuple[str, str, list[str]]] = [
        (f"{flavour.name}-packages-{key}", f"the {flavour.name} packages (about a minute)", [])
    ]
    scripts: list[tuple[str, list[Path]]] = [
        *((script, []) for script in flavour.extra_steps),
        ("venv.sh", [RECIPE / "requirements.txt"]),
        ("node.sh", [RECIPE / "node"]),
    ]
    for script, inputs in scripts:
        path = RECIPE / "steps" / script
        key = digest(key, path, *inputs)
        kind = path.stem
        command = ["bash", f"/run/recipe/steps/{script}"]
        steps.append((f"{flavour.name}-{kind}-{key}", f"{flavour.name}: {kind}", command))
    return steps
