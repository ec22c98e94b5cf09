"""What a stream may still be handed, as commits tell it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from generic_provider_server.domain.lease import stream_of
from generic_provider_server.domain.subscription.records import WaitingFor
from generic_provider_server.domain.values import SECOND
from generic_provider_server.services.delivery import Delivery
from generic_provider_server.services.streams import AdapterStream
from generic_provider_server.store.notices.notice import Notice
from generic_provider_server.store.store import Store
from support.bench import Bench
from support.examples import ADD_SPORT, viewer


@pytest.fixture
def stream() -> AdapterStream:
    return AdapterStream(
        id=stream_of("s"),
        provider="SAT",
        adapter="adapter",
        version="1",
        peer="peer",
        max_in_flight=2,
        lease_duration=30 * SECOND,
        include_target=False,
    )


@pytest.fixture
def delivery(store: Store, stream: AdapterStream) -> Delivery:
    delivery = Delivery(store, max_streams=1)
    delivery.streams[stream.id] = stream
    return delivery


async def test_what_is_on_a_lease_counts_until_it_is_answered_or_given_back(
    bench: Bench, delivery: Delivery, stream: AdapterStream
) -> None:
    await bench.become(viewer("S1"))
    await bench.become(viewer("S2"))
    one, two = await bench.claim("SAT", stream=stream.id)
    assert stream.credit == 0

    await bench.accept(one)
    assert stream.credit == 1
    await bench.release(two.lane.lease)
    assert stream.credit == 2
    await bench.perform(ADD_SPORT, "S1")
    await bench.claim("SAT", stream=stream.id)
    assert stream.credit == 0
    await bench.pass_time(31)
    assert (stream.in_flight, stream.ran_out, stream.credit) == (0, 2, 0)
    delivery.heard([stream.id])
    assert stream.credit == 2


async def test_a_lease_that_ran_out_as_another_began_counts_as_well(
    delivery: Delivery, stream: AdapterStream
) -> None:
    stream.in_flight = 1
    delivery.take_note(Notice(freed=Counter({stream.id: 0}), ran_out=Counter({stream.id: 1})))

    assert (stream.in_flight, stream.ran_out, stream.credit) == (1, 1, 0)


@pytest.mark.parametrize("ending", ["stopped", "gone"])
async def test_what_is_claimed_while_its_stream_ends_goes_back_without_an_attempt(
    ending: str, bench: Bench, stream: AdapterStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(bench.store, max_streams=1)
    (number,) = (request.number for request in (await bench.become(viewer("S1"))).requests)
    claim = delivery._claim  # noqa: SLF001 - what ends the stream comes between
    left = asyncio.Event()

    async def claim_meanwhile(*args: Any, **kwargs: Any) -> Any:
        claiming = asyncio.ensure_future(claim(*args, **kwargs))
        await asyncio.sleep(0)
        delivery.stop_streams([stream.id] if ending == "stopped" else [])
        if ending == "gone":
            left.set()
        for _ in range(10):
            await asyncio.sleep(0)
        return await claiming

    monkeypatch.setattr(delivery, "_claim", claim_meanwhile)
    with delivery.stream(stream):
        await (stream.events.get() if ending == "stopped" else left.wait())
    await delivery.drain("the test is over")
    while (await bench.request(number)).waiting_for is WaitingFor.ANSWER:
        await asyncio.sleep(0.01)

    assert (await bench.request(number)).attempts == 0
