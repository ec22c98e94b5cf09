"""Commands that waited for a lock run again in groups."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from generic_provider_server.store.write import blocked as module
from generic_provider_server.store.write.blocked import LONGEST_ROUND, Blocked
from generic_provider_server.store.write.loaded import Needs
from generic_provider_server.store.write.next_group import MOST_IN_GROUP


@dataclass(eq=False)
class Waiting:
    needs: Needs
    asked_at: float
    blocked: bool = False
    kind: str = "Perform"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def blocked_commands(count: int, *, size: int = 1) -> Blocked[Waiting]:
    blocked: Blocked[Waiting] = Blocked(60.0)
    for n in range(count):
        needs = Needs(subscriptions=frozenset({f"S{n}"}), size=size)
        blocked.add(Waiting(needs, asked_at=0.0))
    return blocked


def test_groups_grow_from_round_to_round_if_each_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    blocked = blocked_commands(100)
    sizes = list[int]()
    while blocked:
        for group in blocked.attempts():
            sizes.append(len(group))
            clock.now += 2 * LONGEST_ROUND
        clock.now += 1

    assert sizes == [1, 2, 4, 8, 16, 32, 37]


def test_a_group_of_waiting_commands_is_no_larger_than_the_other_groups() -> None:
    blocked = blocked_commands(100, size=100)
    groups = list(blocked.attempts())

    assert max(map(len, groups)) == MOST_IN_GROUP // 100
