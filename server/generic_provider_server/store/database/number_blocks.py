"""Reserves the numbers of subscriptions, actions, requests and archives. No number is given twice;
gaps are allowed.

A number is reserved while the subscription is locked, so the numbers of one subscription ascend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

COUNTERS = ("subscription", "action", "request", "reset_definition", "reset_run", "archive")
FEW = 32
"""At least this many numbers are reserved at once."""


class Reserve(NamedTuple):
    """Reserves numbers of a counter. `take(name, count)` reserves `count` numbers and returns the
    first of them minus one.

    `usual`: how many numbers a transaction usually needs.
    """

    take: Callable[[str, int], int]
    usual: dict[str, int]


class Numbers:
    """The numbers that a transaction can give.

    `last`: for each counter, the number that was given last. `end`: for each counter, the last
    number that is reserved.
    """

    def __init__(self, last: dict[str, int], reserve: Reserve | None = None) -> None:
        self.last = last
        self.end = dict(last) if reserve else dict.fromkeys(last, sys.maxsize)
        self.given = dict.fromkeys(last, 0)
        self._reserve = reserve

    def next(self, name: str) -> int:
        """Returns the number that `give` gives next. The reserved numbers have no gap behind it."""
        if self._reserve and self.end[name] - self.last[name] < FEW:
            count = FEW + max(self._reserve.usual.get(name, 0), self.given[name])
            start = self._reserve.take(name, count)
            if start != self.end[name]:
                self.last[name] = start
            self.end[name] = start + count
        return self.last[name] + 1

    def give(self, name: str, count: int = 1) -> bool:
        """Gives `count` numbers, beginning with the one that `next` returns.

        Returns False if too few reserved numbers follow each other. Then the next transaction
        reserves enough.
        """
        if self._reserve and self.end[name] - self.last[name] < count:
            self._reserve.usual[name] = count
            return False
        self.last[name] += count
        self.given[name] += count
        return True
