"""Withdraws leases that were not sent, and ends the leases of streams that have ended."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial

import structlog

from ..commands.claim import MOST_AT_ONCE, Handed
from ..commands.end_leases import end_of_stream
from ..commands.live_leases import Withdraw
from ..domain.refusals import Reason, Refused
from ..store.store import Store
from .streams import AdapterStream
from .until_none_is_found import until_none_is_found

RETRY_SECONDS = 1.0
"""The seconds between two attempts while the store cannot be reached."""

FINISH_SECONDS = 1.0
"""The longest time, in seconds, that a drain waits for the running commit, because this commit may
still give leases to streams. After the commit, the drain waits at most the same time again for the
withdrawal of the leases that were not sent.
"""

log = structlog.get_logger()


class Withdrawals:
    """Withdraws, in the background, leases that were not sent, and ends the leases of streams that
    have ended.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: set[asyncio.Task[None]] = set()
        self._doubt_ends_at = -math.inf

    def begin(self, handed: Sequence[Handed]) -> None:
        """Withdraws leases that were given but will not be sent."""
        if handed:
            self._in_background(self._withdraw(handed))

    def end_leases(self, stream: AdapterStream) -> None:
        """Withdraws the leases of an ended stream that were not sent, and ends its other leases."""
        self._in_background(self._end_leases(stream))

    def begin_doubt(self) -> None:
        """Lets the leases of streams that end now end once more later. Call this function when the
        connection to the database was lost: the database keeps the lost session for at most
        `patience` seconds, and may get and make a commit in this time, which gives more leases.
        """
        if self._store.shared:
            self._doubt_ends_at = time.monotonic() + self._store.waits.patience

    async def finish(self) -> None:
        """Waits until all withdrawals are committed, including the withdrawals of leases that a
        running commit gives. Leases that are not withdrawn would stay live until they run out.
        Gives up if the database does not answer.
        """
        with suppress(TimeoutError, Refused):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._store.do(Withdraw(leases=()))
        if self._running:
            await asyncio.wait(self._running, timeout=FINISH_SECONDS)

    async def _end_leases(self, stream: AdapterStream) -> None:
        await stream.claimed.wait()
        # A running commit may have given further leases to the stream. The withdrawal ends only
        # after the running commit, even if there is nothing to withdraw. So the leases of the
        # running commit are withdrawn before the other leases of the stream end.
        await self._withdraw(stream.take_unsent())
        end = end_of_stream(stream.provider, stream.id)
        await _persistently(lambda: until_none_is_found(self._store, end))
        if (left := self._doubt_ends_at - time.monotonic()) > 0:
            await asyncio.sleep(left)
            await _persistently(lambda: until_none_is_found(self._store, end))

    async def _withdraw(self, handed: Sequence[Handed]) -> None:
        leases = tuple([each.lane.lease for each in handed])
        for start in range(0, len(leases) or 1, MOST_AT_ONCE):
            withdrawal = Withdraw(leases=leases[start : start + MOST_AT_ONCE])
            await _persistently(partial(self._store.do, withdrawal))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(_log_failure)


async def _persistently(change: Callable[[], Awaitable[None]]) -> None:
    """Makes the change. If the store cannot be reached, tries again until the change succeeds."""
    while True:
        try:
            return await change()
        except Refused as refused:
            if refused.reason is not Reason.STORE_UNAVAILABLE:
                raise
            await asyncio.sleep(RETRY_SECONDS)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("leases_not_ended", error=repr(task.exception()))
