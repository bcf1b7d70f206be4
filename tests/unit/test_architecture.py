"""The shape of the code: which package may know which, and how large things may be.

docs/architecture.md says why. A rule names what a package may import of ours besides itself.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gateway"
HEAVY = (
    "sqlalchemy", "alembic", "pydantic", "yaml", "fabric", "rich", "fastapi", "uvicorn", "httpx2",
    "cryptography",
)  # fmt: skip
MOST_LINES_OF_FILE = 400
MOST_LINES_OF_FUNCTION = 60
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

WORDS = ("vocabulary", "errors", "quoting", "crash_points", "__version__")
EVERYTHING = ("",)
RULES: dict[str, tuple[str, ...]] = {
    "vocabulary": (),
    "errors": (),
    "quoting": (),
    "crash_points": (),
    "documents": WORDS,
    "site": (*WORDS, "documents"),
    "spec": (*WORDS, "documents", "site.model"),
    "engines": (*WORDS, "spec"),
    "transport": (*WORDS, "site.model"),
    "submitters": (*WORDS, "site.model", "transport.base"),
    "containers": (*WORDS, "site.model"),
    "workspace": (*WORDS, "site.model"),
    "store": (*WORDS, "site.model"),
    "core": (
        *WORDS, "engines.base", "submitters.base", "submitters.control", "store", "site.model",
    ),
    "service": (
        *WORDS, "core", "spec", "store", "workspace", "documents", "site", "submitters.control",
    ),
    "composition": EVERYTHING,
    "api": (*WORDS, "composition", "service", "spec.load", "workspace"),
    "cli": (
        *WORDS, "composition", "service", "core", "site", "spec", "documents",
        "workspace", "api.application", "api.connection", "api.server", "client",
    ),
    "client": (*WORDS, "site", "spec.load", "workspace.inputs", "transport.login"),
    "testing": (*WORDS, "submitters.base", "submitters.control"),
    "__main__": ("cli",),
    "__init__": (),
}  # fmt: skip
NEVER_IMPORTED = {
    "cli": ("cli", "__main__"),
    "composition": ("cli", "api", "composition"),
    "api": ("cli",),
    "testing": (),
}
"""Parts that only these others may import."""


def part_of(module: str) -> str:
    """Return the part that a dotted path below ``gateway`` belongs to."""
    return module.partition(".")[0]


def module_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(inside[:-1] if inside[-1] == "__init__" and len(inside) > 1 else inside)


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a file imports of ours, as dotted paths below ``gateway``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "gateway")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            base = node.module or ""
            if base.split(".")[0] == "gateway":
                yield from (f"{base}.{alias.name}" for alias in node.names)


def below(name: str, allowed: str) -> bool:
    return not allowed or name == allowed or name.startswith(f"{allowed}.")


def broken_rules(path: Path) -> list[str]:
    part = part_of(module_of(path))
    found = []
    for full in imports_of(path):
        name = full.removeprefix("gateway").removeprefix(".")
        mine = part_of(name) == part
        guarded = NEVER_IMPORTED.get(part_of(name))
        if not mine and not any(below(name, allowed) for allowed in RULES[part]):
            found.append(f"{path.relative_to(ROOT)}: {part} may not import {full}")
        if not mine and guarded is not None and part not in guarded:
            found.append(f"{path.relative_to(ROOT)}: only {guarded} may import {full}")
    return found


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_part_has_a_rule() -> None:
    assert {part_of(module_of(path)) for path in sources()} <= set(RULES)


def test_imports_point_inward() -> None:
    assert [wrong for path in sources() for wrong in broken_rules(path)] == []


def test_a_wrong_import_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "gateway" / "store" / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(
        "from gateway.vocabulary.records import Job\n"
        "def late():\n"
        "    from gateway.workspace import walk\n"
        "    from gateway.composition.app import App\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "gateway")
    found = broken_rules(wrong)
    assert len(found) == 3
    assert "store may not import gateway.workspace.walk" in found[0]


def test_submitters_do_not_know_each_other() -> None:
    wrong = []
    for path in (PACKAGE / "submitters").glob("*/*.py"):
        others = {"local", "slurm", "htcondor"} - {path.parent.name}
        wrong += [
            f"{path.relative_to(ROOT)}: {name}"
            for name in imports_of(path)
            for other in others
            if below(name, f"gateway.submitters.{other}")
        ]
    assert wrong == []


def test_sql_is_spoken_in_the_store_only() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
        and any(
            name.split(".")[0] in ("sqlalchemy", "alembic", "sqlite3", "psycopg")
            for name in _foreign_names(node)
        )
        and part_of(module_of(path)) != "store"
    ]
    assert wrong == []


def _foreign_names(node: ast.ImportFrom | ast.Import) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def test_names_say_something() -> None:
    names = {path.stem for path in sources()} | {path.parent.name for path in sources()}
    assert names.isdisjoint(NAMES_THAT_SAY_NOTHING)


def test_files_and_functions_stay_small() -> None:
    large = []
    for path in sources():
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > MOST_LINES_OF_FILE:
            large.append(f"{path.relative_to(ROOT)}: {lines} lines")
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                if lines > MOST_LINES_OF_FUNCTION:
                    large.append(f"{path.relative_to(ROOT)}: {node.name}: {lines} lines")
    assert large == []


def test_starting_the_command_line_loads_nothing_heavy() -> None:
    script = (
        "import sys, gateway.cli.main\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
