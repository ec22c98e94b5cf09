"""Finds the items and the parts of providers that a subscription uses. The items are reserved for
the subscription. The parts must not change while a subscription uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..actions import (
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Move,
    RemoveItems,
    RemoveServices,
    Replace,
    ServiceListAction,
    StartServices,
    StateAction,
    StopServices,
    SwapItem,
    SwapService,
)
from ..platform.image import PlatformImage, ProvisionedItem
from ..platform.request import ProvisionedService, Request
from ..values import Goods, Item, Subscription
from .aggregate import Aggregate


def goods_named(aggregate: Aggregate) -> set[Goods]:
    """Returns the items that are reserved for the subscription: the items of *desired*, of *base*
    and of unsettled actions, the items in pending requests, and the items that a platform holds or
    may hold.
    """
    named: set[Goods] = set()
    add_items(named, aggregate.desired.items)
    if aggregate.base is not None:
        add_items(named, aggregate.base.items)
    for performed in aggregate.performed:
        named.update(goods_of(performed.action))
    for link in aggregate.links:
        add_goods(named, link.confirmed)
        for pending in link.queue:
            add_carried(named, pending.request)
    return named


def add_items(named: set[Goods], items: Iterable[Item | ProvisionedItem]) -> None:
    for item in items:
        named.add(Goods(item.goods_type, item.serial_number))


def add_goods(named: set[Goods], image: PlatformImage) -> None:
    add_items(named, image.items)
    for entitlement in image.entitlements:
        named.update(entitlement.goods)
    for posted in image.usages:
        named.update(posted.goods)


def add_carried(named: set[Goods], request: Request) -> None:
    services, items = _carried(request)
    add_items(named, items)
    for service in services:
        add_items(named, service.items)


def goods_of(action: AnyAction) -> set[Goods]:
    """Returns the items that an action adds."""
    if isinstance(action, ServiceListAction):
        return set()
    match action:
        case BecomeSubscriber() | AddItems() | Replace():
            return {item.goods for item in action.items}
        case SwapItem():
            return {Goods(action.new_goods_type, action.new_serial_number)}
        case (
            RemoveItems()
            | SwapService()
            | ChangeDistribution()
            | ChangeLocation()
            | ChangeSubscriber()
            | AddUsage()
            | CancelUsage()
        ):
            return set()
        case _:
            _: StateAction = action
            return set()


def _carried(
    request: Request,
) -> tuple[tuple[ProvisionedService, ...], tuple[ProvisionedItem, ...]]:
    return (
        (request.service,) if request.service else request.services,
        (request.item,) if request.item else request.items,
    )


Use = tuple[str, str]
"""The code of a provider, and a text that names the provider itself, or one of its services, goods
types or distributors. `uses_of` describes the text.
"""

ProviderPart = tuple[str, str, str, str]
"""The kind (`s` a service, `g` a goods type, `*` the whole provider), the provider, the
distributor, and the code of the service or goods type.
"""

PARTS_KEPT = 10_000
"""The cache of `uses_of_parts` has at most this number of entries.

