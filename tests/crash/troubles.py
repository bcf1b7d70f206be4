"""What can be wrong with a site for longer than anybody is patient, each to be chosen by name.

A round has some of these, chosen by its seed, beside the small misfortunes that every round has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.errors import GatewayError, SiteError
from gateway.testing.fake_task import Copy, Fault
from gateway.vocabulary.evidence import SchedulerState
from gateway.vocabulary.states import SubmissionState
from tests.crash.disk import CODES
from tests.crash.slurm import LIES

if TYPE_CHECKING:
    from tests.crash.world import World

Action = Callable[[], None]
LATE = (150.0, 400.0, 1000.0)
"""How late a submission arrives that nobody waits for: it is sent again after 120 s."""
SKEWS = (-10_800.0, -600.0, 600.0, 10_800.0)
STAYS_S = 600.0
"""So long a command may run on that no record of the scheduler names any more."""


class Trouble(StrEnum):
    """Something that a round may have."""

    DISK = "disk"
    DATABASE = "database"
    IDS = "ids"
    ANSWERS = "answers"
    ACCOUNTING = "accounting"
    CLOCKS = "clocks"
    RECORDS = "records"
    NODES = "nodes"
    CALLS = "calls"
    PAUSES = "pauses"
    IMAGES = "images"
    USERS = "users"


class Troubles:
    """The troubles of one history."""

    def __init__(self, world: World, chosen: Collection[Trouble]) -> None:
        self.world = world
        self.chosen = frozenset(chosen)
        self.leftovers: list[tuple[float, Copy]] = []
        self.images_were_gone = False
        world.slurm.purge_after = world.random.choice((0.0, 60.0, 300.0))
        if Trouble.ACCOUNTING in self.chosen and world.random.random() < 0.3:
            world.slurm.accounting = "off"

    def actions(self) -> list[tuple[int, Action]]:
        """Return what can happen, each with its weight."""
        found: dict[Trouble, tuple[int, Action]] = {
            Trouble.DISK: (2, self.disk),
            Trouble.DATABASE: (1, self.database),
            Trouble.IDS: (1, self.reset),
            Trouble.ANSWERS: (2, self.answers),
            Trouble.ACCOUNTING: (2, self.accounting),
            Trouble.CLOCKS: (1, self.clocks),
            Trouble.NODES: (3, self.nodes),
            Trouble.CALLS: (2, self.calls),
            Trouble.IMAGES: (1, self.images),
            Trouble.USERS: (2, self.users),
        }
        return [each for trouble, each in found.items() if trouble in self.chosen]

    def over(self) -> None:
        """Let nothing be wrong any more."""
        world = self.world
        world.disk.control, world.disk.database = "", False
        world.place.images.broken = None
        world.slurm.lies.clear()
        world.slurm.behind = 0.0
        if world.slurm.accounting == "silent":
            world.slurm.accounting = "there"
        world.slurm.end_strangers()

    def pass_by(self) -> None:
        """End the commands of which no scheduler knows any more, when their time has come."""
        now = self.world.clock()
        for at, copy in [each for each in self.leftovers if each[0] <= now]:
            self.leftovers.remove((at, copy))
            self.world.finish(copy)

    def lags(self, *, good: bool) -> tuple[float, ...]:
        """Return how late a file may become visible; the word of the scheduler buys it time."""
        if Trouble.RECORDS not in self.chosen:
            return (0.0, 0.0, 0.0, 20.0, 55.0)
        return (0.0, 55.0, 85.0, 400.0, 700.0) if good else (0.0, 20.0, 55.0)

    def sleeps(self) -> tuple[float, ...]:
        """Return how long a driver may be paused."""
        return (31.0, 200.0, 1000.0, 5000.0) if Trouble.PAUSES in self.chosen else (31.0,)

    # The troubles.

    def disk(self) -> None:
        """Change what the gateway's host can do with control files."""
        disk = self.world.disk
        disk.control = "" if disk.control else self.world.random.choice(list(CODES))
        disk.room = self.world.random.randint(0, 6)
        self.world.note(f"the disk: {disk.control or 'well'}")

    def database(self) -> None:
        """Fill the disk of the database, or make room on it."""
        self.world.disk.database = not self.world.disk.database
        self.world.note(f"the database's disk is full: {self.world.disk.database}")

    def reset(self) -> None:
        """Have the controller forget all jobs and count from the beginning."""
        world = self.world
        if not world.real_adapter or self._unseen_ends():
            return
        if any(self._counts_as_lost(copy) for copy in self._copies()):
            return
        world.note("the controller loses its state")
        for copy in world.slurm.reset():
            if world.random.random() < 0.5:
                self.leftovers.append((world.clock() + world.random.random() * STAYS_S, copy))
            else:
                world.scheduler.running.pop(copy.native_id, None)
        if world.random.random() < 0.5:
            world.slurm.end_strangers()

    def _unseen_ends(self) -> bool:
        """Whether the scheduler alone knows why something ended: one misfortune at a time."""
        with self.world.place.store.read() as transaction:
            keys = {attempt.key for attempt in transaction.jobs.open_attempts()}
        own = (SchedulerState.COMPLETED, SchedulerState.FAILED)
        return any(
            copy.key in keys and copy.state.is_terminal and copy.state not in own
            for copy in self._copies()
        )

    def _copies(self) -> list[Copy]:
        return list(self.world.scheduler.copies.values())

    def _counts_as_lost(self, copy: Copy) -> bool:
        """Whether one more loss of a job would be more than is made good."""
        world = self.world
        if copy.state.is_terminal:
            return False
        if not world.moods.may_be_forgotten(copy) or world.moods.met["lost", copy.job]:
            return True
        world.moods.met["lost", copy.job] += 1
        return False

    def answers(self) -> None:
        """Have a command lie, or tell the truth again."""
        world = self.world
        program = world.random.choice(("sbatch", "squeue", "sacct", "scancel"))
        if world.slurm.lies.pop(program, None) is None:
            world.slurm.lies[program] = world.random.choice(LIES)
        world.note(f"answers that lie: {world.slurm.lies}")

    def accounting(self) -> None:
        """Change what accounting knows."""
        slurm, choose = self.world.slurm, self.world.random.choice
        if slurm.accounting != "off":
            slurm.accounting = choose(("there", "silent"))
        slurm.behind = choose((0.0, 60.0, 4000.0))
        slurm.purge_after = choose((0.0, 60.0, 300.0))
        self.world.note(f"accounting is {slurm.accounting}, {slurm.behind:.0f} s behind")

    def clocks(self) -> None:
        """Set the clock of a node wrong."""
        node = f"node{self.world.random.randint(1, 3)}"
        self.world.scheduler.skew[node] = self.world.random.choice(SKEWS)
        self.world.note(f"the clock of {node} is wrong by {self.world.scheduler.skew[node]:.0f} s")

    def nodes(self) -> None:
        """Have a node fail a task in a way of which the scheduler makes something of its own."""
        world, scheduler = self.world, self.world.scheduler
        kind = world.random.choice(("back again", "no claim", "no record"))
        if kind == "back again":
            failed = [c for c in self._copies() if c.state is SchedulerState.NODE_FAILED]
            if failed:
                copy = world.random.choice(failed)
                scheduler.requeue(copy, traceless=True)
                world.note(f"{copy.native_id} ({copy.key}) is requeued after its node failed")
            return
        state = SchedulerState.PENDING if kind == "no claim" else SchedulerState.RUNNING
        copies = [copy for copy in self._copies() if copy.state is state]
        if not copies:
            return
        copy = world.random.choice(copies)
        if kind == "no claim":
            if not world.moods.afford(kind, copy, 3):
                return
            copy.node = "node1"
            copy.become(SchedulerState.FAILED, 75)
        else:
            if not world.moods.may_be_forgotten(copy) or not world.moods.afford("lost", copy, 1):
                return
            scheduler.running.pop(copy.native_id, None)
            copy.become(SchedulerState.FAILED, 73)
        world.note(f"{copy.native_id} ({copy.key}): {kind}")

    def calls(self) -> None:
        """Have a submission arrive when nobody waits for it any more."""
        self.world.scheduler.late_s = self.world.random.choice(LATE)
        self.world.scheduler.faults.append(Fault.LATE_REQUEST)
        self.world.note("a submission will be late")

    def images(self) -> None:
        """Take the images away, or bring them back."""
        images = self.world.place.images
        images.broken = None if images.broken else SiteError("the image is not there any more")
        self.images_were_gone = True
        self.world.note(f"the images are {'gone' if images.broken else 'there'}")

    def users(self) -> None:
        """Stop what is unclear, or run what has ended again."""
        world = self.world
        unclear = self._unclear()
        if unclear:
            return world.stop(world.random.choice(unclear))
        ended = [w for w in world.workflows if world.place.status(w).is_terminal]
        if not ended or len(world.workflows) >= 6:
            return None
        former = world.random.choice(ended)
        try:
            again = world.place.workflows.restart(former.id, {}, {})
        except GatewayError as error:
            return world.note(f"not restarted: {error}")
        world.workflows.append(again)
        return world.note(f"{former.full_name} is restarted as {again.full_name}")

    def _unclear(self) -> list[str]:
        """Return active workflows of which the scheduler may have something, or not."""
        with self.world.place.store.read() as transaction:
            records = transaction.submissions.unsettled()
            keys = [r.key for r in records if r.state is not SubmissionState.PREPARED]
            attempts = [a for key in keys for a in transaction.jobs.attempts_in(key)]
            jobs = transaction.jobs.many({attempt.job_id for attempt in attempts})
            ids = {job.workflow_id for job in jobs.values() if job.workflow_id}
            found = transaction.workflows.many(ids)
        return sorted(each.id for each in found.values() if each.status.is_active)
