"""Opens channels that each have a connection of their own. By default gRPC shares one connection
among the channels of a process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc.aio

OWN = [("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def channels(address: str, *, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    async with AsyncExitStack() as stack:
        opened = [grpc.aio.insecure_channel(address, options=OWN) for _ in range(count)]
        for each in opened:
            await stack.enter_async_context(each)
        yield opened
