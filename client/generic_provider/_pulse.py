"""Detects that this process was suspended. Then the next message may have been sent long ago."""

from __future__ import annotations

import asyncio
import time

BEAT_SECONDS = 0.2
LATE_SECONDS = 0.5
"""If the timer is late by at least this many seconds, the process was suspended.

A lease can seem this much too long.
"""

CATCHING_UP_SECONDS = 2.0
"""For this many seconds after a suspension, a message may be one that arrived during the
suspension.
"""


READING_SECONDS = 0.3
"""For this many seconds after a suspension, nothing is begun, because a message may report the end
of a lease.
"""


class Pulse:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self._stood_still = 0.0
        self._caught_up_at = 0.0
        self._may_begin_at = 0.0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beat()

    def sent_at(self) -> float:
        """Returns the earliest time, on the monotonic clock, at which a message that is read now
        can have arrived.
        """
        self._notice()
        now = time.monotonic()
        return now - self._stood_still if now < self._caught_up_at else now

    async def steady(self) -> None:
        """Waits until the messages that arrived during a suspension have been read."""
        self._notice()
        while (wait := self._may_begin_at - time.monotonic()) > 0:
            await asyncio.sleep(wait)
            self._notice()

    def _notice(self) -> None:
        if time.monotonic() - self._last > BEAT_SECONDS + LATE_SECONDS:
            self._beat()

    def _beat(self) -> None:
        now = time.monotonic()
        late = now - self._last - BEAT_SECONDS
        if late > LATE_SECONDS:
            before = self._stood_still if now < self._caught_up_at else 0.0
            self._stood_still = before + late
            self._caught_up_at = now + CATCHING_UP_SECONDS
            self._may_begin_at = now + READING_SECONDS
        self._last = now
