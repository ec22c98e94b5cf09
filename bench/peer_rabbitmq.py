"""Runs full cycles over RabbitMQ in batches: `python -m bench.peer_rabbitmq crm|adapter PORT`, with
the Python of `.venv-bench`.

Actions and answers have a quorum queue each. Every message is persistent, and the broker confirms
it. The adapter acknowledges many actions together, after the broker has confirmed the answers to
these actions.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pika  # type: ignore[import-not-found]  # only in the peers' environment
import uvloop
from pika.adapters.asyncio_connection import (  # type: ignore[import-not-found]
    AsyncioConnection,
)

from .peers import ACTIONS, ANSWERS, BATCH, BATCHES, UNANSWERED, Done, answer, changes, check

PERSISTENT = pika.BasicProperties(delivery_mode=2)
QUORUM = {"x-queue-type": "quorum"}


class Publisher:
    """Publishes one batch at a time on a channel of its own."""

    def __init__(self, channel: Any, queue: str) -> None:
        self._channel, self._queue = channel, queue
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._all_confirmed = asyncio.Event()
        channel.confirm_delivery(self._confirm)

    async def publish(self, bodies: list[bytes]) -> None:
        self._all_confirmed.clear()
        for body in bodies:
            self._channel.basic_publish("", self._queue, body, PERSISTENT)
            self._sent += 1
            self._unconfirmed.add(self._sent)
        await self._all_confirmed.wait()

    def _confirm(self, frame: Any) -> None:
        if isinstance(frame.method, pika.spec.Basic.Nack):
            raise RuntimeError("the broker refused a message")
        last = frame.method.delivery_tag
        if frame.method.multiple:
            self._unconfirmed = {each for each in self._unconfirmed if each > last}
        else:
            self._unconfirmed.discard(last)
        if not self._unconfirmed:
            self._all_confirmed.set()


class Consumer:
    def __init__(self, channel: Any, queue: str) -> None:
        self._channel = channel
        self._received: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        channel.basic_qos(prefetch_count=UNANSWERED)
        channel.basic_consume(queue, self._receive)

    def _receive(self, _: Any, method: Any, __: Any, body: bytes) -> None:
        self._received.put_nowait((method.delivery_tag, body))

    async def batch(self) -> tuple[int, list[bytes]]:
        """Returns the delivery tag of the last message that has arrived, and all messages that have
        arrived since the last call.
        """
        received = [await self._received.get()]
        while not self._received.empty():
            received.append(self._received.get_nowait())
        return received[-1][0], [body for _, body in received]

    def acknowledge(self, last: int) -> None:
        self._channel.basic_ack(last, multiple=True)


async def crm(connection: AsyncioConnection) -> None:
    done, bodies = Done(), changes()
    answers = Consumer(await _channel(connection), ANSWERS)

    async def produce() -> None:
        publisher = Publisher(await _channel(connection), ACTIONS)
        while True:
            await publisher.publish(list(islice(bodies, BATCH)))

    async def count() -> None:
        while True:
            last, messages = await answers.batch()
            for each in messages:
                check(each)
            answers.acknowledge(last)
            done.count += len(messages)

    await asyncio.gather(done.tell(), count(), *[produce() for _ in range(BATCHES)])


async def adapter(connection: AsyncioConnection) -> None:
    publisher = Publisher(await _channel(connection), ANSWERS)
    actions = Consumer(await _channel(connection), ACTIONS)
    while True:
        last, messages = await actions.batch()
        await publisher.publish([answer(each) for each in messages])
        actions.acknowledge(last)


async def _called_back(call: Callable[[Callable[[Any], None]], object]) -> Any:
    """Makes a call of pika, and returns what pika passes to the callback."""
    result = asyncio.get_running_loop().create_future()
    call(result.set_result)
    return await result


async def _channel(connection: AsyncioConnection) -> Any:
    return await _called_back(lambda opened: connection.channel(on_open_callback=opened))


def _with_callback(call: Callable[..., object], callback: Callable[[Any], None]) -> None:
    call(callback=callback)


def _end(_: AsyncioConnection, reason: object) -> None:
    sys.exit(f"the connection has ended: {reason}")


async def main(role: str, port: str) -> None:
    where = pika.ConnectionParameters("127.0.0.1", int(port))
    connection = await _called_back(
        lambda opened: AsyncioConnection(where, opened, on_open_error_callback=_end)
    )
    connection.add_on_close_callback(_end)
    channel = await _channel(connection)
    for queue in (ACTIONS, ANSWERS):
        declare = partial(channel.queue_declare, queue, durable=True, arguments=QUORUM)
        await _called_back(partial(_with_callback, declare))
    await {"crm": crm, "adapter": adapter}[role](connection)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
