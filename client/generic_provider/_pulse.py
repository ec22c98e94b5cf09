"""Detects that this process was suspended. After a suspension, messages of the server may be
waiting unread.
"""

from __future__ import annotations

import asyncio
import time

BEAT_SECONDS = 0.2
LATE_SECONDS = 0.5
"""If the timer is late by more than this number of seconds, the process was suspended."""

READING_SECONDS = 0.3
"""The seconds after a suspension in which no request begins, because an unread message may report
the end of a lease.
"""


class Pulse:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self._may_begin_at = 0.0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beat()

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
            self._may_begin_at = now + READING_SECONDS
        self._last = now
