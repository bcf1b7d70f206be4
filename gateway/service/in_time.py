"""Ask what may hang, and go on without it.

A call to a filesystem whose server is gone (NFS, mounted ``hard``) does not return and cannot be
interrupted; who only wants to tell about it must not hang with it. Knows nothing of filesystems.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Question(Generic[T]):
    asked_at: float
    answer: Future[T] = field(default_factory=Future)


class InTime(Generic[T]):
    """Asks each question in a thread of its own, and the same one not again until it is answered.

    Parameters
    ----------
    limit_s
        So long an answer may take, in seconds.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._open: dict[str, _Question[T]] = {}

    def ask(self, about: str, action: Callable[[], T]) -> T:
        """Return what the action returns or raise what it raises.

        A question that others ask already is not asked again; all get its answer.

        Raises
        ------
        TimeoutError
            There is no answer in time; at once, if the question has been open for so long.
        """
        with self._lock:
            question = self._open.get(about)
            if question is None:
                question = self._open[about] = _Question(time.monotonic())
                # A daemon: it must not keep the process from ending.
                threading.Thread(
                    target=self._answer, args=(about, question, action), daemon=True
                ).start()
        left = question.asked_at + self._limit_s - time.monotonic()
        return question.answer.result(max(0.0, left))

    def _answer(self, about: str, question: _Question[T], action: Callable[[], T]) -> None:
        try:
            said = action()
        except BaseException as error:  # it belongs to whoever asked
            self._close(about)
            question.answer.set_exception(error)
        else:
            self._close(about)
            question.answer.set_result(said)

    def _close(self, about: str) -> None:
        with self._lock:
            del self._open[about]
