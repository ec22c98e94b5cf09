"""The provider and the subscriptions of the measurements."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from generic_provider import (
    AsyncClient,
    Distributor,
    Provider,
    ProvisioningError,
    Service,
    actions,
)
from generic_provider.v1.subscription_service_pb2 import PerformActionRequest

PROVIDER = "BENCH"
BATCH = 100


def number(n: int) -> str:
    return f"B{n:07}"


async def set_up(client: AsyncClient, *, subscriptions: int) -> None:
    """An effective provider, and subscriptions that its platform serves already."""
    provider = Provider(
        code=PROVIDER,
        distributors=[Distributor(code="MAIN")],
        services=[
            Service(code="SPORT", provider_service_id="1"),
            Service(code="NEWS", provider_service_id="2"),
        ],
    )
    await client.create_provider(provider)
    await client.set_provider_state(PROVIDER, state="EFFECTIVE")
    numbers = map(number, range(subscriptions))
    while batch := list(islice(numbers, BATCH * 10)):
        results = await client.batch_perform([_existing(each) for each in batch])
        failed = [each for each in results if isinstance(each, ProvisioningError)]
        if failed:
            raise failed[0]


def _existing(subscription: str) -> PerformActionRequest:
    become = actions.BecomeSubscriber(
        type="DTH",
        provider=PROVIDER,
        services=[("MAIN", "SPORT")],
        existing=[
            actions.ExistingAccount(
                provider=PROVIDER, account_number=subscription, holds_everything=True
            )
        ],
    )
    return actions.request(become, subscription=subscription)


def changes(subscriptions: int) -> Iterator[PerformActionRequest]:
    """For ever: each adds NEWS to, or takes it from, the next subscription."""
    news = [("MAIN", "NEWS")]
    while True:
        for n in range(subscriptions):
            yield actions.request(actions.AddServices(services=news), subscription=number(n))
        for n in range(subscriptions):
            yield actions.request(actions.RemoveServices(services=news), subscription=number(n))
