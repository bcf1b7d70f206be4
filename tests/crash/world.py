"""A random history: workflows, a scheduler with moods, drivers that are killed, and time.

Everything follows from one seed. After the history the world heals, a last driver brings everything
to its end, and what was promised is checked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.core.cycle import Cycle
from gateway.core.lease import take
from gateway.core.parts import Cluster, FetchResult
from gateway.crash_points import CrashPoint, crash_point, set_hook
from gateway.errors import UnreachableError
from gateway.site.model import ClusterBase, SlurmCluster
from gateway.store.store import LeaseLostError
from gateway.submitters.base import Submitter
from gateway.submitters.slurm.submitter import SlurmSubmitter
from gateway.testing.fake_cluster import FakeCluster
from gateway.testing.fake_task import Copy
from gateway.vocabulary.evidence import SchedulerState
from gateway.vocabulary.records import Purpose, Workflow
from tests.crash.disk import Disk
from tests.crash.drivers import KilledError, MortalStore, SimulatedDriver
from tests.crash.invariants import left_behind, moves_backwards, wrong_results
from tests.crash.moods import Moods
from tests.crash.place import Place
from tests.crash.slurm import FakeSlurm
from tests.crash.troubles import Trouble, Troubles
from tests.unit.core.conftest import NoCalls

STEPS = (20, 70)
SHARE = 0.25
"""How likely a round has each of the troubles."""
MOST_PASSES_TO_HEAL = 400


@dataclass
class World:
    """One history.

    Parameters
    ----------
    only
        Kill at this point alone, whenever it is passed for the first time.
    chosen
        The troubles of this history; ``None`` leaves them to its seed.
    """

    seed: int
    place: Place
    only: CrashPoint | None = None
    chosen: Collection[Trouble] | None = None
    history: list[str] = field(default_factory=list)
    passed: Counter[CrashPoint] = field(default_factory=Counter)
    kills: Counter[CrashPoint] = field(default_factory=Counter)
    pauses: int = 0
    drivers: int = 0
    driver: SimulatedDriver | None = None
    workflows: list[Workflow] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    depth: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.clock = self.place.clock
        self.scheduler: FakeCluster = self.place.scheduler
        self.disk = Disk()
        self.slurm = FakeSlurm(self.scheduler, random.Random(self.seed))
        chosen = self.chosen
        if chosen is None:
            chosen = [trouble for trouble in Trouble if self.random.random() < SHARE]
        self.real_adapter = self.random.random() < 0.6 or Trouble.IDS in chosen
        self.moods = Moods(self)
        self.troubles = Troubles(self, chosen)

    def note(self, text: str) -> None:
        """Add to the history."""
        self.history.append(f"{self.clock() - self.place.began:9.1f} {'  ' * self.depth}{text}")

    # The history.

    def run(self) -> list[str]:
        """Live through one history; return what went wrong."""
        adapter = "of Slurm" if self.real_adapter else "simple"
        self.note(f"adapter {adapter}, {', '.join(sorted(self.troubles.chosen)) or 'no troubles'}")
        with self.disk.installed():
            return self._run()

    def _run(self) -> list[str]:
        for _ in range(self.random.randint(1, 3)):
            self.submit()
        for _ in range(self.random.randint(*STEPS)):
            self.step()
        self.heal()
        return self.wrong()

    def submit(self) -> None:
        """Start a workflow whose commands say how they end."""
        kinds = ("good", "good", "good", "good", "flaky", "bad")
        commands = [self.random.choice(kinds) for _ in range(self.random.randint(1, 3))]
        image = self.random.choice(("img:1", "img:1", "img:2"))
        workflow = self.place.submit(commands, image, f"w{len(self.workflows)}")
        self.workflows.append(workflow)
        self.note(f"workflow {workflow.name}: {' '.join(commands)}")

    def step(self) -> None:
        """Let one thing happen."""
        actions: list[tuple[int, Callable[[], None]]] = [
            (10, self.drive),
            (7, self.start_some),
            (5, self.finish_some),
            (2, self.moods.misfortune),
            (2, self.moods.scheduler),
            (1, self.user),
            (1, self.moods.release_some),
            *self.troubles.actions(),
        ]
        weights = [weight for weight, _ in actions]
        self.random.choices([action for _, action in actions], weights)[0]()

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.pass_by(seconds)
        self.scheduler.show_late_files()
        self.troubles.pass_by()
        self.slurm.keep_books()

    # Drivers.

    def drive(self) -> None:
        """Make one pass, which may be the driver's last."""
        self.pass_time(self.random.choice((0.1, 1, 1, 5, 12, 30, 61, 100)))
        fate = self.random.random()
        nth = self.random.randint(1, 12)
        if self.only is not None:
            self.one_pass(self._kill_only)
        elif fate < 0.35:
            self.one_pass(self._after(nth, self._kill, anywhere=True))
        elif fate < 0.45 and self.depth == 0:
            self.one_pass(self._after(nth, self._pause, anywhere=False))
        else:
            self.one_pass(lambda _: None)

    def one_pass(self, hook: Callable[[CrashPoint], None]) -> bool:
        """Make one pass with a hook at every crash point; say whether it may have moved things."""
        self.driver = self.driver or self.new_driver(hook)
        driver = self.driver
        if driver is None:
            return True
        try:
            with self._hooked(hook):
                done = driver.cycle.tick()
                crash_point(CrashPoint.PASS_DONE)
        except KilledError:
            self.note(f"driver {driver.number} is dead")
            self._leave(driver)
        except LeaseLostError:
            self.note(f"driver {driver.number} finds that another one drives")
            self._leave(driver)
        else:
            if done.mistakes:
                self.scheduler.violations.append(f"a mistake: {done.troubles}")
            return done.changes > 0
        return True

    def _leave(self, driver: SimulatedDriver) -> None:
        if self.driver is driver:
            self.driver = None

    def new_driver(self, hook: Callable[[CrashPoint], None]) -> SimulatedDriver | None:
        """Take the lease over, as after a reboot of the host."""
        self.drivers += 1
        store = MortalStore(self.place.store, self.disk.check_commit)
        try:
            with self._hooked(hook):
                lease = take(
                    store, "test", self.clock(), host="h", boot=f"b{self.drivers}", token="t"
                )
        except (KilledError, UnreachableError):
            return None
        assert lease is not None
        settings = self.place.parts.site.clusters["main"]
        cluster = Cluster("main", settings, self._submitter(settings), NoCalls())
        parts = replace(self.place.parts, store=store, clusters={"main": cluster})
        return SimulatedDriver(self.drivers, store, lease, Cycle(parts, lease))

    def _submitter(self, settings: ClusterBase) -> Submitter:
        """Return the adapter as a new process has it."""
        if not self.real_adapter or not isinstance(settings, SlurmCluster):
            return self.scheduler
        return SlurmSubmitter("main", settings, self.slurm, self.clock, "alice")

    @contextmanager
    def _hooked(self, hook: Callable[[CrashPoint], None]) -> Iterator[None]:
        def counted(point: CrashPoint) -> None:
            self.passed[point] += 1
            hook(point)

        set_hook(counted)
        try:
            yield
        finally:
            set_hook(None)

    def _after(
        self, nth: int, act: Callable[[CrashPoint], None], *, anywhere: bool
    ) -> Callable[[CrashPoint], None]:
        left = nth

        def hook(point: CrashPoint) -> None:
            nonlocal left
            if anywhere or not point.in_transaction:
                left -= 1
            if left == 0:
                left = -1
                act(point)

        return hook

    def _kill(self, point: CrashPoint) -> None:
        self.note(f"KILL at {point.name}")
        self.kills[point] += 1
        if self.driver is not None:
            self.driver.store.dead = True
        raise KilledError

    def _kill_only(self, point: CrashPoint) -> None:
        if point is self.only and not self.kills[point]:
            self._kill(point)

    def _pause(self, point: CrashPoint) -> None:
        """Let another driver take over while this one sleeps; then this one goes on."""
        sleeper, self.driver = self.driver, None
        self.pauses += 1
        self.note(f"PAUSE at {point.name}")
        self.depth += 1
        self.pass_time(self.random.choice(self.troubles.sleeps()))
        for _ in range(self.random.randint(1, 12)):
            self.step()
        self.depth -= 1
        self.note(f"the driver paused at {point.name} goes on")
        other, self.driver = self.driver, sleeper
        self.driver = other

    # The cluster.

    def some(self, *states: SchedulerState) -> Copy | None:
        found = [copy for copy in self.scheduler.copies.values() if copy.state in states]
        return self.random.choice(found) if found else None

    def start_some(self) -> None:
        """Start a task that waits."""
        copy = self.some(SchedulerState.PENDING)
        if copy is not None:
            self.start(copy)

    def start(self, copy: Copy) -> None:
        """Start one copy; a stopped or ended workflow must not see its command start."""
        self._be_late(good=False)
        started = self.scheduler.start(copy, f"node{self.random.randint(1, 3)}")
        self.note(f"{copy.native_id} starts {copy.key}" + ("" if started else ", in vain"))
        job = self.place.job(copy.job)
        if started and job.purpose is Purpose.STEP and job.state.is_terminal:
            self.scheduler.violations.append(f"{copy.key} starts when its job is {job.state}")

    def finish_some(self) -> None:
        """End a command that runs."""
        copy = self.some(SchedulerState.RUNNING)
        if copy is not None:
            self.finish(copy)

    def _be_late(self, *, good: bool) -> None:
        """Choose how late the files of nodes come."""
        self.scheduler.lag = self.random.choice(self.troubles.lags(good=good))
        records = Trouble.RECORDS in self.troubles.chosen
        self.scheduler.torn = records and self.random.random() < 0.5

    def finish(self, copy: Copy) -> None:
        """End one command as its kind says."""
        job = self.place.job(copy.job)
        failed = self.moods.met["failed", copy.job]
        bad = job.command == "bad" or (job.command == "flaky" and failed == 0)
        self.moods.met["failed", copy.job] += bad
        self._be_late(good=not bad)
        if job.purpose is Purpose.IMAGE:
            image = self.place.images.resolved(job.image)
            self.place.images.results[job.id] = FetchResult(image)
        self.scheduler.end(copy, int(bad))
        self.note(f"{copy.native_id} ends {copy.key} with {int(bad)}")

    def user(self) -> None:
        """Stop a workflow, start another one, or need a new image."""
        if self.random.random() < 0.5 and len(self.workflows) < 5:
            self.place.images.to_fetch.add(self.random.choice(("img:1", "img:2")))
            self.submit()
            return
        workflow = self.random.choice(self.workflows)
        if self.place.status(workflow).is_active:
            self.stop(workflow.id)

    def stop(self, workflow_id: str) -> None:
        """Have the user stop a workflow."""
        self.place.workflows.stop(workflow_id)
        self.stopped.add(workflow_id)
        self.note(f"the user stops {workflow_id}")

    # The end.

    def heal(self) -> None:
        """Let everything work, and drive until all workflows have ended."""
        self.note("the world heals")
        scheduler = self.scheduler
        scheduler.down = scheduler.acts_without_answer = False
        scheduler.accounting, scheduler.free_room = True, None
        scheduler.faults.clear()
        self.troubles.over()
        quiet = 0
        for _ in range(MOST_PASSES_TO_HEAL):
            if all(self.place.status(each).is_terminal for each in self.workflows):
                return
            # What is awaited may be an hour away.
            self.pass_time(self.random.choice((1, 11, 61)) * min(1 + quiet // 3, 8))
            moved = self.one_pass(self._kill_only if self.only else lambda _: None)
            quiet = 0 if moved else quiet + 1
            for copy in list(scheduler.copies.values()):
                self._bring_on(copy)

    def _bring_on(self, copy: Copy) -> None:
        if copy.hold is not None and copy.hold.code == 1:
            self.scheduler.let_go(copy)
        if copy.state is SchedulerState.PENDING:
            self.start(copy)
        elif copy.state is SchedulerState.RUNNING:
            self.finish(copy)

    def wrong(self) -> list[str]:
        """Check the promises, when all that was under way has arrived."""
        self.pass_time(self.scheduler.late_s)
        found = list(self.scheduler.violations)
        for copy in list(self.scheduler.copies.values()):
            if copy.state is SchedulerState.RUNNING and self.is_step(copy):
                found.append(f"{copy.native_id} ({copy.key}) still runs when all is over")
            self.scheduler.let_go(copy)
            if copy.state is SchedulerState.PENDING and self.is_step(copy):
                self.start(copy)
        found += [v for v in self.scheduler.violations if v not in found]
        found += moves_backwards(self.place.moves(), self.scheduler.may_go_back)
        found += left_behind(self.place, self.workflows)
        found += wrong_results(
            self.place,
            self.workflows,
            self.stopped,
            self.scheduler,
            may_be_refused=bool(self.scheduler.refused) or self.troubles.images_were_gone,
        )
        return found

    def is_step(self, copy: Copy) -> bool:
        return self.place.job(copy.job).purpose is Purpose.STEP


def play(
    seed: int,
    folder: Path,
    only: CrashPoint | None = None,
    chosen: Collection[Trouble] | None = None,
) -> tuple[World, list[str]]:
    """Live through the history of one seed, in an empty folder."""
    with Place.built(folder) as place:
        world = World(seed, place, only, chosen)
        return world, world.run()
