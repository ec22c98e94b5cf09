"""The commands that waited for a lock run again in groups of the usual size."""

from __future__ import annotations

import time
from dataclasses import dataclass

from generic_provider_server.store.write.blocked import Blocked
from generic_provider_server.store.write.loaded import Needs
from generic_provider_server.store.write.next_group import MOST_IN_GROUP


@dataclass(eq=False)
class Waiting:
    needs: Needs
    asked_at: float
    blocked: bool = False
    kind: str = "Perform"


def test_a_group_of_waiting_commands_is_no_larger_than_the_other_groups() -> None:
    blocked: Blocked[Waiting] = Blocked(60.0)
    for n in range(100):
        needs = Needs(subscriptions=frozenset({f"S{n}"}), size=100)
        blocked.add(Waiting(needs, time.monotonic()))
    groups = list(blocked.attempts())

    assert max(map(len, groups)) == MOST_IN_GROUP // 100
