"""The time of a process: it neither stands still nor jumps back, whatever other clocks do."""

from __future__ import annotations

import time
from collections.abc import Callable

SLOWER = 1_000
"""While this clock is ahead of the one that it follows, it loses one part in so many."""


class Clock:
    """Nanoseconds since 1970, advanced by the monotonic clock of the process.

    It follows another clock: forwards at once, backwards by going a little slower. It begins when
    it is told the time for the first time.
    """

    def __init__(self, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._first: int | None = None
        self._ahead = self._at = 0

    def follow(self, told: int) -> None:
        """`told`: what the other clock has shown, now or a little earlier."""
        at = self._monotonic()
        ahead = told - at
        if self._first is None:
            self._first = self._ahead = ahead
        self._ahead = max(ahead, self._ahead - (at - self._at) // SLOWER)
        self._at = at

    def now(self) -> int:
        return self._monotonic() + self._ahead

    def steady(self) -> int:
        """A time that advances evenly, by which leases are measured."""
        return self._monotonic() + (self._first or 0)
