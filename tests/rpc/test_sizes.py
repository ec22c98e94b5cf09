"""Tests that no message of the server exceeds 2 MiB, whatever a client asks for. The clients of
these tests have gRPC's default limits.
"""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from generic_provider.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from support.calling import Caller

CHAIN, GOODS = ("MAIN", "TWIN1", "TWIN2", "TWIN3"), ("SMARTCARD", "DECODER")

ONE = requests.ListRequestsRequest(subscription="S000")
MOST = 2 * 1024 * 1024
SUBSCRIPTIONS = 200


def become(n: int) -> subscriptions.PerformActionRequest:
    """Returns an action that creates a subscription of four viewing points with twenty services
    each.
    """
    become_subscriber = subscriptions.BecomeSubscriber(
        type="DTH",
        provider="P",
        items=[
            pb.InstalledItem(
                distributor=point,
                goods_type=goods,
                serial_number=f"{goods[0]}{n:08}-{point}",
                parameters={"chip": f"{n:020}", "region": "north-west"},
            )
            for point in CHAIN
            for goods in GOODS
        ],
        services=[
            subscriptions.ServiceSelection(distributor=point, service=f"S{k}")
            for point in CHAIN
            for k in range(20)
        ],
    )
    return subscriptions.PerformActionRequest(
        subscription=f"S{n:03}", become_subscriber=become_subscriber
    )


async def test_large_subscriptions_batches_pages_and_streams_stay_below_two_mebibytes(
    caller: Caller,
) -> None:
    batch = subscriptions.BatchPerformActionsRequest(
        actions=[become(n) for n in range(SUBSCRIPTIONS)]
    )
    made = await caller.call("BatchPerformActions", batch)
    assert all(each.HasField("action") for each in made.results)

    numbers = await _all_pages(caller)
    assert numbers == [f"S{n:03}" for n in range(SUBSCRIPTIONS)]
    page = await caller.call("ListRequests", requests.ListRequestsRequest(page_size=1000))
    assert page.next_page_token
    await caller.call("GetSubscription", subscriptions.GetSubscriptionRequest(subscription="S001"))
    assert 0 < caller.largest <= MOST

    handed, largest = await _stream(caller.channel)
    assert handed == SUBSCRIPTIONS
    assert largest <= MOST


async def test_a_batch_of_a_thousand_small_actions_is_answered_in_one_message(
    caller: Caller,
) -> None:
    batch = subscriptions.BatchPerformActionsRequest(
        actions=[
            subscriptions.PerformActionRequest(
                become_subscriber=subscriptions.BecomeSubscriber(type="DTH", provider="P")
            )
            for _ in range(1_000)
        ]
    )
    made = await caller.call("BatchPerformActions", batch)

    assert len(made.results) == 1_000
    assert caller.largest <= MOST


