"""Notices that this process stood still: what it then reads was sent a while ago."""

from __future__ import annotations

import asyncio
import time

BEAT_SECONDS = 0.2
LATE_SECONDS = 0.5
"""By which a beat must be late to be noticed: so much may a lease seem too long."""

CATCHING_UP_SECONDS = 2.0
"""After a standstill, in which messages that came during it are still being read."""


class Pulse:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self._stood_still = 0.0
        self._caught_up_at = 0.0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beat()

    def sent_at(self) -> float:
        """The earliest time, of the monotonic clock, at which what is read now may have come."""
        now = time.monotonic()
        if now - self._last > BEAT_SECONDS + LATE_SECONDS:
            self._beat()
        return now - self._stood_still if now < self._caught_up_at else now

    def _beat(self) -> None:
        now = time.monotonic()
        late = now - self._last - BEAT_SECONDS
        if late > LATE_SECONDS:
            before = self._stood_still if now < self._caught_up_at else 0.0
            self._stood_still = before + late
            self._caught_up_at = now + CATCHING_UP_SECONDS
        self._last = now
