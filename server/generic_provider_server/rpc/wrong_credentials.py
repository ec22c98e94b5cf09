"""Slows down hosts that make many calls with wrong credentials, and logs such calls."""

from __future__ import annotations

import asyncio
import time

import structlog

PERIOD_SECONDS = 60.0
FREE = 10
"""A host can make this number of calls with wrong credentials within PERIOD_SECONDS before its
further calls with wrong credentials must wait.
"""
DELAY_SECONDS = 1.0
MOST_HOSTS, MOST_WAITING = 1_000, 100
"""The greatest number of hosts that are counted, and of calls that wait. Both limits keep the use
of memory small.
"""
MOST_LINES = 20
"""The greatest number of log lines about single refused calls within PERIOD_SECONDS."""
MOST_HELD = 64 * 1024
"""The greatest size in bytes of the message of a call that waits. A call with a larger message is
refused at once, because gRPC keeps the message in memory until the call ends.
"""

log = structlog.get_logger()


class WrongCredentials:
    """Counts the calls with wrong credentials, by host."""

    def __init__(self) -> None:
        self.refused: dict[str, tuple[int, float]] = {}
        self._waiting = 0
        self._calls = self._lines = 0

    async def slow_down(self, host: str, *, size: int) -> None:
        """Counts a call whose credentials were refused. Then waits for DELAY_SECONDS if the host
        has made more than FREE such calls, `size` is at most MOST_HELD, and fewer than MOST_WAITING
        calls wait.

        `size`: the size of the message in bytes. Calls with right credentials from the same host do
        not wait.
        """
        count = self._count(host, now=time.monotonic())
        self._log(host, count)
        if count <= FREE or size > MOST_HELD or self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(DELAY_SECONDS)
        finally:
            self._waiting -= 1

    def _log(self, host: str, count: int) -> None:
        if not self._calls:
            asyncio.get_running_loop().call_later(PERIOD_SECONDS, self._sum_up)
        self._calls += 1
        # Only the calls number 1, 10, 100, … of a host are logged.
        if str(count).rstrip("0") == "1":
            self._lines += 1
            if self._lines <= MOST_LINES:
                log.warning("credentials_refused", host=host, calls=count)

    def _sum_up(self) -> None:
        if self._lines > MOST_LINES:
            left_out = self._lines - MOST_LINES
            log.warning("credentials_refused_often", calls=self._calls, lines_left_out=left_out)
        self._calls = self._lines = 0

    def _count(self, host: str, *, now: float) -> int:
        count, until = self.refused.pop(host, (0, 0.0))
        if now >= until:
            count, until = 0, now + PERIOD_SECONDS
        if len(self.refused) >= MOST_HOSTS:
            del self.refused[next(iter(self.refused))]
        self.refused[host] = count + 1, until
        return count + 1
