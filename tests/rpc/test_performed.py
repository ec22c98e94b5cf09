"""Tests the fields of the response to PerformAction other than the action."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from generic_provider.v1 import provider_service_pb2 as providers
from generic_provider.v1 import reset_service_pb2 as resets
from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from support.calling import Caller, Refusal
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


@pytest.mark.parametrize("holds_everything", [True, False])
async def test_a_provider_that_serves_the_customer_already_is_not_left_out(
    caller: Caller, *, holds_everything: bool
) -> None:
    await effective(caller, state=pb.PROVIDER_STATE_NOT_EFFECTIVE)
    action: Any = become(services=[on("MAIN", "S1")])
    action.become_subscriber.existing.add(
        provider="P", account_number="7", holds_everything=holds_everything
    )
    done = await caller.call("PerformAction", action)
    assert not done.providers_left_out


async def test_a_service_names_the_goods_that_its_viewing_point_lacks(caller: Caller) -> None:
    done = await caller.call(
        "PerformAction", become(services=[on("MAIN", "S1")], items=[card("MAIN", "1")])
    )
    (service,) = done.subscription.services
    assert list(service.missing_goods_types) == ["DECODER"]


DEFINITION = resets.ResetRunDefinition(name="night", provider="P")


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("CreateProvider", providers.CreateProviderRequest(provider=pb.Provider(code="1"))),
        ("CreateProvider", providers.CreateProviderRequest(provider=pb.Provider(code="9" * 64))),
        ("CreateResetRunDefinition", resets.CreateResetRunDefinitionRequest(definition=DEFINITION)),
        (
            "SubmitResetRunDefinition",
            resets.SubmitResetRunDefinitionRequest(definition="D0000000001"),
        ),
        ("ResetSubscription", resets.ResetSubscriptionRequest(subscription="S0000000001")),
    ],
)
async def test_the_id_of_another_call_finds_no_action(
    caller: Caller, rpc: str, request_: Message
) -> None:
    await caller.call("PerformAction", become(services=[on("MAIN", "S1")]))
    if rpc.startswith("Submit"):
        define = resets.CreateResetRunDefinitionRequest(definition=DEFINITION)
        await caller.call("CreateResetRunDefinition", define)
    request: Any = request_
    request.request_id = "other"
    assert not isinstance(await caller.call(rpc, request), Refusal)
    found = await caller.call("GetAction", subscriptions.GetActionRequest(request_id="other"))
    assert found.reason == "ACTION_NOT_FOUND"
