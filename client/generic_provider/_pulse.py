"""Notices that this process stood still: what it then reads was sent a while ago."""

from __future__ import annotations

import asyncio
import time

BEAT_SECONDS = 0.2
LATE_SECONDS = 0.5
"""By which a beat must be late to be noticed: so much may a lease seem too long."""

CATCHING_UP_SECONDS = 2.0
"""After a standstill, in which messages that came during it are still being read."""


READING_SECONDS = 0.3
"""After a standstill, in which nothing is begun: what came meanwhile may say that it is over."""


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
        """The earliest time, of the monotonic clock, at which what is read now may have come."""
        self._notice()
        now = time.monotonic()
        return now - self._stood_still if now < self._caught_up_at else now

    async def steady(self) -> None:
        """Waits until what came during a standstill has been read."""
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
