"""Tests which contents of a platform's answers the CRM gets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from generic_provider import (
    Accepted,
    Adapter,
    AsyncClient,
    ProvisioningRequest,
    ProvisioningResponse,
    Reject,
    RequestState,
    ResponseCode,
    ResponseStatus,
    actions,
)
from generic_provider.v1 import provisioning_service_pb2 as api
from generic_provider_server.store.memory import subscriptions
from support.calling import Caller
from support.provisioning_server import serving

TOLD = {
    "A17\0\0": "A17",
    " A17\r\n": "A17",
    "A\x0017": "A 17",
    "A\x0717": "A\N{REPLACEMENT CHARACTER}17",
    "\x1b[31mA17": "\N{REPLACEMENT CHARACTER}[31mA17",
    "A\u202e17": "A\N{REPLACEMENT CHARACTER}17",
    "A\ufeff17": "A\N{REPLACEMENT CHARACTER}17",
    "\N{NO-BREAK SPACE}A17\u2028": "A17",
    "first\nsecond\tthird": "first second third",
    "Ünïcode \N{SNOWMAN}": "Ünïcode \N{SNOWMAN}",
    "\0": "",
}


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize(("told", "kept"), TOLD.items())
async def test_what_a_platform_tells_is_never_refused_for_its_characters(
    told: str, kept: str, address: str
) -> None:
    adapter = Adapter(address, provider="P", name="a")

    @adapter.otherwise
    async def do(request: ProvisioningRequest) -> Accepted:
        if request.subscription == "REFUSED":
            raise Reject(told, told)
        return Accepted(account_number=told, reference_number=told)

    async with AsyncClient(address) as crm, serving(adapter):
        settled = [await become(crm, number) for number in ("TAKEN", "REFUSED")]
        (link,) = (await crm.get_subscription("TAKEN")).provider_links

    taken, refused = settled
    assert (taken.state, taken.reference_number) == (RequestState.COMPLETED, kept)
    assert link.account_number == kept
    assert (refused.state, refused.error_code) == (RequestState.REJECTED, kept)
    assert refused.error_description == kept


async def test_a_text_that_is_too_long_is_malformed_a_description_is_cut(caller: Caller) -> None:
    answers = [
        api.ProvisioningResponse(
            request="R0000000001", status=api.RESPONSE_STATUS_ACCEPTED, account_number="A" * 65
        ),
        api.ProvisioningResponse(
            request="R0000000001", status=api.RESPONSE_STATUS_REJECTED, error_description="e" * 1001
        ),
    ]
    request = api.SendResponsesRequest(provider="P", responses=answers)
    results = (await caller.call("SendResponses", request)).results
    assert [each.code for each in results] == [
        api.RESPONSE_CODE_INVALID,
        api.RESPONSE_CODE_NOT_FOUND,
    ]


async def become(crm: AsyncClient, number: str) -> ProvisioningRequest:
    done = await crm.perform(
        actions.BecomeSubscriber(type="DTH", provider="P"), subscription=number
    )
    await crm.get_action(done.action.id, wait=timedelta(seconds=30))
    return await crm.get_request(done.requests[0].number)


@pytest.mark.usefixtures("caller")
async def test_answers_do_not_collect_the_names_of_a_long_queue_again_and_again(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "MAIN", "TWIN1", "TWIN2", "TWIN3"
    goods = "SMARTCARD", "DECODER"
    collected, collect = list[Any](), vars(subscriptions)["goods_named"]

    def goods_named(aggregate: Any) -> Any:
        collected.append(aggregate)
        return collect(aggregate)

    become = actions.BecomeSubscriber(
        type="DTH",
        provider="P",
        items=[(point, each, f"{each}{point}") for point in points for each in goods],
        services=[(point, f"S{n}") for point in points for n in range(20)],
    )
    async with AsyncClient(address) as crm:
        (created,) = (await crm.perform(become, subscription="S")).requests
        await crm.resolve_request(created.number, status="ACCEPTED", reason="looked")
        await crm.perform(actions.Deactivate(), subscription="S")
        pull = api.PullPendingRequestsRequest(provider="P", adapter="a", max_requests=20)
        (lease,) = (await Caller(crm.channel).call("PullPendingRequests", pull)).subscriptions
        accepted = [
            ProvisioningResponse(
                request=each.number, lease_token=lease.lease_token, status=ResponseStatus.ACCEPTED
            )
            for each in lease.requests
        ]
        monkeypatch.setattr(subscriptions, "goods_named", goods_named)
        results = await crm.send_responses("P", responses=accepted)

    assert {each.code for each in results} == {ResponseCode.APPLIED}
    assert len(results) == 20
    assert len(collected) <= 1
