"""Which keys a model knows at a place, from its JSON schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.documents.document import Path

KEY_MARK = "[key]"
"""pydantic's last part of the location when a key, not its value, is wrong."""


@dataclass(frozen=True, slots=True)
class Located:
    """A place in the data, and the keys that the mapping around it may have."""

    path: Path
    siblings: tuple[str, ...]


class Schema:
    """A JSON schema that can be walked along pydantic's error locations."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._definitions: dict[str, Any] = schema.get("$defs", {})

    def locate(self, location: Path) -> Located:
        """Turn an error location into a path in the data.

        The two differ where a union is decided by a key (``clusters.a.slurm.partition``): the
        location then names the branch, which does not stand in the data.
        """
        node, path, siblings = self._resolve(self._root), [], ()
        for part in location:
            branch = self._tagged(node, part)
            if branch is not None:
                node = branch
            elif part != KEY_MARK:
                siblings = tuple(node.get("properties", ()))
                path.append(part)
                node = self._child(node, part)
        return Located(tuple(path), siblings)

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = self._definitions[node["$ref"].rsplit("/", 1)[-1]]
        return node

    def _tagged(self, node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
        target = node.get("discriminator", {}).get("mapping", {}).get(part)
        return None if target is None else self._resolve({"$ref": target})

    def _child(self, node: dict[str, Any], part: str | int) -> dict[str, Any]:
        found: Any = None
        if isinstance(part, int):
            found = node.get("items")
        else:
            found = node.get("properties", {}).get(part, node.get("additionalProperties"))
        return self._without_null(self._resolve(found)) if isinstance(found, dict) else {}

    def _without_null(self, node: dict[str, Any]) -> dict[str, Any]:
        choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
        return self._resolve(choices[0]) if len(choices) == 1 else node
