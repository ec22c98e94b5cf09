"""Runs the duties of the clock. Each duty has its own period, and is independent of the other
duties.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ..domain.refusals import Reason, Refused
from ..store.memory.set_aside import Unprocessable
from ..store.read.duties import MOST_DUE
from ..store.store import Store
from ..store.write.command import Command
from .clock_duties import Duty
from .periodic_step import Loop

FEW, MANY = 6, 30
"""The number of commands of a duty that are queued together: few, or many if the writer is busy, so
that groups are large.
"""
BUSY_SECONDS = 0.02
"""If commands take longer than this time in seconds, the writer is busy."""


class Clock:
    def __init__(self, store: Store, duties: Iterable[Duty]) -> None:
        self._store = store
        self._duties = tuple(duties)
        self._loops = [
            Loop(duty.name, partial(self._do, duty), seconds=duty.seconds) for duty in self._duties
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        for loop in self._loops:
            loop.start()
        try:
            yield
        finally:
            await asyncio.gather(*[loop.stop() for loop in self._loops])

    async def do_everything(self) -> bool:
        """Runs each duty once, one after the other. Returns whether a duty may have more work."""
        return any([await self._do(duty) for duty in self._duties])

    async def _do(self, duty: Duty) -> bool:
        commands = list(await self._store.read(duty.due))
        done = await self._do_each(commands)
        failed = [each for each in done if isinstance(each, BaseException)]
        for error in failed:
            if not _was_set_aside(error):
                raise error
        return len(done) >= MOST_DUE and len(failed) < len(done)

    async def _do_each(self, commands: Sequence[Command[object]]) -> list[object]:
        """Runs FEW commands at a time, or MANY if the last commands took longer than BUSY_SECONDS.

        Then pauses for as long as these commands took, but at most for BUSY_SECONDS. So if a
        hundred thousand automatic ends are due in the same second, no call waits for many of them.
        """
        done, most = list[object](), FEW
        while len(done) < len(commands):
            began = time.monotonic()
            asked = map(self._store.do, commands[len(done) : len(done) + most])
            done += await asyncio.gather(*asked, return_exceptions=True)
            took = time.monotonic() - began
            most = MANY if took > BUSY_SECONDS else FEW
            await asyncio.sleep(min(took, BUSY_SECONDS))
        return done


def _was_set_aside(error: BaseException) -> bool:
    """Tells whether the store has set the subscription aside.

    Then the store has logged the error, and the duty tries again later.
    """
    if isinstance(error, Refused):
        return error.reason is not Reason.STORE_UNAVAILABLE
    return isinstance(error, Unprocessable)
