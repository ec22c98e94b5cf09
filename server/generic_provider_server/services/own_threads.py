"""Runs functions that may hang, for example because they use a shared folder whose server does not
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import ParamSpec, TypeVar

Result = TypeVar("Result")
P = ParamSpec("P")


class OwnThreads:
    """Runs each function on a daemon thread of its own, at most `most` functions at the same time.

    `asyncio.to_thread` has only a few threads, and a process that ends waits for these threads. So
    a function that hangs on such a thread would delay other work and the end of the process.
    """

    def __init__(self, *, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    async def run(
        self, function: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Returns the function's result, or raises its exception. If the task that waits for the
        result is cancelled, the function goes on.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Result] = loop.create_future()

        def end(tell: Callable[[], None]) -> None:
            self._free.release()
            if not ended.done():  # the waiting task may have been cancelled
                tell()

        def work() -> None:
            try:
                tell = partial(ended.set_result, function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - the waiting task gets the error
                tell = partial(ended.set_exception, error)
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(end, tell)

        try:
            Thread(target=work, name="own-thread", daemon=True).start()
        except RuntimeError:  # the process may have no further thread
            self._free.release()
            raise
        return await ended
