"""What is due without anybody asking: leases, retries, ends, expiry."""

from __future__ import annotations

import asyncio
import time

import structlog

from ..commands.due import EndDue, ExpireOverdue, WakeDelayed
from ..commands.end_leases import end_of_overdue
from ..domain.refusals import Reason, Refused
from ..domain.values import Instant
from ..store.read.backlog import MOST_DUE
from ..store.store import Store

TICK = 0.25
"""Seconds between two looks at the clock."""

EVERYTHING_SECONDS = 5.0
SHARE = 20
"""Leases that ran out long ago are looked for seldom, and for at most so small a part of the time:
while an old snapshot is open, PostgreSQL finds many that were answered since."""

log = structlog.get_logger()


class Clock:
    """Looks at what is due; every look is bounded, and what is left is done at the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases_since = Instant(0)
        self._everything_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="clock")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            more = False
            try:
                more = await self.look()
            except Refused as refused:
                if refused.reason is not Reason.STORE_UNAVAILABLE:
                    log.warning("clock_refused", message=refused.message)
            except Exception:
                log.exception("clock_failed")
            await asyncio.sleep(0 if more else TICK)

    async def look(self) -> bool:
        """Is there perhaps more that is due already?"""
        began = time.monotonic()
        everything = began >= self._everything_at
        since = Instant(0) if everything else self._leases_since
        due = await self._store.read(lambda reads: reads.due(leases_since=since))
        if everything:
            took = time.monotonic() - began
            self._everything_at = began + max(EVERYTHING_SECONDS, SHARE * took)
        if due.leases:
            await self._store.do(end_of_overdue(due.now, since=since))
        else:
            self._leases_since = due.now
        if due.retries:
            await self._store.do(WakeDelayed())
        for provider in due.overdue:
            await self._store.do(ExpireOverdue(provider=provider))
        ended = await asyncio.gather(*[self._end(each) for each in due.subscriptions])
        return len(ended) == MOST_DUE and any(ended)

    async def _end(self, subscription: str) -> bool:
        """Did it end? One that cannot does not keep the others from it."""
        try:
            await self._store.do(EndDue(subscription=subscription))
        except Refused as refused:
            log.warning("end_refused", subscription=subscription, reason=refused.reason.value)
            return False
        return True
