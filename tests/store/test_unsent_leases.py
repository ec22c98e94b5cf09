"""Tests that a lease that the server gave but did not send ends at once, and that no attempt is
counted.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider_server.domain.subscription.request_records import RequestRecord, WaitingFor
from generic_provider_server.rpc import encode
from generic_provider_server.rpc.provisioning_service import ProvisioningServicer
from generic_provider_server.services.delivery import Delivery
from support.bench import Bench, stream_at
from support.examples import viewer


async def on_leases(bench: Bench) -> list[str]:
    """Returns the subscription of each request that is on a lease."""
    requests = await bench.requests()
    return [each.subscription for each in requests if each.waiting_for is WaitingFor.ANSWER]


async def given_back(bench: Bench) -> list[RequestRecord]:
    """Waits until no request is on a lease, and returns all requests."""
    async with asyncio.timeout(20):
        while await on_leases(bench):
            await asyncio.sleep(0.01)
    return await bench.requests()


@pytest.mark.parametrize("ending", ["broken", "drained"])
async def test_what_waits_to_be_sent_when_its_stream_ends_goes_back_without_an_attempt(
    ending: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generic_provider_server.services.withdrawals.MOST_AT_ONCE", 2)
    delivery = Delivery(bench.store)
    with delivery.stream(stream_at("s", credit=10)) as opened:
        for number in ("S1", "S2", "S3", "S4"):
            await bench.become(viewer(number))
        async with asyncio.timeout(20):
            while opened.credit.in_flight < 4:
                await asyncio.sleep(0.01)
            event = await opened.events.get()
        assert isinstance(event, tuple)
        if ending == "drained":
            await delivery.drain("the test is over")
    if ending == "drained":
        for each in event:
            await bench.release(each.lane.lease)
    requests = await given_back(bench)

    sent = {each.lane.subscription for each in event} if ending == "broken" else set[str]()
    assert {each.subscription for each in requests if each.attempts} == sent


async def test_what_a_broken_stream_has_not_sent_of_a_claim_goes_back_without_an_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each lease of the claim has a message of its own, and the stream breaks after the first."""
    monkeypatch.setattr("generic_provider_server.rpc.batches.MOST_BYTES", 1)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    servicer = ProvisioningServicer(bench.store, Delivery(bench.store))
    request = api.StreamPendingRequestsRequest(provider="SAT", adapter="a", max_in_flight=10)
    call: Any = SimpleNamespace(peer="127.0.0.1:1")
    stream: Any = servicer.StreamPendingRequests(request, call)
    async with asyncio.timeout(20), aclosing(stream) as sent:
        first = await anext(each async for each in sent if each.HasField("batch"))
    (lease,) = first.batch.subscriptions
    requests = await given_back(bench)

    assert {each.subscription for each in requests if each.attempts} == {lease.subscription}


async def test_what_a_pull_cannot_send_goes_back_without_an_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the lease that cannot be encoded stays live, until it runs out. Meanwhile the next pull
    hands over the requests of the other subscriptions.
    """
    encoded = encode.request

    def request(record: RequestRecord, message: Any) -> Any:
        if record.subscription == "S2":
            raise ValueError
        return encoded(record, message)

    monkeypatch.setattr(encode, "request", request)
    for number in ("S1", "S2", "S3"):
        await bench.become(viewer(number))
    servicer = ProvisioningServicer(bench.store, Delivery(bench.store))
    pull = api.PullPendingRequestsRequest(
        provider="SAT", adapter="a", wait=Duration(seconds=20), max_requests=3
    )
    call: Any = SimpleNamespace(peer="127.0.0.1:1")
    with pytest.raises(ValueError):  # noqa: PT011 - the error has no text
        await servicer.PullPendingRequests(pull, call)
    async with asyncio.timeout(20):
        while len(leased := await on_leases(bench)) > 1:
            await asyncio.sleep(0.01)
    assert leased == ["S2"]

    pulled = (await servicer.PullPendingRequests(pull, call)).subscriptions
    assert [(each.subscription, each.delivery_attempt) for each in pulled] == [("S1", 1), ("S3", 1)]
