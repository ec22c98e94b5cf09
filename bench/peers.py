"""Contains the code that the `peer_*` programs share. These programs measure the job queues and
message brokers that the service is compared with. This module needs only the standard library,
because the programs run in another environment.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator

from .processes import say

ACTIONS, ANSWERS = "actions", "answers"
BATCH = 100
BATCHES = 4
"""A CRM keeps this many batches of 100 actions in flight."""
UNANSWERED = 2_000
"""A broker hands over further messages only while fewer than this number of messages are not
acknowledged.
"""


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


def changes(*, count: int = 20_000) -> Iterator[bytes]:
    """Yields messages without end: in turn, they add NEWS to every subscription, and remove NEWS
    from every subscription. The load on our service performs the same changes.
    """
    while True:
        for action in ("add_services", "remove_services"):
            for n in range(count):
                change = {"subscription": f"B{n:07}", action: ["MAIN/NEWS"]}
                yield json.dumps(change).encode()


def answer(message: bytes) -> bytes:
    """Returns the adapter's answer to a message."""
    change = json.loads(message)
    return json.dumps({"subscription": change["subscription"], "status": "ACCEPTED"}).encode()


def check(message: bytes) -> None:
    """Reads the answer as a CRM does."""
    if json.loads(message)["status"] != "ACCEPTED":
        raise ValueError("the adapter did not accept the change")
