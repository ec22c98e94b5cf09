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
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Result] = loop.create_future()

        def end(tell: Callable[[], None]) -> None:
            self._free.release()
            if not ended.done():  # the caller may have been cancelled
                tell()

        def work() -> None:
            try:
                tell = partial(ended.set_result, function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - the caller gets the error
                tell = partial(ended.set_exception, error)
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(end, tell)

        try:
            Thread(target=work, name="own-thread", daemon=True).start()
        except RuntimeError:  # the process may have no further thread
            self._free.release()
            raise
        return await ended