async def test_what_does_not_fit_into_an_answer_is_left_out(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("paging", "subscription_service"):
        monkeypatch.setattr(f"generic_provider_server.rpc.{module}.MOST_BYTES", 9_000)
    for n in range(2):
        await caller.call("PerformAction", become(n))
    (request,) = (await caller.call("ListRequests", ONE)).requests
    resolve = requests.ResolveRequestRequest(request=request.number, reason="looked")
    resolve.status = provisioning.RESPONSE_STATUS_ACCEPTED
    await caller.call("ResolveRequest", resolve)
    stop = subscriptions.PerformActionRequest(subscription="S000", request_id="stop")
    stop.deactivate.SetInParent()
    wrong = subscriptions.PerformActionRequest(subscription="S002")
    wrong.activate.SetInParent()

    batch = subscriptions.BatchPerformActionsRequest(actions=[stop, wrong])
    small = await caller.call("BatchPerformActions", batch)
    batch.actions.extend([stop] * 20)
    large = await caller.call("BatchPerformActions", batch)
    repeated = await caller.call("PerformAction", stop)

    assert len(small.results[0].action.requests) == 80
    outcomes = [each.WhichOneof("outcome") for each in large.results]
    assert outcomes == ["action", "error", *["action"] * 20]
    assert all(not each.action.requests for each in large.results)
    assert 0 < len(repeated.requests) < 80


async def test_a_subscription_leaves_out_what_its_message_has_no_room_for(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await caller.call("PerformAction", become(0))
    (request,) = (await caller.call("ListRequests", ONE)).requests
    resolve = requests.ResolveRequestRequest(request=request.number, reason="looked")
    resolve.status = provisioning.RESPONSE_STATUS_ACCEPTED
    await caller.call("ResolveRequest", resolve)
    off = providers.SetProviderStateRequest(provider="P", state=pb.PROVIDER_STATE_NOT_EFFECTIVE)
    await caller.call("SetProviderState", off)
    stop = subscriptions.PerformActionRequest(subscription="S000")
    stop.deactivate.SetInParent()
    await caller.call("PerformAction", stop)
    get = subscriptions.GetSubscriptionRequest(subscription="S000")
    definition = resets.ResetRunDefinition(name="n", provider="P")
    preview = resets.PreviewResetRunRequest(definition_fields=definition)

    (whole,) = (await caller.call("GetSubscription", get)).subscription.provider_links
    (entry,) = (await caller.call("PreviewResetRun", preview)).entries
    for module in ("paging", "encode"):
        monkeypatch.setattr(f"generic_provider_server.rpc.{module}.MOST_BYTES", 9_000)
    shown = (await caller.call("GetSubscription", get)).subscription
    (cut,) = (await caller.call("PreviewResetRun", preview)).entries

    assert len(whole.differences) == len(entry.differences) == 80
    assert len(whole.confirmed.services) == 80
    assert shown.ByteSize() <= 9_000
    (link,) = shown.provider_links
    assert len(shown.services) == 80
    assert 0 < len(link.differences) < 80
    assert list(link.differences) == list(whole.differences)[: len(link.differences)]
    assert not link.HasField("confirmed")
    assert 0 < len(cut.differences) < 80


async def test_services_that_lack_many_goods_types_fit_into_one_message(caller: Caller) -> None:
    goods = [f"{n:04}{'x' * 60}" for n in range(1_000)]
    provider = pb.Provider(
        code="R",
        distributors=[pb.Distributor(code="D", required_goods_types=goods)],
        services=[pb.Service(code=f"S{n}", provider_service_id=f"{n}") for n in range(100)],
        goods=[pb.GoodsMapping(goods_type=each, provider_goods_type=each) for each in goods],
    )
    await caller.call("CreateProvider", providers.CreateProviderRequest(provider=provider))
    viewer = subscriptions.BecomeSubscriber(
        type="DTH",
        provider="R",
        services=[
            subscriptions.ServiceSelection(distributor="D", service=each.code)
            for each in provider.services
        ],
    )
    performed = await caller.call(
        "PerformAction", subscriptions.PerformActionRequest(become_subscriber=viewer)
    )

    first, *_, last = performed.subscription.services
    assert list(first.missing_goods_types) == goods
    assert list(last.missing_goods_types) == goods[:1]
    assert caller.largest <= MOST


async def _all_pages(caller: Caller) -> list[str]:
    numbers: list[str] = []
    token = ""
    while True:
        request = subscriptions.ListSubscriptionsRequest(page_size=1000, page_token=token)
        page = await caller.call("ListSubscriptions", request)
        numbers += [each.number for each in page.subscriptions]
        token = page.next_page_token
        if not token:
            return numbers


async def _stream(channel: grpc.aio.Channel) -> tuple[int, int]:
    """Returns the number of requests that arrive with the greatest credit, and the size of the
    largest message.
    """
    request = provisioning.StreamPendingRequestsRequest(
        provider="P", adapter="a", max_in_flight=10_000, include_target=True
    )
    handed = largest = 0
    async with asyncio.timeout(60):
        async for message in ProvisioningServiceStub(channel).StreamPendingRequests(request):
            largest = max(largest, message.ByteSize())
            handed += sum(len(each.requests) for each in message.batch.subscriptions)
            if handed == SUBSCRIPTIONS:
                break
    return handed, largest
