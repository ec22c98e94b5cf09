"""Runs full cycles over RabbitMQ as the documentation of aio-pika shows it: every message is
answered and acknowledged separately. `python -m bench.peer_rabbitmq_singly crm|adapter PORT`, with
the Python of `.venv-bench`.

Actions and answers have a quorum queue each. Every message is persistent and confirmed.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import islice

import uvloop
from aio_pika import (  # type: ignore[import-not-found]  # only in the peers' environment
    DeliveryMode,
    Message,
    connect,
)
from aio_pika.abc import (  # type: ignore[import-not-found]
    AbstractChannel,
    AbstractIncomingMessage,
    AbstractQueue,
)

from .peers import ACTIONS, ANSWERS, BATCH, BATCHES, UNANSWERED, Done, answer, changes, check

QUORUM = {"x-queue-type": "quorum"}


async def publish(channel: AbstractChannel, queue: str, body: bytes) -> None:
    message = Message(body, delivery_mode=DeliveryMode.PERSISTENT)
    await channel.default_exchange.publish(message, queue)


async def crm(channel: AbstractChannel, _: AbstractQueue, answers: AbstractQueue) -> None:
    done, bodies = Done(), changes()

    async def produce() -> None:
        while True:
            batch = islice(bodies, BATCH)
            await asyncio.gather(*[publish(channel, ACTIONS, each) for each in batch])

    async def receive(message: AbstractIncomingMessage) -> None:
        check(message.body)
        await message.ack()
        done.count += 1

    await answers.consume(receive)
    await asyncio.gather(done.tell(), *[produce() for _ in range(BATCHES)])


async def adapter(channel: AbstractChannel, actions: AbstractQueue, _: AbstractQueue) -> None:
    async def receive(message: AbstractIncomingMessage) -> None:
        await publish(channel, ANSWERS, answer(message.body))
        await message.ack()

    await actions.consume(receive)
    await asyncio.Event().wait()


async def main(role: str, port: str) -> None:
    async with await connect(f"amqp://guest:guest@127.0.0.1:{port}/") as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=UNANSWERED)
        actions = await channel.declare_queue(ACTIONS, durable=True, arguments=QUORUM)
        answers = await channel.declare_queue(ANSWERS, durable=True, arguments=QUORUM)
        await {"crm": crm, "adapter": adapter}[role](channel, actions, answers)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
