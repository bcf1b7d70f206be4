"""Mistakes put into the gateway on purpose: rounds of the simulation must find each of them.

A simulation that finds nothing proves something only if it would find what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core import dispatch, remains, watch
from gateway.core.verdict import Patience, verdict
from gateway.errors import UnreachableError
from gateway.store.store import Store, Transaction
from gateway.submitters import control
from gateway.submitters.slurm import parse
from gateway.vocabulary.evidence import Evidence, Verdict
from gateway.vocabulary.records import Lease
from tests.crash.drivers import MortalStore
from tests.crash.troubles import Trouble

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake.

    Parameters
    ----------
    what
        The mistake, in words.
    troubles
        Of the rounds that find it.
    seed
        Of the first round from 0 on that found it, when this was written.
    """

    what: str
    troubles: tuple[Trouble, ...]
    seed: int
    make: Callable[[Patch], None]

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the mistake, meanwhile."""
        with Patch.context() as patch:
            self.make(patch)
            yield


def _no_lease(patch: Patch) -> None:
    @contextmanager
    def drive(self: Store, lease: Lease) -> Iterator[Transaction]:
        with self.write() as transaction:
            yield transaction

    patch.setattr(Store, "drive", drive)


def _commit_in_vain(patch: Patch) -> None:
    @contextmanager
    def write(self: MortalStore) -> Iterator[Transaction]:
        self._check()
        try:
            with self._store.write() as transaction:
                yield transaction
                self._check()
                self._before_commit()
        except UnreachableError:
            return

    patch.setattr(MortalStore, "write", write)


def _resend_at_once(patch: Patch) -> None:
    patch.setattr(dispatch.Dispatch, "take_back", lambda *_: True)


def _resend_unseen(patch: Patch) -> None:
    def take_back(self: Any, record: Any, attempts: Any) -> bool:
        for attempt in attempts:
            try:
                control.forbid_start(Path(record.control_dir), attempt.task_index or 0)
            except OSError:
                continue
        return True

    patch.setattr(dispatch.Dispatch, "take_back", take_back)


def _impatient(patch: Patch) -> None:
    def judged(evidence: Evidence, now: float, patience: Patience) -> Verdict:
        return verdict(evidence, now, replace(patience, settle_s=0.0))

    patch.setattr(watch, "verdict", judged)


def _old_evidence(patch: Patch) -> None:
    def judged(evidence: Evidence, now: float, patience: Patience) -> Verdict:
        return verdict(evidence, now + 5000.0, patience)

    patch.setattr(watch, "verdict", judged)


def _every_answer_is_whole(patch: Patch) -> None:
    for name in ("parse_queue", "parse_accounting"):
        really = getattr(parse, name)

        def read(text: str, now: float, really: Any = really) -> parse.Listing:
            return parse.Listing(really(text, now).rows, whole=True)

        patch.setattr(parse, name, read)


def _unreadable_is_empty(patch: Patch) -> None:
    really = watch.Watch._read_files

    def read_files(self: Any, folder: Any) -> Any:
        return really(self, folder) or watch._Files({}, {})

    patch.setattr(watch.Watch, "_read_files", read_files)


def _no_end_is_closed(patch: Patch) -> None:
    patch.setattr(remains.Remains, "_claimed_meanwhile", lambda *_: set())


def _nothing_is_forbidden(patch: Patch) -> None:
    patch.setattr(control, "forbid_start", lambda *_: None)


MUTANTS: Mapping[str, Mutant] = {
    "no lease": Mutant(
        "nobody looks whether another driver has taken over",
        (Trouble.PAUSES,),
        0,
        _no_lease,
    ),
    "commit in vain": Mutant(
        "what the database has refused counts as written",
        (Trouble.DATABASE,),
        24,
        _commit_in_vain,
    ),
    "resend at once": Mutant(
        "a submission is sent again although an earlier copy may still come",
        (Trouble.CALLS, Trouble.PAUSES),
        65,
        _resend_at_once,
    ),
    "resend unseen": Mutant(
        "a submission is sent again although nobody can read who has claimed",
        (Trouble.CALLS, Trouble.DISK),
        9,
        _resend_unseen,
    ),
    "impatient": Mutant(
        "the scheduler's word on an end is not waited for",
        (Trouble.NODES,),
        3,
        _impatient,
    ),
    "old evidence": Mutant(
        "what was seen is judged by a time long after",
        (Trouble.RECORDS,),
        0,
        _old_evidence,
    ),
    "every answer is whole": Mutant(
        "what half an answer does not name is gone",
        (Trouble.ANSWERS,),
        9,
        _every_answer_is_whole,
    ),
    "unreadable is empty": Mutant(
        "control files that cannot be read are not there",
        (Trouble.DISK, Trouble.RECORDS),
        89,
        _unreadable_is_empty,
    ),
    "no end is closed": Mutant(
        "what ended unclaimed is not kept from starting late",
        (Trouble.CALLS, Trouble.NODES),
        14,
        _no_end_is_closed,
    ),
    "nothing is forbidden": Mutant(
        "what is to be stopped, or given up, is not kept from starting",
        (Trouble.USERS, Trouble.CALLS),
        138,
        _nothing_is_forbidden,
    ),
}
