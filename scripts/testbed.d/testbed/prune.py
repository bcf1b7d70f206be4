"""Remove built layers that neither the recipe nor a running instance needs."""

from __future__ import annotations

import shutil

from .images import registry_layers
from .instance import all_instances
from .layers import cached, disk_use, say
from .node import node_layers
from .settings import FLAVOURS


def prune() -> None:
    """Hold the build lock."""
    flavours = list(FLAVOURS.values())
    wanted = {name for flavour in flavours for name in node_layers(flavour)}
    wanted |= set(registry_layers())
    in_use = "\n".join(instance.mounts() for instance in all_instances(flavours))
    for layer in cached():
        if layer.name not in wanted and f"/{layer.name}/" not in in_use:
            size = disk_use(layer)
            shutil.rmtree(layer)
            say(f"removed {layer.name} ({size / 1e6:.0f} MB)")
