"""Plays a CRM that reads the result of every action: `python -m bench.watcher ADDRESS` prints twice
a second how many results it has read.
"""

from __future__ import annotations

import asyncio
import sys

import grpc.aio

from generic_provider.v1.subscription_service_pb2 import (
    EVENT_KIND_ACTION_SETTLED,
    WatchEventsRequest,
)
from generic_provider.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from .peers import Done


async def main(address: str) -> None:
    done = Done()
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
        tasks.create_task(done.tell())
        request = WatchEventsRequest(kinds=[EVENT_KIND_ACTION_SETTLED], max_batch_size=100)
        async for message in SubscriptionServiceStub(channel).WatchEvents(request):
            done.count += len(message.batch.events)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
