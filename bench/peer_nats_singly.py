"""Runs full cycles over NATS JetStream as the documentation of nats-py shows it: every message is
answered and acknowledged separately. `python -m bench.peer_nats_singly crm|adapter PORT`, with the
Python of `.venv-bench`.

Actions and answers each have a stream, which is stored in files. The broker confirms every message.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import islice

import uvloop
from nats.aio.msg import Msg  # type: ignore[import-not-found]  # only in the peers' environment
from nats.js import JetStreamContext  # type: ignore[import-not-found]
from nats.js.api import AckPolicy  # type: ignore[import-not-found]

from .peer_nats import receive, run
from .peers import ACTIONS, ANSWERS, BATCH, BATCHES, Done, answer, changes, check


async def crm(broker: JetStreamContext) -> None:
    done, bodies = Done(), changes()

    async def produce() -> None:
        while True:
            batch = islice(bodies, BATCH)
            await asyncio.gather(*[broker.publish(ACTIONS, each) for each in batch])

    async def count(message: Msg) -> None:
        check(message.data)
        await message.ack()
        done.count += 1

    await receive(broker, ANSWERS, count, acknowledge=AckPolicy.EXPLICIT)
    await asyncio.gather(done.tell(), *[produce() for _ in range(BATCHES)])


async def adapter(broker: JetStreamContext) -> None:
    async def respond(message: Msg) -> None:
        await broker.publish(ANSWERS, answer(message.data))
        await message.ack()

    async with asyncio.TaskGroup() as tasks:

        async def begin(message: Msg) -> None:
            tasks.create_task(respond(message))

        await receive(broker, ACTIONS, begin, acknowledge=AckPolicy.EXPLICIT)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run({"crm": crm, "adapter": adapter}[sys.argv[1]], port=sys.argv[2]))
