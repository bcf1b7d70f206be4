"""How far a transfer is, on one line of a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from gateway.cli.output import counted
from gateway.vocabulary.units import show_bytes

if TYPE_CHECKING:
    from gateway.client import Transfer

_REDRAW_S = 0.2


class TransferLine:
    """A line that is drawn again and again, and only on a terminal.

    Parameters
    ----------
    verb
        What is done, such as ``uploading``.
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown_at = 0.0
        self._width = 0
        self._live = sys.stderr.isatty()

    def __call__(self, transfer: Transfer) -> None:
        """Show one file on its way."""
        if self._is_due():
            whole = f" of {show_bytes(transfer.total)}" if transfer.total else ""
            self._draw(f"{transfer.name}: {show_bytes(transfer.done)}{whole}")

    def count(self, files: int, size: int) -> None:
        """Show how many files and bytes are done."""
        if self._is_due():
            self._draw(f"{counted(files, 'file')}, {show_bytes(size)}")

    def _is_due(self) -> bool:
        return self._live and time.monotonic() - self._shown_at >= _REDRAW_S

    def _draw(self, text: str) -> None:
        self._shown_at = time.monotonic()
        text = f"{self._verb} {text}"
        click.echo(f"\r{text.ljust(self._width)}", err=True, nl=False)
        self._width = len(text)

    def clear(self) -> None:
        """Leave an empty line."""
        if self._width:
            click.echo(f"\r{' ' * self._width}\r", err=True, nl=False)
