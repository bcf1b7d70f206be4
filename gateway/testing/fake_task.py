"""What the fake scheduler keeps of one task, and what it can be made to do wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gateway.vocabulary.evidence import HoldCode, Observation, SchedulerState, Source


class Fault(StrEnum):
    """What the fake does with the next submission instead of answering as it should."""

    LOST_ANSWER = "takes it, and the answer is lost"
    LOST_REQUEST = "never gets it, and no answer comes"
    LATE_REQUEST = "gets it when nobody waits for an answer any more"
    REFUSAL = "refuses it for good"
    FULL = "has no room"


@dataclass(slots=True)
class Copy:
    """One task as the scheduler has it; a submission that was sent twice has two of each."""

    native_id: str
    submission: str
    key: str
    index: int
    control_dir: Path
    excluded: tuple[str, ...] = ()
    state: SchedulerState = SchedulerState.PENDING
    raw: str = ""
    reason: str = ""
    hold: HoldCode | None = None
    exit_code: int | None = None
    node: str = ""
    restart: int = 0
    label: str = ""

    @property
    def job(self) -> str:
        """What all attempts of one job have in common."""
        return self.key.partition(".")[0]

    def become(self, state: SchedulerState, exit_code: int | None = None) -> None:
        """Go into a state, for which the scheduler's word is ours."""
        self.state, self.raw, self.reason = state, "", ""
        if exit_code is not None:
            self.exit_code = exit_code

    def observation(self, now: float) -> Observation:
        """Return what the scheduler says of it."""
        return Observation(
            state=self.state,
            raw=self.raw or self.state.name,
            source=Source.QUEUE,
            observed_at=now,
            native_id=self.native_id,
            reason=self.reason,
            hold=self.hold,
            exit_code=self.exit_code,
            restart_count=self.restart,
            node=self.node,
        )


@dataclass(slots=True)
class Truth:
    """What lies on the disk of the file server, whenever others get to see it."""

    claims: set[int] = field(default_factory=set)
    clean_end: bool = False
