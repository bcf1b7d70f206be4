"""The tests that docs/guarantees.md calls proofs exist, where it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
NAMED = re.compile(r"`(tests/[\w./]+\.py)`|`(test_\w+)`")


def proofs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each test that is named, with the file that was named last before it."""
    file = ""
    for match in NAMED.finditer(text):
        file = match[1] or file
        if match[2]:
            yield file, match[2]


PROOFS = list(proofs(PAGE.read_text()))


def functions(path: Path) -> set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }  # fmt: skip


@pytest.mark.parametrize(("file", "name"), PROOFS)
def test_a_proof_exists(file: str, name: str) -> None:
    assert name in functions(ROOT / file)


def test_every_promise_has_its_limits() -> None:
    sections = PAGE.read_text().split("\n## ")[1:]
    titles = [section.partition(":")[0] for section in sections]
    assert titles == [f"P{number}" for number in range(1, 9)]
    without = [s[:2] for s in sections if "**Limits.**" not in s]
    assert without == []
    assert len(PROOFS) > 20
