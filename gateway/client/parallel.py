"""Several transfers at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event, Lock

from gateway.client.results import Transfer
from gateway.client.transfers import OnProgress

AT_ONCE = 3
"""Downloads at once: with many small files it is the way there and back that takes the time."""


class _GivenUpError(Exception):
    """Another transfer has failed, or the user wants no more."""


class ParallelTransfers:
    """Transfers that all end when one fails or Ctrl-C is pressed."""

    def __init__(self, progress: OnProgress) -> None:
        self._progress = progress
        self._lock = Lock()
        self._over = Event()
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def __enter__(self) -> ParallelTransfers:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown(cancel_futures=True)

    def tell(self, transfer: Transfer) -> None:
        """Pass on how far a transfer is, or end it."""
        with self._lock:
            if self._over.is_set():
                raise _GivenUpError
            try:
                self._progress(transfer)
            except BaseException:
                self._over.set()
                raise

    def carry(
        self, jobs: Sequence[tuple[str, Path]], one: Callable[[tuple[str, Path]], None]
    ) -> tuple[Path, ...]:
        """Do all jobs; return their targets."""
        running = [self._pool.submit(one, job) for job in jobs]
        done, _ = wait(running, return_when=FIRST_EXCEPTION)
        if any(each.exception() for each in done):
            self._over.set()
            self._pool.shutdown(cancel_futures=True)
            ends = [each.exception() for each in running if not each.cancelled()]
            raise next(end for end in ends if end and not isinstance(end, _GivenUpError))
        return tuple(target for _, target in jobs)
