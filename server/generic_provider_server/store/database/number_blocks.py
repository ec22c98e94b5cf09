"""Reserves the numbers of subscriptions, actions, requests and the other objects in COUNTERS.

Each number is used at most once; gaps are allowed. The numbers of actions and requests are reserved
while their subscription is locked, so they ascend within one subscription.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

COUNTERS = ("subscription", "action", "request", "reset_definition", "reset_run", "archive")
ASCENDING = ("action", "request")
"""The numbers from these counters ascend within a subscription."""

FEW = 32
"""Each reservation contains this many more numbers than the transaction is likely to need."""


class Reserve(NamedTuple):
    """Reserves numbers of a counter. `take(name, count)` reserves `count` numbers and returns the
    number before the first of them.

    `usual`: for each counter, how many numbers a transaction usually needs.
    """

    take: Callable[[str, int], int]
    usual: dict[str, int]


class Numbers:
    """The reserved numbers of a transaction.

    For each counter, `last` is the last used number, `end` is the last reserved number, and `given`
    counts the numbers that this transaction has used.
    """

    def __init__(self, last: dict[str, int], reserve: Reserve | None = None) -> None:
        self.last = last
        self.end = dict(last) if reserve else dict.fromkeys(last, sys.maxsize)
        self.given = dict.fromkeys(last, 0)
        self._reserve = reserve

    def next(self, name: str, count: int = 1) -> int:
        """Returns the first of the next `count` numbers, which are consecutive. The numbers count
        as used only after a call of `give`.
        """
        if self._reserve and self.end[name] - self.last[name] < count:
            more = FEW + max(self._reserve.usual.get(name, 0), self.given[name], count)
            start = self._reserve.take(name, more)
            if start != self.end[name]:
                self.last[name] = start
            self.end[name] = start + more
        return self.last[name] + 1

    def drop_spare(self) -> None:
        """Drops the unused reserved numbers of actions and requests, so that no object ever gets
        these numbers.
        """
        for name in ASCENDING:
            self.end[name] = self.last[name]

    def give(self, name: str, count: int = 1) -> None:
        """Counts the next `count` numbers as used. Call `next` before."""
        self.last[name] += count
        self.given[name] += count
