"""What an aggregate names: items, which it reserves, and parts of providers, which it uses."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .actions import (
    AddItems,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    ChangeDistribution,
    Move,
    Replace,
    SwapItem,
    SwapService,
)
from .aggregate import Aggregate
from .image import PlatformImage, Request
from .values import Goods, Subscription


def goods_named(aggregate: Aggregate) -> set[Goods]:
    """The items reserved for the subscription: those that the CRM, an unsettled action or a
    platform, certainly or not, has of it."""
    named = {item.goods for item in aggregate.desired.items}
    if aggregate.base is not None:
        named.update(item.goods for item in aggregate.base.items)
    for performed in aggregate.performed:
        named.update(goods_of(performed.action))
    for link in aggregate.links:
        named.update(_held(link.confirmed))
        for pending in link.queue:
            named.update(_carried(pending.request))
    return named


def goods_of(action: AnyAction) -> set[Goods]:
    """The items that an action brings in."""
    match action:
        case BecomeSubscriber() | AddItems() | Replace():
            return {item.goods for item in action.items}
        case SwapItem():
            return {Goods(action.new_goods_type, action.new_serial_number)}
        case _:
            return set()


def _held(image: PlatformImage) -> set[Goods]:
    held = {item.goods for item in image.items}
    for entitlement in image.entitlements:
        held.update(entitlement.goods)
    return held


def _carried(request: Request) -> set[Goods]:
    items = [*request.items, *([request.item] if request.item else [])]
    services = [*request.services, *([request.service] if request.service else [])]
    return {item.goods for item in items} | {i.goods for s in services for i in s.items}


Use = tuple[str, str]
"""(provider, thing): see `uses_of`."""

PLACES_KEPT = 50_000
"""Places whose uses are remembered: there are as many as providers offer."""


def uses_of(aggregate: Aggregate) -> set[Use]:
    """The things of each provider that the aggregate names, so that they may not change.

    `*` the provider itself, `d:CODE` a distributor, `s:CODE` a service, `d:CODE/s:CODE` the one on
    the other, `g:TYPE` a goods type.
    """
    uses: set[Use] = set()
    for state in (aggregate.desired, aggregate.base):
        if state is not None and state.live:
            uses.update(_uses_of_state(state))
    providers = [link.provider for link in aggregate.links]
    for performed in aggregate.performed:
        uses.update(_uses_of_action(performed.action, providers=providers))
    for link in aggregate.links:
        uses.update(_uses_of_image(link.provider, link.confirmed))
        for pending in link.queue:
            uses.update(_uses_of_request(link.provider, pending.request))
    return uses


def _uses_of_state(state: Subscription) -> Iterable[Use]:
    for service in state.services:
        yield from _placed(service.provider, service.distributor, service.service)
    for usage in state.usages:
        yield from _placed(usage.provider, usage.distributor, usage.service)
    for item in state.items:
        yield from _installed(item.provider, item.distributor, item.goods_type)
    for code in state.linked:
        yield code, "*"


@lru_cache(PLACES_KEPT)
def _placed(provider: str, distributor: str, service: str) -> tuple[Use, ...]:
    return (
        (provider, "*"),
        (provider, f"d:{distributor}"),
        (provider, f"s:{service}"),
        (provider, f"d:{distributor}/s:{service}"),
    )


@lru_cache(PLACES_KEPT)
def _installed(provider: str, distributor: str, goods_type: str) -> tuple[Use, ...]:
    return (provider, "*"), (provider, f"d:{distributor}"), (provider, f"g:{goods_type}")


def _uses_of_action(action: AnyAction, *, providers: Iterable[str]) -> Iterable[Use]:
    for item in getattr(action, "items", ()):
        yield from _installed(item.provider, item.distributor, item.goods_type)
    for service in getattr(action, "services", ()):
        yield from _placed(service.provider, service.distributor, service.service)
    match action:
        case SwapService():
            yield from _placed(action.provider, action.distributor, action.new_service)
        case SwapItem():
            for provider in [action.provider] if action.provider else providers:
                yield provider, f"g:{action.new_goods_type}"
        case AddUsage():
            yield from _placed(action.provider, action.distributor, action.service)
        case ChangeDistribution():
            for move in action.moves:
                yield from _uses_of_move(move)
        case _:
            return


def _uses_of_move(move: Move) -> Iterable[Use]:
    if move.goods is None:
        yield from _placed(move.provider, move.to_distributor, move.service)
    else:
        yield from _installed(move.provider, move.to_distributor, move.goods.goods_type)


def _uses_of_image(provider: str, image: PlatformImage) -> Iterable[Use]:
    for entitlement in image.entitlements:
        yield from _placed(provider, entitlement.distributor, entitlement.service)
    for item in image.items:
        yield from _installed(provider, item.distributor, item.goods_type)
    for posted in image.usages:
        yield from _placed(provider, posted.usage.distributor, posted.usage.service)


def _uses_of_request(provider: str, request: Request) -> Iterable[Use]:
    for service in (*request.services, *([request.service] if request.service else [])):
        yield from _placed(provider, service.distributor, service.service)
    for item in (*request.items, *([request.item] if request.item else [])):
        yield from _installed(provider, item.distributor, item.goods_type)
