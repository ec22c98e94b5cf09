"""Lets callers wait for actions to settle."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from contextlib import suppress

from ..domain.subscription.records import ActionRecord, ActionState
from ..store.notices.notice import Notice
from ..store.store import Store

UNSETTLED = frozenset({ActionState.SCHEDULED, ActionState.EXECUTED})
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""The first and the longest pause, in seconds, between two queries for an action that another
process may settle.
"""


class ActionWaits:
    """Returns an action to waiting callers when a commit settles the action.

    Use this object only on the event loop.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._draining = False
        store.listeners.committed.append(self._resume)

    def _resume(self, notice: Notice) -> None:
        for action in notice.settled & self._waiting.keys():
            for settled in self._waiting[action]:
                settled.set()

    def drain(self) -> None:
        """Ends all waits. Each waiting caller gets the action in its current state."""
        self._draining = True
        for waiting in self._waiting.values():
            for settled in waiting:
                settled.set()

    async def action(self, action: int, *, wait: float) -> ActionRecord | None:
        """Returns the action as soon as it is settled, but at the latest after `wait` seconds.

        Returns None if the action does not exist.
        """
        deadline = time.monotonic() + wait
        pause = FIRST_PAUSE if self._store.shared else math.inf
        settled = asyncio.Event()
        self._waiting[action].add(settled)
        try:
            while True:
                settled.clear()
                record = await self._store.read(lambda queries: queries.action(action))
                left = deadline - time.monotonic()
                if record is None or _is_settled(record) or left <= 0 or self._draining:
                    return record
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, pause)):
                        await settled.wait()
                pause = min(2 * pause, LONGEST_PAUSE) if self._store.shared else pause
        finally:
            self._waiting[action].discard(settled)
            if not self._waiting[action]:
                del self._waiting[action]


def _is_settled(record: ActionRecord) -> bool:
    return record.state not in UNSETTLED and record.settle_time is not None
