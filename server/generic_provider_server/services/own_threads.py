"""Runs functions that may hang, for example because they use a shared folder whose server does not
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Generic, ParamSpec, TypeVar

Result = TypeVar("Result")
P = ParamSpec("P")


class OwnThreads:
    """Runs each function on a daemon thread of its own, at most `most` at the same time.

    The threads of `asyncio.to_thread` are few, and the process waits for them when it ends. So if
    functions hang there, other work and the end of the process wait too.
    """

    def __init__(self, *, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(
        self, function: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Returns the function's result, or raises its exception. If the caller is cancelled, the
        function goes on.
        """
        await self._free.acquire()
        running = _Running(partial(function, *args, **kwargs), on_end=self._free.release)
        try:
            Thread(target=running.work, name="own-thread", daemon=True).start()
        except RuntimeError:  # the process may have no further thread
            self._free.release()
            raise
        return await running.ended


class _Running(Generic[Result]):
    def __init__(self, function: Callable[[], Result], *, on_end: Callable[[], None]) -> None:
        self._function = function
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Result] = self._loop.create_future()

    def work(self) -> None:
        """Runs the function on this thread, and its end on the event loop."""
        try:
            tell = partial(self.ended.set_result, self._function())
        except Exception as error:  # noqa: BLE001 - the caller gets the error
            tell = partial(self.ended.set_exception, error)
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._end, tell)

    def _end(self, tell: Callable[[], None]) -> None:
        self._on_end()
        if not self.ended.done():  # the caller may have been cancelled
            tell()
