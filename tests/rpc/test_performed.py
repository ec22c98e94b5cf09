"""What the answer to an action says besides the action."""

from __future__ import annotations

from typing import Any

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import resources_pb2 as pb
from support.calling import Caller
from support.wrong_actions import Act, become, card, on


async def effective(caller: Caller, *, state: pb.ProviderState.ValueType) -> None:
    await caller.call(
        "SetProviderState", providers.SetProviderStateRequest(provider="P", state=state)
    )


async def test_a_repeat_says_so(caller: Caller) -> None:
    request: Any = become(services=[on("MAIN", "S1")])
    request.request_id = "order-1"
    first, second = [await caller.call("PerformAction", request) for _ in range(2)]
    assert (first.repeated, second.repeated) == (False, True)
    assert second.action.id == first.action.id


async def test_providers_that_were_not_effective_are_named(caller: Caller) -> None:
    number = (await caller.call("PerformAction", become(services=[on("MAIN", "S1")]))).subscription
    await effective(caller, state=pb.PROVIDER_STATE_NOT_EFFECTIVE)
    added = Act(subscription=number.number, add_items={"items": [card("MAIN", "1")]})
    done = await caller.call("PerformAction", added)
    assert list(done.providers_left_out) == ["P"]
    assert not done.requests

    await effective(caller, state=pb.PROVIDER_STATE_EFFECTIVE)
    address = {"address": {"city": "Tartu"}}
    done = await caller.call(
        "PerformAction", Act(subscription=number.number, change_location=address)
    )
    assert not done.providers_left_out
    origins = [each.origin for each in done.requests]
    assert origins == [pb.REQUEST_ORIGIN_RESET, pb.REQUEST_ORIGIN_ACTION]
    assert list(done.action.requests) == [done.requests[1].number]


async def test_a_service_names_the_goods_that_its_viewing_point_lacks(caller: Caller) -> None:
    done = await caller.call(
        "PerformAction", become(services=[on("MAIN", "S1")], items=[card("MAIN", "1")])
    )
    (service,) = done.subscription.services
    assert list(service.missing_goods_types) == ["DECODER"]
