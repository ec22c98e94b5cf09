"""Decides which commands make up the next group, so that nobody starves."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from .loaded import Needs

MOST_IN_GROUP = 400
"""How much a group holds: a command counts as the subscriptions that it names, at least as one."""
SHARE = MOST_IN_GROUP // 4
"""How much of a group is always left to the CRM while adapters are at work."""


class Queued(Protocol):
    needs: Needs


Q = TypeVar("Q", bound=Queued)


class Queue(Generic[Q]):
    """What adapters ask and what everybody else asks, each in the order of asking.

    What adapters ask goes into the very next group, so the CRM cannot starve them. While others
    wait, it takes at most half of a group, so adapters cannot starve the CRM.
    """

    def __init__(self) -> None:
        self._adapters: deque[Q] = deque()
        self._others: deque[Q] = deque()
        self._adapters_work = False

    def __len__(self) -> int:
        return len(self._adapters) + len(self._others)

    def add(self, queued: Q) -> None:
        (self._adapters if queued.needs.for_adapter else self._others).append(queued)

    def next_group(self) -> list[Q]:
        """The others get as much as the adapters, at least `SHARE`, so that new work does not
        come faster than it is done. A round trip of an adapter takes two groups, so adapters
        are at work if this group or the last one has a command of theirs.
        """
        group, size = _taken(self._adapters, MOST_IN_GROUP // 2 if self._others else MOST_IN_GROUP)
        worked, self._adapters_work = self._adapters_work, bool(group)
        most = SHARE if worked or group else MOST_IN_GROUP
        return group + _taken(self._others, max(most, size))[0]


def _taken(waiting: deque[Q], most: int) -> tuple[list[Q], int]:
    """Takes commands from the front up to `most`, at least one, and returns how much they are."""
    taken: list[Q] = []
    size = 0
    while waiting:
        more = max(1, len(waiting[0].needs.subscriptions))
        if taken and size + more > most:
            break
        taken.append(waiting.popleft())
        size += more
    return taken, size
