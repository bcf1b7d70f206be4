"""The documentation: what is made from the code is up to date, and what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS
from gateway.vocabulary.evidence import Outcome
from gateway.vocabulary.states import AttemptState, JobState, SubmissionState, WorkflowStatus

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
OWN_PATH = re.compile(
    r"(?<![\w/.~$}-])((?:gateway|scripts|tests|docs|configs|examples)/[\w./-]*\w)(?![\w*{<]|/\*)"
)
COMMAND = re.compile(r"^(?:\S+=\$\()?gateway(?: --site \S+)? ([a-z][a-z-]*)", re.MULTILINE)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_blocks(text: str) -> str:
    return "\n".join(re.findall(r"```(?:bash|sh|console)?\n(.*?)```", text, re.DOTALL))


def run_generator(*arguments: str, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-", *arguments],
        input=script.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_generated_pages_are_up_to_date() -> None:
    done = run_generator("--check", script=(ROOT / "scripts" / "docs").read_text())
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_found(tmp_path: Path) -> None:
    """The check above can fail: pages with one word changed are refused."""
    script = (ROOT / "scripts" / "docs").read_text()
    place = 'REFERENCE = ROOT / "docs" / "reference"'
    assert place in script
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text().replace("workflow", "work", 1))
    done = run_generator(
        "--check", script=script.replace(place, f"REFERENCE = Path({str(tmp_path)!r})")
    )
    assert done.returncode == 1
    assert "cli.md" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match[1] for match in LINK.finditer(page.read_text())]
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_paths_of_the_checkout_exist(page: Path) -> None:
    named = {match[1] for match in OWN_PATH.finditer(page.read_text())}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_exist(page: Path) -> None:
    known = {name for section in COMMANDS.values() for name in section}
    used = set(COMMAND.findall(code_blocks(page.read_text())))
    assert used <= known


def test_every_state_and_outcome_is_described() -> None:
    text = (ROOT / "docs" / "reference" / "states.md").read_text()
    kinds = (WorkflowStatus, JobState, AttemptState, SubmissionState, Outcome)
    words = {member.value for kind in kinds for member in kind}
    assert [word for word in sorted(words) if f"`{word}`" not in text] == []


def test_every_howto_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    howtos = {path.name for path in (ROOT / "docs" / "howto").glob("*.md")}
    assert [name for name in sorted(howtos) if f"docs/howto/{name}" not in readme] == []
