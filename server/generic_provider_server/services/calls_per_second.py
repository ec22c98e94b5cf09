"""Counts the calls that change something, so that background work pauses longer while there are
more such calls.
"""

from __future__ import annotations

import time

from ..store.notices.notice import Notice
from ..store.store import Store

CALLS_OF_A_PAUSE = 40
MOST_PAUSES = 4


class CallsPerSecond:
    """Counts the commands of calls that change something. The commands of adapters do not count,
    except platform reports.
    """

    def __init__(self, store: Store) -> None:
        self._second = 0
        self._now = self._before = 0
        store.listeners.committed.append(self._note)

    def _note(self, notice: Notice) -> None:
        self._advance()
        self._now += notice.tally.of_callers

    def latest(self) -> int:
        """Returns the greater of two numbers: the count of the last full second, and the count of
        the second that has begun.
        """
        self._advance()
        return max(self._now, self._before)

    def pauses(self) -> float:
        """Returns the factor by which the duration of background work is multiplied to get the
        duration of the pause after it: n / CALLS_OF_A_PAUSE if there are n calls in a second, but
        at most MOST_PAUSES.
        """
        return min(self.latest() / CALLS_OF_A_PAUSE, MOST_PAUSES)

    def _advance(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0
