"""What does not answer holds nobody up for longer than the limit, and is asked once."""

import threading
import time

import pytest

from gateway.service.in_time import InTime

LONG_S = 60.0


def test_an_answer_is_given() -> None:
    assert InTime[int](LONG_S).ask("a", lambda: 7) == 7


def test_an_error_is_raised_where_it_was_asked() -> None:
    in_time = InTime[int](LONG_S)
    with pytest.raises(ZeroDivisionError):
        in_time.ask("a", lambda: 1 // 0)
    assert in_time.ask("a", lambda: 7) == 7


def test_what_hangs_is_left_alone_until_it_answers() -> None:
    in_time = InTime[int](0.01)
    asked: list[int] = []
    answer = threading.Event()

    def hang() -> int:
        asked.append(1)
        answer.wait(LONG_S)
        return 1

    for _ in range(3):
        with pytest.raises(TimeoutError):
            in_time.ask("a", hang)
    assert asked == [1]
    answer.set()
    deadline = time.monotonic() + LONG_S
    while True:
        try:
            assert in_time.ask("a", lambda: 2) in (1, 2)
            break
        except TimeoutError:
            assert time.monotonic() < deadline


def test_one_question_does_not_wait_for_another() -> None:
    in_time = InTime[int](LONG_S)
    answer = threading.Event()
    waiting = threading.Thread(target=in_time.ask, args=("a", lambda: int(answer.wait(LONG_S))))
    waiting.start()
    assert in_time.ask("b", lambda: 7) == 7
    answer.set()
    waiting.join(LONG_S)
    assert not waiting.is_alive()
