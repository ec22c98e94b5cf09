"""Tests that the client opens a stream of events again if no message arrives on the stream any
more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest

from generic_provider import AsyncClient, Client
from generic_provider.v1 import subscription_service_pb2 as api

SERVICE = "generic_provider.v1.SubscriptionService"


class FallsSilent:
    """A servicer that sends one event on each stream, and then nothing more. `starts`: the cursors
    after which the streams began, each cursor once; on a busy machine a stream may be opened again
    before the event of the stream arrives.
    """

    def __init__(self) -> None:
        self.starts: dict[str, None] = {}

    async def watch(
        self, request: api.WatchEventsRequest, _: Any
    ) -> AsyncIterator[api.WatchEventsResponse]:
        self.starts[request.start_after] = None
        yield api.WatchEventsResponse(event=api.Event(cursor=f"{int(request.start_after) + 1}"))
        await asyncio.Event().wait()


@asynccontextmanager
async def falling_silent() -> AsyncIterator[tuple[str, FallsSilent]]:
    server, servicer = grpc.aio.server(), FallsSilent()
    watch = grpc.unary_stream_rpc_method_handler(
        servicer.watch,
        api.WatchEventsRequest.FromString,
        api.WatchEventsResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(SERVICE, {"WatchEvents": watch})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", servicer
    await server.stop(None)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generic_provider._watched.SILENCE_SECONDS", 0.2)


async def test_the_plain_iterator_goes_on_at_the_next_stream() -> None:
    async with falling_silent() as (address, servicer):

        def heard() -> list[str]:
            with Client(address) as crm:
                events = crm.watch_events(start_after="0")
                return [next(events).cursor for _ in range(3)]

        assert await asyncio.to_thread(heard) == ["1", "2", "3"]
    assert [*servicer.starts] == ["0", "1", "2"]


async def test_the_iterator_of_asyncio_goes_on_at_the_next_stream() -> None:
    async with falling_silent() as (address, servicer), AsyncClient(address) as crm:
        events = crm.watch_events(start_after="0")
        assert [(await anext(events)).cursor for _ in range(3)] == ["1", "2", "3"]
    assert [*servicer.starts] == ["0", "1", "2"]


async def test_whoever_cancels_the_iterator_of_asyncio_ends_it() -> None:
    async with falling_silent() as (address, _), AsyncClient(address) as crm:
        events = crm.watch_events(start_after="0")
        await anext(events)
        waiting = asyncio.create_task(_next(events))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def _next(events: AsyncIterator[api.Event]) -> api.Event:
    return await anext(events)
