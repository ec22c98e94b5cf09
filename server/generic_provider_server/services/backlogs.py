"""Counts the pending requests of providers, for heartbeats and for pulls (calls of
PullPendingRequests).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial

from ..store.memory.full_scan import FullScan
from ..store.store import Store

ANSWER_SECONDS = 1.0
"""The greatest time in seconds that a heartbeat waits for a new count if an earlier count is known.
An adapter begins no request after 12 s without a message, so a heartbeat must not be late.
"""

COUNT_SECONDS = 2.0
"""The seconds for which all streams and pulls of a provider share one count of the pending
requests. If counting takes long, the streams and pulls share the count for longer.
"""

Backlog = tuple[int, int]
"""The number of pending requests, and the age of the oldest pending request in microseconds."""


class Backlogs:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns: defaultdict[str, FullScan] = defaultdict(partial(FullScan, COUNT_SECONDS))
        self._known: dict[str, Backlog] = {}
        self._counting: dict[str, asyncio.Task[Backlog]] = {}

    async def count(self, provider: str) -> Backlog:
        """Returns a count that is at most COUNT_SECONDS old, or older if counting takes long.

        All calls of this function share one query. The query goes on if a call does not wait any
        more.
        """
        counting = self._counting.get(provider)
        if counting is None:
            counting = self._counting[provider] = asyncio.create_task(self._count(provider))
            counting.add_done_callback(partial(self._forget, provider))
        return await asyncio.shield(counting)

    def _forget(self, provider: str, counting: asyncio.Task[Backlog]) -> None:
        del self._counting[provider]
        if not counting.cancelled():
            counting.exception()  # otherwise asyncio logs an error that no task got

    async def _count(self, provider: str) -> Backlog:
        with self._turns[provider].turn() as due:
            if due:
                backlog = await self._store.read(lambda queries: queries.backlog_size(provider))
                self._known[provider] = backlog
        return self._known[provider]

    async def count_in_time(self, provider: str) -> Backlog:
        """Returns the count. If the database is slow, returns an earlier count, so that no
        heartbeat is late. If there is no earlier count, waits until the first count is done.
        """
        known = self._known.get(provider)
        try:
            async with asyncio.timeout(None if known is None else ANSWER_SECONDS):
                return await self.count(provider)
        except TimeoutError:
            return known or (0, 0)
