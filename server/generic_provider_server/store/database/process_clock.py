"""Keeps the time of a process.

The time of a process never stops and never jumps back, even if the system clock jumps back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SLOWER = 1_000
"""While the process clock is ahead of the clock that it follows, the process clock runs slower by
the fraction 1/SLOWER.
"""


class ProcessClock:
    """The time in nanoseconds since 1970, advanced by the monotonic clock of the process.

    The process clock follows another clock. If the other clock is ahead, the process clock jumps
    forwards at once; if the other clock is behind, the process clock runs slower by a thousandth
    until both clocks agree. The first call of `follow` sets the process clock. Any thread may use
    this object.
    """

    def __init__(self, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._first: int | None = None
        self._ahead = self._at = 0

    def follow(self, other: int) -> None:
        """Adjusts the process clock to the other clock.

        `other`: the time that the other clock has shown, now or a little earlier.
        """
        with self._lock:
            at = self._monotonic()
            ahead = other - at
            if self._first is None:
                self._first = self._ahead = ahead
            self._ahead = max(ahead, self._ahead - (at - self._at) // SLOWER)
            self._at = at

    def now(self) -> int:
        return self._monotonic() + self._ahead

    def steady(self) -> int:
        """Returns a time that advances evenly. The service measures the durations of leases with
        this time.
        """
        return self._monotonic() + (self._first or 0)
