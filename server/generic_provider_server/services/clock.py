"""What is due without anybody asking: leases, retries, ends, expiry."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from ..domain.refusals import Reason, Refused
from ..domain.subscription.due import next_end, usage_is_over
from ..domain.subscription.lifecycle import end_usage, expire
from ..domain.subscription.records import Who
from ..domain.values import Instant
from ..store.database import statements as sql
from ..store.read.backlog import MOST_DUE
from ..store.store import Store
from ..store.write.loaded import LATE, Needs
from ..store.write.transaction import Work
from .claiming import MOST_AT_ONCE, end_of_overdue
from .leases import end_overdue
from .performing import Perform

TICK = 0.25
"""Seconds between two looks at the clock."""

EVERYTHING_SECONDS = 5.0
SHARE = 20
"""Leases that ran out long ago are looked for seldom, and for at most so small a part of the time:
while an old snapshot is open, PostgreSQL finds many that were answered since."""

SERVICE = Who(performed_by="generic-provider", caller="generic-provider")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeDelayed:
    """Retries whose delay is over become ready."""

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Work) -> int:
        oldest = dict(work.tables.select(sql.AWAKE, (work.now,)))
        if oldest:
            work.tables.run(sql.WAKE, (work.now,))
            for provider, age in oldest.items():
                work.committed.wake(provider, age)
        return len(oldest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireOverdue:
    """Lanes of a provider whose first request is past the window, if no lease is live."""

    provider: str

    def needs(self) -> Needs:
        return LATE

    def run(self, work: Work) -> int:
        window = work.catalogues[self.provider].provider.delivery_settings.pending_window
        limit = work.now - window
        found = [
            number
            for bulk in (0, 1)
            for (number,) in work.tables.select(
                sql.OVERDUE, (self.provider, bulk, limit, limit, MOST_AT_ONCE)
            )
        ]
        delayed = work.tables.select(sql.OVERDUE_DELAYED, (self.provider, limit, MOST_AT_ONCE))
        found += [number for (number,) in delayed]
        for number in work.load_free(found):
            self._expire(work, number)
        return len(found)

    def _expire(self, work: Work, number: str) -> None:
        end_overdue(work, number)
        record = work.record(number)
        if record is None or work.lane(self.provider, number).count:
            return
        circumstances = work.circumstances(number)
        work.put(number, expire(record.aggregate, self.provider, circumstances=circumstances))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDue:
    """One automatic end of a subscription, the one that was due first, and usage that is over."""

    subscription: str

    def needs(self) -> Needs:
        return Needs(subscriptions=frozenset({self.subscription}))

    def run(self, work: Work) -> None:
        end_overdue(work, self.subscription)
        record = work.record(self.subscription)
        if record is None:
            return
        if usage_is_over(record.aggregate, now=work.now):
            circumstances = work.circumstances(self.subscription)
            work.put(self.subscription, end_usage(record.aggregate, circumstances=circumstances))
        action = next_end(record.aggregate.desired, now=work.now)
        if action is not None:
            Perform(
                action=action,
                subscription=self.subscription,
                original=b"",
                digest=b"",
                who=SERVICE,
                automatic=True,
            ).run(work)


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
