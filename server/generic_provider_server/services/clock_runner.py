"""Runs the duties of the clock. Each duty has its own period, and is independent of the other
duties.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ..domain.refusals import Reason, Refused
from ..store.memory.set_aside import Unprocessable
from ..store.read.duties import MOST_DUE
from ..store.store import Store
from ..store.write.command import Command
from .calls_per_second import CallsPerSecond
from .clock_duties import Duty, is_mass
from .periodic_step import Loop

ONE, FEW, MANY = 1, 6, 30
"""The number of commands of a duty that are queued together; `Clock._most` chooses one of these
three numbers.
"""
BURST = 1_000
"""If very many commands are due at the same time, the first BURST commands run in portions, and
only the later commands run one by one. So a burst of hundreds of commands is not late.
"""
BUSY_SECONDS = 0.02
"""If commands take longer than this time in seconds, the writer is busy. No pause is longer."""


class Clock:
    def __init__(self, store: Store, duties: Iterable[Duty]) -> None:
        self._store = store
        self._duties = tuple(duties)
        self._loops = [
            Loop(duty.name, partial(self._do, duty), seconds=duty.seconds) for duty in self._duties
        ]
        self._calls = CallsPerSecond(store)
        self._in_mass = Counter[str]()
        """For each duty, the number of commands that have run since very many commands became due
        at the same time (`is_mass`); 0 if the last commands of the duty were not very many.
        """

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
        mass = is_mass(commands)
        done = await self._do_each(commands, mass=mass and self._in_mass[duty.name] >= BURST)
        self._in_mass[duty.name] = self._in_mass[duty.name] + len(done) if mass else 0
        failed = [each for each in done if isinstance(each, BaseException)]
        for error in failed:
            if not _was_set_aside(error):
                raise error
        return len(done) >= MOST_DUE and len(failed) < len(done)

    async def _do_each(self, commands: Sequence[Command[object]], *, mass: bool) -> list[object]:
        """Runs all commands in portions, so that no call waits for many of the commands. Pauses
        after each portion while calls change something, or if other processes use the database.
        `mass`: true if very many commands were due at the same time, and at least BURST of them
        have run.
        """
        done, took = list[object](), 0.0
        while len(done) < len(commands):
            most = self._most(mass=mass, took=took)
            began = time.monotonic()
            asked = map(self._store.do, commands[len(done) : len(done) + most])
            done += await asyncio.gather(*asked, return_exceptions=True)
            took = time.monotonic() - began
            await asyncio.sleep(min(self._pauses(most) * took, BUSY_SECONDS))
        return done

    def _most(self, *, mass: bool, took: float) -> int:
        """Returns the number of commands in the next portion.

        `took`: the duration of the last commands in seconds. While the writer is busy, many
        commands run together, because large groups take less time for each command. If other
        processes use the database, the portion is small, because those processes may have calls.
        `mass`: true if very many commands were due at the same time, and at least BURST of these
        commands have run. If `mass` is true and calls change something, the remaining commands run
        one by one: the commands take longer in all, but each call waits for only one command. If
        `mass` is false, the commands do not run one by one, because more commands might become due
        than run.
        """
        calls = self._calls.latest()
        if took > BUSY_SECONDS or not (calls or self._store.shared):
            return MANY
        return ONE if mass and calls else FEW

    def _pauses(self, most: int) -> float:
        """Returns the factor by which the duration of the last commands is multiplied to get the
        duration of the pause after them.
        """
        if most == ONE:
            return self._calls.pauses()
        return 1 if self._calls.latest() or self._store.shared else 0


def _was_set_aside(error: BaseException) -> bool:
    """Tells whether the store has set the subscription of the command aside.

    If the store has set a subscription aside, the store has logged the error, and the duty tries
    again later.
    """
    if isinstance(error, Refused):
        return error.reason is not Reason.STORE_UNAVAILABLE
    return isinstance(error, Unprocessable)
