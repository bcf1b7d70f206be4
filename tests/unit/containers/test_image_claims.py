from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gateway.containers.claims import STALE_S, Claim, Owner, dead_tokens

NAME = "sha256-ab.sif"


def claim(store: Path, pause: object = None) -> Claim:
    return Claim(store, NAME, pause=pause or (lambda _: None))  # type: ignore[arg-type]


def age(store: Path, seconds: float, name: str = NAME) -> None:
    path = store / "claims" / name
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


def leave(store: Path, owner: Owner, token: str = "dead") -> None:
    """Leave what a process leaves that was killed while it held the claim."""
    own = store / "claims" / f".{token}"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(json.dumps(asdict(owner)))
    (own.parent / NAME).hardlink_to(own)
    (store / "partial" / token).mkdir(parents=True)


def elsewhere() -> Owner:
    return replace(Owner.this(), node="another", boot="another boot")


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    with claim(tmp_path) as first, claim(tmp_path) as second:
        assert first.take()
        assert first.take()
        assert not second.take()
        assert second.owner() == Owner.this()
    with claim(tmp_path) as third:
        assert third.take()
    assert list((tmp_path / "claims").iterdir()) == []


def test_of_many_contenders_one_wins(tmp_path: Path) -> None:
    claims = [claim(tmp_path) for _ in range(16)]
    for one in claims:
        one.__enter__()
    won: list[bool] = []
    threads = [threading.Thread(target=lambda c=one: won.append(c.take())) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == 1
    for one in claims:
        one.__exit__(None, None, None)


def test_the_answer_of_link_may_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def lost(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError

    monkeypatch.setattr(os, "link", lost)
    with claim(tmp_path) as mine:
        assert mine.take()


def test_without_hard_links_everybody_does_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with claim(tmp_path) as first, claim(tmp_path) as second:
        assert first.take()
        assert second.take()


@pytest.mark.parametrize(("silent_s", "taken"), [(STALE_S - 5, False), (STALE_S + 5, True)])
def test_a_claim_on_another_host_is_given_up_after_silence(
    tmp_path: Path, silent_s: float, taken: bool
) -> None:
    leave(tmp_path, elsewhere())
    age(tmp_path, silent_s)
    with claim(tmp_path) as mine:
        assert mine.take() == taken


def test_the_file_servers_clock_counts_and_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, elsewhere())
    monkeypatch.setattr("time.time", lambda: 4e9)
    with claim(tmp_path) as mine:
        assert not mine.take()


def test_a_dead_process_of_this_host_is_known_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gateway.containers.claims import Claim\n"
        f"c = Claim(Path(sys.argv[1]), {NAME!r}, pause=None).__enter__()\n"
        "assert c.take(); import os; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with claim(tmp_path) as mine:
        assert len(list(dead_tokens(tmp_path, mine))) == 1
        assert mine.take()


def test_a_number_that_another_process_has_now_is_not_the_owner() -> None:
    assert not Owner.this().is_known_dead
    assert replace(Owner.this(), started="1").is_known_dead
    assert not replace(Owner.this(), started="1", namespace="pid:[1]").is_known_dead


def test_of_two_that_take_over_one_stays(tmp_path: Path) -> None:
    leave(tmp_path, elsewhere())
    age(tmp_path, STALE_S + 5)
    with claim(tmp_path) as second:
        # The second comes while the first waits to see whether it stays the owner.
        def second_takes(_: float) -> None:
            age(tmp_path, STALE_S + 5)
            assert second.take()

        with claim(tmp_path, pause=second_takes) as first:
            assert not first.take()
            assert second.held


def test_letting_go_does_not_remove_a_claim_that_somebody_else_took(tmp_path: Path) -> None:
    with claim(tmp_path) as second:
        with claim(tmp_path) as first:
            assert first.take()
            age(tmp_path, STALE_S + 5)
            (tmp_path / "claims" / NAME).unlink()
            assert second.take()
        assert second.held


def test_only_what_the_dead_left_is_cleaned(tmp_path: Path) -> None:
    leave(tmp_path, elsewhere(), token="living-elsewhere")
    (tmp_path / "claims" / NAME).unlink()
    leave(tmp_path, elsewhere(), token="silent")
    age(tmp_path, 10 * STALE_S + 5, name=".silent")
    (tmp_path / "partial" / "without-owner").mkdir()
    with claim(tmp_path) as mine, claim(tmp_path) as living:
        (tmp_path / "partial" / living.token).mkdir()
        assert list(dead_tokens(tmp_path, mine)) == ["silent", "without-owner"]


def test_nobody_is_dead_when_the_clock_cannot_be_read(tmp_path: Path) -> None:
    with claim(tmp_path) as mine:
        (tmp_path / "partial" / "without-owner").mkdir(parents=True)
        (tmp_path / "claims" / f".{mine.token}").unlink()
        assert list(dead_tokens(tmp_path, mine)) == []
