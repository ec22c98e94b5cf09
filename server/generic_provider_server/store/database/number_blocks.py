"""Numbers of subscriptions, actions and requests: never given twice, gaps are allowed.

They are reserved when what they are for is locked, so those of one subscription ascend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

COUNTERS = ("subscription", "action", "request")
FEW = 32
"""Numbers reserved at least, where they have to be reserved."""


class Reserve(NamedTuple):
    """`take(name, count)` gives the number before the first of `count` new ones; `usual`: how many
    a transaction needs."""

    take: Callable[[str, int], int]
    usual: dict[str, int]


class Numbers:
    """What a transaction may give. `last`: the last number given; `end`: the last it may give."""

    def __init__(self, last: dict[str, int], reserve: Reserve | None = None) -> None:
        self.last = last
        self.end = dict(last) if reserve else dict.fromkeys(last, sys.maxsize)
        self.given = dict.fromkeys(last, 0)
        self._reserve = reserve

    def next(self, name: str) -> int:
        """The number that is given next; some more follow it without a gap."""
        if self._reserve and self.end[name] - self.last[name] < FEW:
            count = max(FEW, self._reserve.usual.get(name, 0), self.given[name])
            start = self._reserve.take(name, count)
            if start != self.end[name]:
                self.last[name] = start
            self.end[name] = start + count
        return self.last[name] + 1

    def give(self, name: str, count: int = 1) -> bool:
        """Gives so many, from `next` on; False if too few were left in a row, and then the next
        transaction has enough."""
        if self._reserve and self.end[name] - self.last[name] < count:
            self._reserve.usual[name] = count
            return False
        self.last[name] += count
        self.given[name] += count
        return True
