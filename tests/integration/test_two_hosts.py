"""Drivers on two hosts with one state: one drives, the other waits, takes over, does no harm.

The hosts are namespaces (tests/crash/hosts.py): other names, other boots, other process numbers,
another network each; the directory is shared. PostgreSQL is reached over that network.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.crash_points import PAUSE_AT, CrashPoint
from tests.crash.hosts import Host, Lan, find_postgresql, missing
from tests.crash.processes import KILLED, LONG, Bench

LACKING = missing()
pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"hosts in namespaces need {LACKING}"),
    pytest.mark.timeout(400),
]
SOON_S = 120.0
"""Much more than a lease."""
P = CrashPoint


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    with Lan.built(tmp_path) as made:
        yield made


@pytest.fixture
def alpha(lan: Lan) -> Host:
    return lan.boot("alpha")


@pytest.fixture
def beta(lan: Lan) -> Host:
    return lan.boot("beta")


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, lan: Lan, alpha: Host, beta: Host
) -> Iterator[Bench]:
    assert beta.number == 2
    if request.param == "sqlite":
        yield from opened(Bench(tmp_path / "place", alpha.zygote))
        return
    programs = find_postgresql()
    if programs is None:
        pytest.skip("needs a PostgreSQL server in /usr/lib/postgresql")
    with lan.postgresql(programs) as (here, there):
        yield from opened(Bench(tmp_path / "place", alpha.zygote, url=here, site_url=there))


def opened(bench: Bench) -> Iterator[Bench]:
    yield bench
    bench.close()


def start(bench: Bench, host: Host, *words: str, kill_at: str = "", **environ: str) -> int:
    bench.zygote = host.zygote
    bench.note(f"on {host.name}:")
    return bench.start(*words, kill_at=kill_at, **environ)


def end(bench: Bench, host: Host, pid: int) -> None:
    """End a driver in the orderly way."""
    host.zygote.send(pid, signal.SIGTERM)
    assert host.zygote.wait(pid) == 0, bench.told()


def wait_until(bench: Bench, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not reached():
        assert time.monotonic() < deadline, bench.told()
        time.sleep(0.05)


def submit(bench: Bench, host: Host, *commands: str) -> None:
    bench.zygote = host.zygote
    bench.write_spec(*commands)
    number = len(bench.statuses()) if bench.history else 0
    bench.ok("submit", "--key", f"k{number}", "-n", f"w{number}")
    if number == 0:
        bench.watch_moves()


def driver(bench: Bench) -> str:
    """Return the name of the host whose process drives, nothing if none does."""
    found = bench.rows("SELECT host FROM leases WHERE pid != 0")
    return str(found[0][0]) if found else ""


def let_lease_run_out(bench: Bench) -> None:
    bench.execute("UPDATE leases SET expires_at = 0")


def check(bench: Bench, **ran: int) -> None:
    assert {log: len(bench.lines(f"{log}.log")) for log in ran} == ran, bench.told()
    assert bench.wrong() == [], bench.told()


@pytest.mark.parametrize("bench", ["sqlite", "postgresql"], indirect=True)
def test_serve_tick_and_run_at_once(bench: Bench, alpha: Host, beta: Host) -> None:
    submit(bench, alpha, bench.command("a.log"), bench.command("b.log"))
    submit(bench, beta, bench.command("c.log"), bench.command("d.log"))
    servers = [(host, start(bench, host, "serve")) for host in (alpha, beta)]
    runs = [(beta, start(bench, beta, "run", "-n", "w2", "--key", "k2"))]
    drives = [(host, start(bench, host, "tick", "--for", "1")) for host in (alpha, beta)]

    assert [host.zygote.wait(pid) for host, pid in [*runs, *drives]] == [0, 0, 0], bench.told()
    wait_until(bench, bench.over)
    for host, pid in servers:
        end(bench, host, pid)

    assert bench.statuses() == ["finished"] * 3
    check(bench, a=1, b=1, c=2, d=2)


@pytest.mark.parametrize(
    ("bench", "point"),
    [("sqlite", P.CALL_MADE), ("postgresql", P.EVIDENCE_SEEN)],
    indirect=["bench"],
)
def test_a_killed_driver_is_replaced_after_its_lease(
    bench: Bench, alpha: Host, beta: Host, point: CrashPoint
) -> None:
    submit(bench, alpha, bench.command("a.log"), bench.command("b.log"))
    doomed = start(bench, alpha, "serve", kill_at=point.name)
    assert alpha.zygote.wait(doomed) == KILLED
    ((generation, expires_at),) = bench.rows("SELECT generation, expires_at FROM leases")
    other = start(bench, beta, "serve")

    wait_until(bench, bench.over)
    ((taken, heartbeat),) = bench.rows("SELECT generation, heartbeat_at FROM leases")
    end(bench, beta, other)

    assert taken == generation + 1
    assert heartbeat >= expires_at, "the lease of a host that cannot be asked was not waited for"
    assert bench.statuses() == ["finished"]
    check(bench, a=1, b=1)


SLEEPS = {
    "sqlite": (P.LEASE_TAKEN, P.CALL_WRITTEN, P.EVIDENCE_SEEN),
    "postgresql": (P.ADVANCE_PLANNED, P.FILES_WRITTEN, P.CALL_WRITTEN),
}


@pytest.mark.parametrize(
    ("bench", "point"),
    [(database, point) for database, points in SLEEPS.items() for point in points],
    indirect=["bench"],
)
def test_a_sleeper_that_wakes_on_the_other_host(
    bench: Bench, alpha: Host, beta: Host, point: CrashPoint
) -> None:
    submit(bench, alpha, bench.command("a.log"), bench.command("b.log"))
    sleeper = start(bench, alpha, "serve", **{PAUSE_AT: point.name})
    wait_until(bench, lambda: alpha.zygote.state(sleeper) == "T")
    let_lease_run_out(bench)
    other = start(bench, beta, "serve")

    wait_until(bench, bench.over)
    alpha.zygote.send(sleeper, signal.SIGCONT)
    end(bench, beta, other)
    submit(bench, beta, bench.command("c.log"))
    wait_until(bench, bench.over)
    assert driver(bench) == "alpha"
    end(bench, alpha, sleeper)

    assert bench.statuses() == ["finished"] * 2
    check(bench, a=1, b=1, c=1)


@pytest.mark.parametrize("bench", ["sqlite", "postgresql"], indirect=True)
def test_a_host_that_loses_power_and_comes_back(
    bench: Bench, lan: Lan, alpha: Host, beta: Host
) -> None:
    """Its job is gone with it; only under its next boot can that be known, and is said."""
    submit(bench, alpha, f"{bench.command('a.log')}; [ -e go ] || {LONG}", bench.command("b.log"))
    start(bench, alpha, "serve")
    wait_until(bench, lambda: bool(bench.lines("a.log")))
    lan.cut_power(alpha)
    let_lease_run_out(bench)
    other = start(bench, beta, "serve")
    wait_until(bench, lambda: driver(bench) == "beta")
    assert not bench.over()

    end(bench, beta, other)
    ((workspace,),) = bench.rows("SELECT workspace FROM workflows")
    Path(workspace, "go").touch()
    again = lan.boot("alpha")
    server = start(bench, again, "serve")
    wait_until(bench, bench.over)
    end(bench, again, server)

    assert bench.statuses() == ["finished"], bench.told()
    check(bench, a=2, b=1)


@pytest.mark.parametrize(
    ("bench", "point"),
    [("postgresql", P.CALL_WRITTEN), ("postgresql", P.ADVANCE_HALF)],
    indirect=["bench"],
)
def test_a_host_that_loses_its_network(
    bench: Bench, lan: Lan, alpha: Host, beta: Host, point: CrashPoint
) -> None:
    """Also in the middle of a transaction: the server ends it, and its locks with it."""
    submit(bench, alpha, bench.command("a.log"), bench.command("b.log"))
    bench.site_url = f"{bench.site_url}?options=-cidle_in_transaction_session_timeout%3D2s"
    bench.write_site()
    sleeper = start(bench, alpha, "serve", **{PAUSE_AT: point.name})
    wait_until(bench, lambda: alpha.zygote.state(sleeper) == "T")
    lan.cable(alpha, plugged=False)
    wait_until(bench, lambda: not bench.is_locked())
    let_lease_run_out(bench)
    other = start(bench, beta, "serve")
    wait_until(bench, bench.over)

    alpha.zygote.send(sleeper, signal.SIGCONT)
    lan.cable(alpha, plugged=True)
    end(bench, beta, other)
    submit(bench, beta, bench.command("c.log"))
    wait_until(bench, bench.over)
    assert driver(bench) == "alpha"
    end(bench, alpha, sleeper)

    assert bench.statuses() == ["finished"] * 2
    check(bench, a=1, b=1, c=1)
