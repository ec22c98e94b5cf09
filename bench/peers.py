"""Contains the code that the peers' programs share. It needs only the standard library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .processes import say

BATCH = 100


class Done:
    def __init__(self) -> None:
        self.count = 0

    async def tell(self) -> None:
        while True:
            say(answered=self.count, at=time.monotonic())
            await asyncio.sleep(0.5)


async def keep_backlog(
    most: int, *, enqueue: Callable[[], Awaitable[object]], waiting: Callable[[], Awaitable[int]]
) -> None:
    """Enqueues jobs whenever fewer than `most` wait, so that the worker is never idle."""
    while True:
        missing = most - await waiting()
        for _ in range(missing // BATCH):
            await enqueue()
        if missing < BATCH:
            await asyncio.sleep(0.01)
