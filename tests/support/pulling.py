"""Answers single requests without an adapter."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from generic_provider import (
    AsyncClient,
    Client,
    ProvisioningRequest,
    ProvisioningResponse,
    ResponseStatus,
)


def take(crm: Client, provider: str) -> ProvisioningResponse:
    """Pulls a request, and returns an answer to it that has no status yet."""
    wait = timedelta(seconds=20)
    taken = crm.pull(provider, adapter="puller", max_requests=1, wait=wait).subscriptions[0]
    return ProvisioningResponse(request=taken.requests[0].number, lease_token=taken.lease_token)


def answer(
    crm: Client,
    provider: str,
    *,
    status: ResponseStatus.ValueType = ResponseStatus.ACCEPTED,
    taken: ProvisioningResponse | None = None,
    account_number: str = "",
    delay: timedelta | None = None,
) -> str:
    """Answers one request, and returns its number."""
    given = taken or take(crm, provider)
    given.status = status
    given.account_number = account_number
    if status != ResponseStatus.ACCEPTED:
        given.error_code, given.error_description = "E42", "not on this card"
    if delay is not None:
        given.retry_delay.FromTimedelta(delay)
    crm.send_responses(provider, responses=[given])
    return given.request


def accept_all(crm: Client, provider: str) -> None:
    while crm.get_backlog(provider).pending:
        answer(crm, provider)


async def accept_everything(
    crm: AsyncClient, provider: str
) -> dict[str, list[ProvisioningRequest]]:
    """Accepts until nothing is pending, and returns each subscription's requests in their order."""
    taken = defaultdict[str, list[ProvisioningRequest]](list)
    while (await crm.get_backlog(provider)).pending:
        pulled = await crm.pull(provider, adapter="puller", max_requests=1_000)
        answers = [
            ProvisioningResponse(
                request=request.number,
                lease_token=each.lease_token,
                status=ResponseStatus.ACCEPTED,
            )
            for each in pulled.subscriptions
            for request in each.requests
        ]
        for each in pulled.subscriptions:
            taken[each.subscription] += each.requests
        if answers:
            await crm.send_responses(provider, responses=answers)
    return taken
