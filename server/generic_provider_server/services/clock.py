"""Runs the duties of the service. Each has its own period and is independent of the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ..domain.refusals import Reason, Refused
from ..store.memory.set_aside import Unprocessable
from ..store.notices.notice import Notice
from ..store.read.duties import MOST_DUE
from ..store.store import Store
from ..store.write.command import Command
from .duties import Duty
from .periodic_step import Loop

FEW, MANY = 10, 30
"""How many commands of a duty are queued together: few, or many if others had more than MANY in the
same time, so that groups are large anyway.
"""
LONGEST, LONGEST_WHEN_BUSY = 0.1, 0.02
"""The longest pause between such groups, in seconds, and the longest one while others have many
commands.
"""


class Clock:
    def __init__(self, store: Store, duties: Iterable[Duty]) -> None:
        self._store = store
        self._duties = tuple(duties)
        self._commands = 0
        store.listeners.committed.append(self._count)
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
        """Runs each duty once, one after the other. Returns whether there may be more to do."""
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
        """Runs the commands, and pauses after a few for as long as these took.

        So a hundred thousand ends that are due in the same second take at most half of the writer's
        time, and no call waits for many of them. A slow machine gets no larger groups.
        """
        done, busy = list[object](), False
        while len(done) < len(commands):
            next_ones = commands[len(done) : len(done) + (MANY if busy else FEW)]
            began, before = time.monotonic(), self._commands
            done += await asyncio.gather(*map(self._store.do, next_ones), return_exceptions=True)
            busy = self._commands - before - len(next_ones) > MANY
            took = time.monotonic() - began
            await asyncio.sleep(min(took, LONGEST_WHEN_BUSY if busy else LONGEST))
        return done

    def _count(self, notice: Notice) -> None:
        self._commands += notice.tally.commands


def _was_set_aside(error: BaseException) -> bool:
    """Tells whether the store has set the subscription aside.

    If so, the store has logged the error and tries again later.
    """
    if isinstance(error, Refused):
        return error.reason is not Reason.STORE_UNAVAILABLE
    return isinstance(error, Unprocessable)
