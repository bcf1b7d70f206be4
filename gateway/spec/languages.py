"""Workflow languages: which exist, and which can be run."""

from __future__ import annotations

LANGUAGES = ("serial", "yadage", "cwl", "snakemake")
RUNNABLE = frozenset({"serial"})
"""Languages with an engine; a test holds it against the engines' registry."""


def not_yet(language: str) -> str | None:
    """Return why a known language cannot be run, or ``None`` if it can."""
    if language in RUNNABLE:
        return None
    return f"{language} workflows cannot be run yet; supported now: {', '.join(sorted(RUNNABLE))}"
