"""Measures other changes than P2: several services, many services, a second provider, swapped
cards, and rejections. P2, the measurement of full cycles, changes one service of a subscription
that has at most two services.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from generic_provider import (
    Client,
    Distributor,
    GoodsMapping,
    Provider,
    ProvisioningResponse,
    ResponseStatus,
    Service,
    ServiceState,
    Subscription,
    actions,
)
from generic_provider.v1.subscription_service_pb2 import PerformActionRequest

from .databases import SQLITE
from .loads import Round, Run
from .processes import Serving, server

PROVIDERS = "P", "Q"
SERVICES = 100
SUBSCRIPTIONS = 500
BATCH = 100
BATCHES = 40
CARD = "SMARTCARD"

Change = Callable[[Subscription], PerformActionRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`services`: the number of services of each subscription at each provider. `change` makes an
    action from the current state of a subscription. `rejected`: the part of the requests that the
    adapters reject.
    """

    change: Change
    services: int = 10
    providers: tuple[str, ...] = PROVIDERS[:1]
    rejected: float = 0.0


def switched(count: int) -> Change:
    """Returns a change that stops the first services at each provider, or starts those of them that
    are off.
    """

    def change(subscription: Subscription) -> PerformActionRequest:
        first = [each for each in subscription.services if int(each.service) < count]
        off = [each for each in first if each.state != ServiceState.EFFECTIVE]
        kind = actions.StartServices if off else actions.StopServices
        named = [(each.provider, each.distributor, each.service) for each in off or first]
        return actions.request(kind(services=named), subscription=subscription.number)

    return change


def swapped(subscription: Subscription) -> PerformActionRequest:
    [card] = subscription.items
    name, turn = card.serial_number.split(".")
    new = "P", "MAIN", CARD, f"{name}.{int(turn) + 1}"
    swap = actions.SwapItem(old_serial_number=card.serial_number, new_item=new)
    return actions.request(swap, subscription=subscription.number)


MIXES: Mapping[str, Mix] = {
    "1 of 1 service": Mix(change=switched(1), services=1),
    "1 of 10 services": Mix(change=switched(1)),
    "3 of 10 services": Mix(change=switched(3)),
    "1 of 100 services": Mix(change=switched(1), services=SERVICES),
    "1 of 10 services at each of 2 providers": Mix(change=switched(1), providers=PROVIDERS),
    "a swapped card": Mix(change=swapped),
    "3 of 10 services, 20 % rejected": Mix(change=switched(3), rejected=0.2),
    "a swapped card, 20 % rejected": Mix(change=swapped, rejected=0.2),
}


def mixes(run: Run) -> Round:
    """Measures the server's processor time for each action of each mix, until the requests of the
    action are settled.
    """
    measured = {}
    for name, mix in MIXES.items():
        with (
            run.databases.fresh(SQLITE) as database,
            server(database) as serving,
            Client(serving.address) as client,
        ):
            _subscribe(client, mix)
            measured[f"µs of the server an action, {name}"] = _cost(serving, client, mix)
    return measured


def _subscribe(client: Client, mix: Mix) -> None:
    for code in mix.providers:
        services = [Service(code=f"{n}", provider_service_id=f"{n}") for n in range(SERVICES)]
        goods = [GoodsMapping(goods_type=CARD, provider_goods_type=CARD)]
        main = Distributor(code="MAIN")
        client.create_provider(
            Provider(code=code, distributors=[main], services=services, goods=goods)
        )
        client.set_provider_state(code, state="EFFECTIVE")
    named = [(code, "MAIN", f"{n}") for code in mix.providers for n in range(mix.services)]
    for n in range(SUBSCRIPTIONS):
        card = "P", "MAIN", CARD, f"C{n}.0"
        become = actions.BecomeSubscriber(type="DTH", services=named, items=[card])
        client.perform(become, subscription=f"S{n:03}")
    _serve(client, mix.providers, lambda: False)


def _cost(serving: Serving, client: Client, mix: Mix) -> float:
    """Returns the microseconds of the server for each action. The adapters answer all requests of a
    batch of actions before the CRM sends the next batch.
    """
    chance = random.Random(1)
    spent = 0.0
    for numbers in islice(_batches(), BATCHES):
        changes = [mix.change(client.get_subscription(each)) for each in numbers]
        began = serving.cpu()
        for outcome in client.batch_perform(changes):
            if isinstance(outcome, Exception):
                raise outcome
        _serve(client, mix.providers, lambda: chance.random() < mix.rejected)
        spent += serving.cpu() - began
    return spent / (BATCHES * BATCH) * 1_000_000


def _batches() -> Iterator[list[str]]:
    """Yields the numbers of the next BATCH subscriptions, without end."""
    while True:
        for first in range(0, SUBSCRIPTIONS, BATCH):
            yield [f"S{n:03}" for n in range(first, first + BATCH)]


def _serve(client: Client, providers: tuple[str, ...], rejects: Callable[[], bool]) -> None:
    """Answers pending requests until none is left."""
    for code in providers:
        while handed := client.pull(code, adapter="bench").subscriptions:
            responses = []
            for each in handed:
                for request in each.requests:
                    rejected = rejects()
                    status = ResponseStatus.REJECTED if rejected else ResponseStatus.ACCEPTED
                    responses.append(
                        ProvisioningResponse(
                            request=request.number, lease_token=each.lease_token, status=status
                        )
                    )
                    if rejected:
                        break
            client.send_responses(code, responses=responses)
