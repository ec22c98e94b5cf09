"""Tests the time of a process when the clock that the process follows is set, or is not read for
some time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from generic_provider_server.store.database.process_clock import SLOWER, ProcessClock

SECOND = 10**9


@dataclass
class Times:
    """`wall`: the clock that the process follows; `since_boot`: the monotonic clock."""

    wall: int = 1_800_000_000 * SECOND
    since_boot: int = 77 * SECOND
    clock: ProcessClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ProcessClock(lambda: self.since_boot)
        self.clock.follow(self.wall)

    def go_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.wall += SECOND
            self.since_boot += SECOND
            self.clock.follow(self.wall)


def test_it_goes_on_when_the_other_clock_is_set_back_until_both_agree() -> None:
    times = Times()
    times.wall -= 120 * SECOND
    before = times.clock.now()
    times.go_on(60)
    assert before < times.clock.now() <= before + 60 * SECOND
    times.go_on(120 * SLOWER)
    assert times.clock.now() == times.wall


def test_it_follows_a_jump_forwards_at_once_but_leases_do_not() -> None:
    times = Times()
    before = times.clock.steady()
    times.wall += 120 * SECOND
    times.go_on(1)
    assert times.clock.now() == times.wall
    assert times.clock.steady() == before + SECOND


def test_it_goes_on_while_the_other_clock_is_not_read() -> None:
    times = Times()
    before = times.clock.now()
    times.since_boot += 5 * SECOND
    assert times.clock.now() == before + 5 * SECOND


class Paused(int):
    """The time of another clock. The thread that compares it pauses, so that another thread can use
    the process clock.
    """

    pauses = threading.Event()
    ended = threading.Event()

    def __sub__(self, other: int) -> Paused:
        return Paused(int(self) - other)

    def __lt__(self, other: int) -> bool:
        self.pauses.set()
        self.ended.wait(0.2)
        return int(self) < other


def test_it_never_jumps_back_although_two_threads_follow_the_other_clock() -> None:
    times = Times()
    slow = threading.Thread(target=times.clock.follow, args=(Paused(times.wall),))
    slow.start()
    Paused.pauses.wait()
    times.clock.follow(times.wall + 3_600 * SECOND)
    Paused.ended.set()
    seen = times.clock.now()
    slow.join()
    assert times.clock.now() >= seen > times.wall
