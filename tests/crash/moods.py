"""The small misfortunes that every round has: the gateway makes them good by itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.testing.fake_task import Copy, Fault
from gateway.vocabulary.evidence import SchedulerState

if TYPE_CHECKING:
    from tests.crash.world import World

BUDGET = {"lose node": 3, "preempt": 5, "lost": 1, "hold 13": 2, "hold 34": 2, "requeue": 3}
"""How often a job may meet each misfortune and must still succeed, by the retry policy."""


class Moods:
    """What happens to single tasks, and how the scheduler answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.met: Counter[tuple[str, str]] = Counter()

    def misfortune(self) -> None:
        """Harm a task in a way that the retry policy must make good."""
        copy = self.world.some(SchedulerState.PENDING, SchedulerState.RUNNING)
        if copy is None:
            return
        runs = copy.state is SchedulerState.RUNNING
        kinds = ["forget", "hold 1"]
        # Only HTCondor holds jobs for such reasons.
        kinds += [] if self.world.real_adapter else ["hold 13", "hold 34"]
        kinds += ["lose node", "requeue", "requeue"] if runs else []
        # Only the scheduler's word tells it from a removal, and without accounting that gets lost.
        kinds += ["preempt"] if runs and self.world.slurm.accounting != "off" else []
        kind = self.world.random.choice(kinds)
        if kind == "forget" and not self.may_be_forgotten(copy):
            return
        if kind == "hold 34" and not self.world.is_step(copy):
            return
        budget = "lost" if kind == "forget" else kind
        if not self.afford(budget, copy, BUDGET.get(budget, 99)):
            return
        self.world.note(f"{copy.native_id} ({copy.key}): {kind}")
        if kind.startswith("hold"):
            self.world.scheduler.put_on_hold(copy, int(kind.split()[1]))
        elif kind == "requeue":
            self.world.scheduler.requeue(copy, traceless=self.world.random.random() < 0.5)
        else:
            act = {
                "forget": self._forget,
                "lose node": self.world.scheduler.lose_node,
                "preempt": self.world.scheduler.preempt,
            }[kind]
            act(copy)

    def afford(self, kind: str, copy: Copy, most: int) -> bool:
        """Count a misfortune of a job; say whether it may meet this one, too."""
        if self.met[kind, copy.job] >= most:
            return False
        self.met[kind, copy.job] += 1
        return True

    def _forget(self, copy: Copy) -> None:
        if self.world.random.random() < 0.5:
            self.world.slurm.forget(copy)
        self.world.scheduler.forget(copy)

    def may_be_forgotten(self, copy: Copy) -> bool:
        """Spare what was put back, and what the scheduler has twice: one misfortune at a time."""
        keys = [each.key for each in self.world.scheduler.copies.values()]
        return copy.key not in self.world.scheduler.may_go_back and keys.count(copy.key) == 1

    def release_some(self) -> None:
        """Have a person release a task that a person held."""
        copy = self.world.some(SchedulerState.HELD)
        if copy is not None and copy.hold is not None and copy.hold.code == 1:
            self.world.scheduler.let_go(copy)
            self.world.note(f"{copy.native_id} is released")

    def scheduler(self) -> None:
        """Change how the scheduler answers."""
        scheduler = self.world.scheduler
        mood = self.world.random.choice(
            ("faults", "faults", "down", "accounting", "answers", "room")
        )
        if mood == "faults":
            faults = [Fault.LOST_ANSWER, Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.FULL]
            if self.world.random.random() < 0.1:
                faults.append(Fault.REFUSAL)
            scheduler.faults.append(self.world.random.choice(faults))
        elif mood == "down":
            scheduler.down = not scheduler.down
        elif mood == "accounting":
            scheduler.accounting = not scheduler.accounting
        elif mood == "answers":
            scheduler.acts_without_answer = not scheduler.acts_without_answer
        else:
            scheduler.free_room = self.world.random.choice((None, 0, 1))
        self.world.note(f"the scheduler: {mood}")
