"""Do something for each of many; one that fails must not keep the others from their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from gateway.store.store import LeaseLostError

Item = TypeVar("Item")


def for_each(items: Iterable[Item], action: Callable[[Item], int]) -> int:
    """Return the sum of what ``action`` returns for each item.

    Raises
    ------
    LeaseLostError
        At once: nothing more may be done then.
    Exception
        The first that any item met, after all have had their turn.
    """
    total = 0
    first: Exception | None = None
    for item in items:
        try:
            total += action(item)
        except LeaseLostError:
            raise
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
    return total
