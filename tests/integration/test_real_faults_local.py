"""Faults of a host that is a cluster by itself, and what the user of a gateway sees of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.place import IN_TEST_BED
from tests.integration.under_fault import FIRST_WAITS, Gateway, Run, kill_session, working

pytestmark = [
    pytest.mark.apptainer,
    pytest.mark.timeout(500),
    IN_TEST_BED,
    pytest.mark.xdist_group("real faults local"),
]

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with working({"local": {"lost_after": 3}}) as made:
        yield made


def started(gateway: Gateway) -> Run:
    run = gateway.submit(FIRST_WAITS, cluster="local")
    run.started()
    run.attempt()
    return run


def script_of(run: Run) -> int:
    """Return the process of the job script, which leads the session of the job."""
    return int(run.claims()[0]["pid"])


def runs_again(run: Run, outcome: str, *words: str) -> None:
    """Check that the job is tried once more after such an end, and that it is said why."""
    explained = run.ends("finished")
    assert [each["outcome"] for each in run.attempts()] == [outcome, "success"]
    assert run.count() == 2
    assert [word for word in words if word not in explained] == []


def test_every_process_of_a_job_is_killed(gateway: Gateway) -> None:
    run = started(gateway)
    kill_session(script_of(run))
    runs_again(run, "lost", "missing from every record", "left no exit record")


def test_only_the_job_script_is_killed(gateway: Gateway) -> None:
    run = started(gateway)
    os.kill(script_of(run), signal.SIGKILL)
    run.says("job script gone, its command alive")
    assert run.last()["state"] == "running", "its command runs"
    run.go()
    runs_again(run, "lost", "left no exit record")
    assert run.count("ends") == 2


def test_jobs_and_gateway_are_gone_at_once(gateway: Gateway) -> None:
    run = started(gateway)
    gateway.driver.end(signal.SIGKILL)
    kill_session(script_of(run))
    gateway.driver.start("serve")
    runs_again(run, "lost", "missing from every record")


def test_the_host_is_restarted(gateway: Gateway) -> None:
    run = started(gateway)
    gateway.driver.end(signal.SIGKILL)
    kill_session(script_of(run))
    boot_id = gateway.home / "boot_id"
    boot_id.write_text(f"{OTHER_BOOT}\n")
    gateway.driver.start("serve", before=under_boot(str(boot_id)))
    runs_again(run, "node lost", "other boot id", "was restarted")


def under_boot(boot_id: str) -> tuple[str, ...]:
    """Return words before a command that make it see another boot id of the kernel.

    A mount needs the root of a user namespace; one more makes the command its user's again.
    """
    mount = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"'
    user = (f"--map-user={os.getuid()}", f"--map-group={os.getgid()}")
    return ("unshare", "-rm", "sh", "-c", mount, "sh", boot_id, "unshare", "-U", *user)
