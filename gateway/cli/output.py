"""Tables and JSON on stdout, talk on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from gateway.errors import UsageError

COLOURS = {
    "finished": "green",
    "running": "cyan",
    "queued": "blue",
    "pending": "blue",
    "failed": "red",
    "stopped": "yellow",
    "held": "yellow",
}


def print_json(data: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def talk(text: str) -> None:
    """Say something to the person; never data."""
    click.echo(text, err=True)


def counted(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def chosen_columns(columns: Sequence[str], wanted: str | None) -> list[str]:
    """Return the columns that ``--format`` names, all without it.

    Raises
    ------
    UsageError
        If a column does not exist.
    """
    if not wanted:
        return list(columns)
    by_name = {column.lower(): column for column in columns}
    names = [word.strip().lower().replace("-", "_") for word in wanted.split(",")]
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise UsageError(
            f"--format: no column {', '.join(unknown)}", hint=f"columns: {', '.join(columns)}"
        )
    return [by_name[name] for name in names]


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under a header of upper-case names, as ``reana-client`` does."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    header = [column.upper() for column in columns]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for line in [header, *cells]:
        padded = [
            _coloured(word).ljust(width + len(_coloured(word)) - len(word))
            for word, width in zip(line, widths, strict=True)
        ]
        click.echo("   ".join(padded).rstrip())


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else " ".join(str(value).split())


def _coloured(word: str) -> str:
    """Colour words that name a state; click drops colours where stdout is no terminal."""
    return click.style(word, fg=COLOURS[word]) if word in COLOURS else word