The cache helps because many subscriptions use the same parts.
"""


def uses_of(aggregate: Aggregate) -> frozenset[Use]:
    """Returns the parts of providers that the aggregate names. Each part is a pair: the provider,
    and a text.

    In the text, `*` is the provider itself, `d:CODE` a distributor, `s:CODE` a service,
    `d:CODE/s:CODE` a service on a distributor, `g:TYPE` a goods type.
    """
    parts: set[ProviderPart] = set()
    for state in (aggregate.desired, aggregate.base):
        if state is not None and state.live:
            add_state(parts, state)
    for performed in aggregate.performed:
        parts.update(parts_of_action(performed.action))
    for link in aggregate.links:
        add_image(parts, link.provider, link.confirmed)
        for pending in link.queue:
            add_request(parts, link.provider, pending.request)
    for performed in aggregate.performed:
        if isinstance(performed.action, SwapItem):
            parts.update(_swapped_in(performed.action, aggregate, parts))
    return uses_of_parts(frozenset(parts))


def uses_named(action: AnyAction) -> frozenset[Use]:
    """Returns the parts of providers that the scheduled action names, in the same form as
    `uses_of`.
    """
    return uses_of_parts(frozenset(parts_named(action)))


def parts_named(action: AnyAction) -> list[ProviderPart]:
    parts = parts_of_action(action)
    if isinstance(action, BecomeSubscriber):
        codes = [action.provider, *[each.provider for each in action.existing]]
        parts += [("*", code, "", "") for code in codes]
    if isinstance(action, SwapItem):
        parts += [("g", action.provider, action.distributor, action.new_goods_type)]
    return [part for part in parts if part[1]]


@lru_cache(PARTS_KEPT)
def uses_of_parts(parts: frozenset[ProviderPart]) -> frozenset[Use]:
    uses: set[Use] = set()
    for kind, provider, distributor, code in parts:
        uses.add((provider, "*"))
        if kind != "*":
            uses.add((provider, f"{kind}:{code}"))
        if distributor:
            uses.add((provider, f"d:{distributor}"))
        if kind == "s":
            uses.add((provider, f"d:{distributor}/s:{code}"))
    return frozenset(uses)


def add_state(parts: set[ProviderPart], state: Subscription) -> None:
    for code in state.linked:
        parts.add(("*", code, "", ""))
    for service in state.services:
        parts.add(("s", service.provider, service.distributor, service.service))
    for item in state.items:
        parts.add(("g", item.provider, item.distributor, item.goods_type))
    for usage in state.usages:
        parts.add(("s", usage.provider, usage.distributor, usage.service))


def add_image(parts: set[ProviderPart], provider: str, image: PlatformImage) -> None:
    for entitlement in image.entitlements:
        parts.add(("s", provider, entitlement.distributor, entitlement.service))
    for item in image.items:
        parts.add(("g", provider, item.distributor, item.goods_type))
    for posted in image.usages:
        parts.add(("s", provider, posted.usage.distributor, posted.usage.service))


def add_request(parts: set[ProviderPart], provider: str, request: Request) -> None:
    services, items = _carried(request)
    for service in services:
        parts.add(("s", provider, service.distributor, service.service))
    for item in items:
        parts.add(("g", provider, item.distributor, item.goods_type))


def parts_of_action(action: AnyAction) -> list[ProviderPart]:
    """Returns the parts that an action names, except the new goods type of Swap Item, which may
    concern several providers.
    """
    match action:
        case AddServices() | StartServices() | StopServices() | RemoveServices() | ChangeTerms():
            return [("s", s.provider, s.distributor, s.service) for s in action.services]
        case AddItems():
            return [("g", i.provider, i.distributor, i.goods_type) for i in action.items]
        case BecomeSubscriber() | Replace():
            parts = [("s", s.provider, s.distributor, s.service) for s in action.services]
            return parts + [("g", i.provider, i.distributor, i.goods_type) for i in action.items]
        case SwapService():
            return [("s", action.provider, action.distributor, action.new_service)]
        case AddUsage():
            distributor = action.distributor or action.chosen_distributor
            return [("s", action.provider, distributor, action.service)]
        case ChangeDistribution():
            return [_of_move(move) for move in action.moves]
        case SwapItem() | RemoveItems() | ChangeLocation() | ChangeSubscriber() | CancelUsage():
            return []
        case _:
            _: StateAction = action
            return []


def _of_move(move: Move) -> ProviderPart:
    if move.goods is None:
        return "s", move.provider, move.to_distributor, move.service
    return "g", move.provider, move.to_distributor, move.goods.goods_type


def _swapped_in(
    action: SwapItem, aggregate: Aggregate, parts: set[ProviderPart]
) -> list[ProviderPart]:
    """Returns the new goods type at each provider that may have the item. `parts`: the parts that
    the rest of the aggregate names. They also name each provider that has items, but is not linked.
    """
    providers = {action.provider}
    if not action.provider:
        providers = {link.provider for link in aggregate.links}
        providers.update([provider for kind, provider, _, _ in parts if kind == "g"])
    return [("g", provider, "", action.new_goods_type) for provider in providers]
