"""Runs full cycles over NATS JetStream in batches: `python -m bench.peer_nats crm|adapter PORT`,
with the Python of `.venv-bench`.

One stream contains the actions, another stream contains the answers. The broker stores both streams
in files, and confirms each message. The adapter acknowledges many actions together, after the
broker has confirmed the answers to these actions.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import islice

import nats  # type: ignore[import-not-found]  # only in the peers' environment
import uvloop
from nats.aio.msg import Msg  # type: ignore[import-not-found]
from nats.js import JetStreamContext  # type: ignore[import-not-found]
from nats.js.api import AckPolicy, ConsumerConfig, StorageType  # type: ignore[import-not-found]

from .peers import ACTIONS, ANSWERS, BATCH, BATCHES, UNANSWERED, Done, answer, changes, check


async def run(role: Callable[[JetStreamContext], Awaitable[None]], *, port: str) -> None:
    async with await nats.connect(f"nats://127.0.0.1:{port}") as connection:
        broker = connection.jetstream()
        for name in (ACTIONS, ANSWERS):
            await broker.add_stream(name=name, subjects=[name], storage=StorageType.FILE)
        await role(broker)


async def receive(
    broker: JetStreamContext,
    subject: str,
    callback: Callable[[Msg], Awaitable[None]],
    *,
    acknowledge: AckPolicy,
) -> None:
    config = ConsumerConfig(ack_policy=acknowledge, max_ack_pending=UNANSWERED)
    await broker.subscribe(subject, durable=subject, cb=callback, manual_ack=True, config=config)


async def crm(broker: JetStreamContext) -> None:
    done, bodies = Done(), changes()

    async def produce() -> None:
        while True:
            await _publish(broker, ACTIONS, islice(bodies, BATCH))

    async def count() -> None:
        async for messages in _batches(broker, ANSWERS):
            for each in messages:
                check(each)
            done.count += len(messages)

    await asyncio.gather(done.tell(), count(), *[produce() for _ in range(BATCHES)])


async def adapter(broker: JetStreamContext) -> None:
    async for messages in _batches(broker, ACTIONS):
        await _publish(broker, ANSWERS, map(answer, messages))


async def _publish(broker: JetStreamContext, subject: str, bodies: Iterable[bytes]) -> None:
    await asyncio.gather(*[await broker.publish_async(subject, each) for each in bodies])


async def _batches(broker: JetStreamContext, subject: str) -> AsyncIterator[list[bytes]]:
    """Yields the messages that have arrived. Acknowledges them when the caller asks for more."""
    received: asyncio.Queue[Msg] = asyncio.Queue()
    await receive(broker, subject, received.put, acknowledge=AckPolicy.ALL)
    while True:
        messages = [await received.get()]
        while not received.empty():
            messages.append(received.get_nowait())
        yield [each.data for each in messages]
        await messages[-1].ack()


if __name__ == "__main__":
    uvloop.run(run({"crm": crm, "adapter": adapter}[sys.argv[1]], port=sys.argv[2]))
