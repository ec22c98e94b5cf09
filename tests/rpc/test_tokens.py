"""Tests that page tokens, ids and lease tokens are accepted only in exactly the form that the
server gave.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

import msgspec

from generic_provider.v1 import provisioning_service_pb2 as provisioning
from generic_provider.v1 import request_service_pb2 as requests
from generic_provider.v1 import subscription_service_pb2 as subscriptions
from support.calling import Caller, Refusal
from support.wrong_actions import become, on

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def test_a_forged_position_is_no_page_token(caller: Caller) -> None:
    for _ in range(2):
        await caller.call("PerformAction", become(services=[on("MAIN", "S1")]))
    listed = subscriptions.ListActionsRequest(page_size=1)
    token = (await caller.call("ListActions", listed)).next_page_token
    assert token

    forged = [urlsafe_b64encode(msgspec.msgpack.encode((b"x", 2**63))).decode()]
    forged += [token[:-1] + character for character in ALPHABET if character != token[-1]]
    for each in forged:
        listed.page_token = each
        refusal = await caller.call("ListActions", listed)
        assert isinstance(refusal, Refusal), each
        assert refusal.fields == ("page_token",)
    listed.page_token = token
    assert len((await caller.call("ListActions", listed)).actions) == 1


async def test_an_id_has_only_the_form_in_which_it_was_given(caller: Caller) -> None:
    performed = await caller.call("PerformAction", become(services=[on("MAIN", "S1")]))
    (request,) = performed.requests
    full_width = request.number.translate({ord("0"): "\uff10"})
    for number in (f"R0{request.number[1:]}", full_width, request.number.lower()):
        refusal = await caller.call("GetRequest", requests.GetRequestRequest(request=number))
        assert isinstance(refusal, Refusal), number
        assert refusal.reason == "REQUEST_NOT_FOUND"


async def test_a_lease_token_with_another_last_character_was_never_issued(caller: Caller) -> None:
    await caller.call("PerformAction", become(services=[on("MAIN", "S1")]))
    pull = provisioning.PullPendingRequestsRequest(provider="P", adapter="a")
    (lease,) = (await caller.call("PullPendingRequests", pull)).subscriptions
    token = lease.lease_token
    wrong = [token[:-1] + character for character in ALPHABET if character != token[-1]]
    answers = provisioning.SendResponsesRequest(
        provider="P",
        responses=[
            provisioning.ProvisioningResponse(
                request=lease.requests[0].number,
                lease_token=each,
                status=provisioning.RESPONSE_STATUS_ACCEPTED,
            )
            for each in [*wrong, token]
        ],
    )
    refusal = await caller.call("ListRequests", requests.ListRequestsRequest(page_token=token))
    assert refusal.fields == ("page_token",)
    results = (await caller.call("SendResponses", answers)).results
    assert {each.code for each in results[:-1]} == {provisioning.RESPONSE_CODE_INVALID}
    assert results[-1].code == provisioning.RESPONSE_CODE_APPLIED
