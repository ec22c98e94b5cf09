"""The connection is lost at a commit, and the database gets the commit later, after the process has
connected again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import NamedTuple

import pytest

from generic_provider_server.commands.perform import Done
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.request_records import WaitingFor
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import Cut
from generic_provider_server.store.opening import open_store
from generic_provider_server.store.waits import Waits
from support.bench import Bench, HandClock, stream_at
from support.examples import ADD_NEWS, SATELLITE, viewer
from support.holding import HoldingProxy

IN_TIME = 20.0


class Held(NamedTuple):
    bench: Bench
    proxy: HoldingProxy


@pytest.fixture
async def held(postgres_url: str) -> AsyncIterator[Held]:
    with closing(HoldingProxy(postgres_url)) as proxy:
        clock = HandClock()
        bench = Bench(open_store(proxy.url, clock=clock, waits=Waits(patience=3.0)), clock)
        await bench.add_provider(SATELLITE)
        await bench.become(viewer("S1"))
        yield Held(bench, proxy)
        proxy.release()
        await bench.store.close()


async def order(bench: Bench, number: str) -> Done:
    """Performs an action. It creates a subscription if `number` is empty."""
    return await bench.perform(ADD_NEWS if number else viewer(""), number, request_id="order")


async def is_in_doubt(held: Held, number: str) -> None:
    """Loses the connection at the commit of the action that `order` performs."""
    bench, proxy = held
    proxy.armed.set()
    with pytest.raises(Refused) as refused:
        await order(bench, number)
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    assert proxy.held.is_set()


@pytest.mark.parametrize("number", ["S1", ""])
@pytest.mark.parametrize("arrives", [True, False])
async def test_a_repeat_gets_the_outcome_of_the_late_commit(
    held: Held, number: str, *, arrives: bool
) -> None:
    """The database ends the old session if the commit does not arrive. `number`: empty if the
    action creates a subscription, so that only the request id tells that the call is a repeat.
    """
    bench, proxy = held
    await is_in_doubt(held, number)
    done = None
    async with asyncio.timeout(IN_TIME):
        repeat = asyncio.create_task(order(bench, number))
        await asyncio.sleep(0.5)
        assert not repeat.done(), "it waits for the locks of the old transaction"
        if arrives:
            proxy.release()
        while done is None:
            try:
                done = await repeat
            except Refused as refused:
                assert refused.reason is Reason.STORE_UNAVAILABLE  # noqa: PT017
                repeat = asyncio.create_task(order(bench, number))
    assert done.repeated is arrives
    assert len(await bench.requests()) == 2


async def test_a_lease_of_a_late_commit_ends_with_its_stream(held: Held) -> None:
    bench, proxy = held
    await bench.accept_all("SAT")
    delivery = Delivery(bench.store)
    stream = stream_at(bench.store.server, credit=2)
    async with asyncio.timeout(IN_TIME):
        with delivery.stream(stream):
            await asyncio.sleep(0.5)  # the first claim finds nothing
            await is_in_doubt(held, "S1")
            assert await stream.events.get() == Cut()
        await asyncio.sleep(0.5)  # the leases that the stream is known to have end
        proxy.release()
        while len(found := await bench.requests()) < 2:
            await asyncio.sleep(0.05)
        assert found[-1].waiting_for is WaitingFor.ANSWER
        while (await bench.requests())[-1].waiting_for is WaitingFor.ANSWER:
            await asyncio.sleep(0.05)
    await delivery.drain("the test ends")
