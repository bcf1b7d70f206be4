"""Tables and JSON on stdout, talk on stderr."""

from __future__ import annotations

import json
import shutil
import sys
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


LONG = 60
"""Longer names are shortened in lines for people."""
SHORT = 16
"""No cell of a table is shortened to less."""


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


def shortened(text: str, most: int = LONG) -> str:
    """Return a name that fits a line: of a long one the beginning and the end."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 1]}…{text[len(text) - end :]}"


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], spare: Sequence[str] = ()
) -> None:
    """Print rows under a header of upper-case names, as ``reana-client`` does.

    On a terminal that is too narrow, long cells are shortened, then ``spare`` columns are left out,
    the first one first; if that does not do, each row is a block of lines. Elsewhere everything
    is there, for scripts.
    """
    table = _Table(rows, columns)
    if rows and sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        for left_out in range(len(spare) + 1):
            shown = [name for name in columns if name not in spare[:left_out]]
            table = _Table(rows, shown).fitted(room)
            if table.width <= room:
                break
        else:
            _Table(rows, columns).print_blocks(room)
            return
    table.print()


class _Table:
    """Words in rows under a header."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        self._header = [column.upper() for column in columns]
        self._cells = [[_cell(row.get(column)) for column in columns] for row in rows]

    @property
    def _widths(self) -> list[int]:
        lines = zip(self._header, *self._cells, strict=True)
        return [max(map(len, column)) for column in lines]

    @property
    def width(self) -> int:
        """Columns of the screen that it takes."""
        return sum(self._widths) + 3 * (len(self._header) - 1)

    def fitted(self, room: int) -> _Table:
        """Shorten long cells, the longest first, as far as that is needed and helps."""
        while (over := self.width - room) > 0:
            longest = [max(map(len, column)) for column in zip(*self._cells, strict=True)]
            place = max(range(len(longest)), key=longest.__getitem__)
            most = max(SHORT, longest[place] - over)
            if most >= longest[place]:
                break
            for row in self._cells:
                row[place] = shortened(row[place], most)
        return self

    def print(self) -> None:
        """Print it as a table."""
        widths = self._widths
        for line in [self._header, *self._cells]:
            padded = [
                _coloured(word).ljust(width + len(_coloured(word)) - len(word))
                for word, width in zip(line, widths, strict=True)
            ]
            click.echo("   ".join(padded).rstrip())

    def print_blocks(self, room: int) -> None:
        """Print a line for each cell, and a blank line between two rows."""
        width = max(map(len, self._header))
        for number, row in enumerate(self._cells):
            if number:
                click.echo()
            for name, word in zip(self._header, row, strict=True):
                shown = shortened(word, max(SHORT, room - width - 3))
                click.echo(f"{name.ljust(width)}   {_coloured(shown)}")


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else " ".join(str(value).split())


def _coloured(word: str) -> str:
    """Colour words that name a state; click drops colours where stdout is no terminal."""
    return click.style(word, fg=COLOURS[word]) if word in COLOURS else word
