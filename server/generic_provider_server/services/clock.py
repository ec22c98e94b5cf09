"""What is due without anybody asking: leases, retries, ends, expiry."""

from __future__ import annotations

import asyncio

import structlog

from ..commands.due import EndDue, ExpireOverdue, WakeDelayed
from ..commands.end_leases import end_of_overdue
from ..domain.refusals import Refused
from ..domain.values import Instant
from ..store.memory.full_scan import FullScan
from ..store.read.backlog import MOST_DUE
from ..store.store import Store
from .loop import Loop

TICK = 0.25
"""Seconds between two looks at the clock."""

FULL_SCAN_SECONDS = 5.0
"""Leases that ran out long ago are searched for seldom: while an old snapshot is open, PostgreSQL
finds many that were answered since."""

log = structlog.get_logger()


class Clock:
    """Looks at what is due; every look is bounded, and what is left is done at the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._leases_since = Instant(0)
        self._full_scan = FullScan(FULL_SCAN_SECONDS)
        self._loop = Loop("clock", self.look, seconds=TICK)
        self.start, self.stop = self._loop.start, self._loop.stop

    async def look(self) -> bool:
        """Is there perhaps more that is due already?"""
        with self._full_scan.turn() as everything:
            since = Instant(0) if everything else self._leases_since
            due = await self._store.read(lambda reads: reads.due(leases_since=since))
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
