"""Commands that waited for a lock run again in groups."""

from __future__ import annotations

from typing import Any

import pytest

from generic_provider_server.store.write import blocked as module
from generic_provider_server.store.write.blocked import LONGEST_ROUND, Blocked
from generic_provider_server.store.write.command import Asked
from generic_provider_server.store.write.loaded import Needs
from generic_provider_server.store.write.next_group import MOST_IN_GROUP
from support.queued import queued

RELEASED_AT, LONG = 0.5, 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def waiting(number: str, *, size: int = 1) -> Asked[Any]:
    return queued(Needs(subscriptions=frozenset({number}), size=size))


def blocked_commands(*commands: Asked[Any]) -> Blocked:
    blocked = Blocked(60.0)
    for command in commands:
        blocked.add(command)
    return blocked


def test_groups_grow_from_round_to_round_if_each_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    blocked = blocked_commands(*[waiting(f"S{n}") for n in range(100)])
    sizes = list[int]()
    while blocked:
        for group in blocked.attempts():
            sizes.append(len(group))
            clock.now += 2 * LONGEST_ROUND
        clock.now += 1

    assert sizes == [1, 2, 4, 8, 16, 32, 37]


def test_a_command_runs_soon_after_its_lock_has_ended_although_another_lock_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    released, locked = waiting("released"), waiting("locked")
    blocked = blocked_commands(released, locked)
    while released.blocked and clock.now < LONG:
        blocked.add(waiting(f"S{clock.now}"))
        for group in blocked.attempts():
            clock.now += 0.01
            if locked in group or (released in group and clock.now < RELEASED_AT):
                for command in group:
                    blocked.add(command)
        clock.now += 0.1

    assert RELEASED_AT < clock.now < 2 * RELEASED_AT


def test_a_group_of_waiting_commands_is_no_larger_than_the_other_groups() -> None:
    blocked = blocked_commands(*[waiting(f"S{n}", size=100) for n in range(100)])
    groups = list(blocked.attempts())

    assert max(map(len, groups)) == MOST_IN_GROUP // 100
