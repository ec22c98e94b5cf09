"""Applies the actions that change installed items, and the moves between distributors."""

from __future__ import annotations

from msgspec.structs import replace

from ..actions import ChangeDistribution, Move, RemoveItems, SwapItem
from ..refusals import InvalidField, Reason, Refused
from ..values import Item, Subscription
from .invariants import service_not_found


def add_items(subscription: Subscription, items: tuple[Item, ...]) -> Subscription:
    return replace(subscription, items=subscription.items + items)


def remove_items(subscription: Subscription, action: RemoveItems) -> Subscription:
    kinds = {goods.serial_number: goods.goods_type for goods in action.goods}
    gone = {
        item
        for serial in action.serial_numbers
        for item in _positions(
            subscription,
            serial,
            goods_type=kinds.get(serial, action.goods_type),
            provider=action.provider,
            distributor=action.distributor,
        )
    }
    kept = [item for n, item in enumerate(subscription.items) if n not in gone]
    return replace(subscription, items=tuple(kept))


def swap_item(subscription: Subscription, action: SwapItem) -> Subscription:
    places = _positions(
        subscription,
        action.old_serial_number,
        goods_type=action.goods_type,
        provider=action.provider,
        distributor=action.distributor,
    )
    items = list(subscription.items)
    for n in places:
        items[n] = replace(
            items[n],
            goods_type=action.new_goods_type or items[n].goods_type,
            serial_number=action.new_serial_number,
            parameters=action.parameters,
        )
    return replace(subscription, items=tuple(items))


def change_distribution(subscription: Subscription, action: ChangeDistribution) -> Subscription:
    """Makes all moves at the same time, so that two cards may exchange their distributors."""
    services, items = list(subscription.services), list(subscription.items)
    for move in action.moves:
        if move.goods is not None:
            n = _item_at(subscription, move)
            items[n] = replace(items[n], distributor=move.to_distributor)
        else:
            n = _service_at(subscription, move)
            services[n] = replace(services[n], distributor=move.to_distributor)
    return replace(subscription, services=tuple(services), items=tuple(items))


def _positions(
    subscription: Subscription, serial: str, *, goods_type: str, provider: str, distributor: str
) -> list[int]:
    """Returns the positions of the item in `subscription.items`: one for each provider that has the
    item.

    Raises InvalidField if items of several goods types fit.
    """
    found = [
        n
        for n, item in enumerate(subscription.items)
        if item.serial_number == serial
        and goods_type in ("", item.goods_type)
        and provider in ("", item.provider)
        and distributor in ("", item.distributor)
    ]
    if not found:
        raise _item_not_found(subscription, serial, provider=provider, distributor=distributor)
    kinds = {subscription.items[n].goods_type for n in found}
    if len(kinds) > 1:
        raise InvalidField(
            ("goods_type", f"{serial} is the serial number of a {' and of a '.join(sorted(kinds))}")
        )
    return found


def _item_at(subscription: Subscription, move: Move) -> int:
    for n, item in enumerate(subscription.items):
        at = item.provider, item.distributor
        if at == (move.provider, move.from_distributor) and item.goods == move.goods:
            return n
    raise _item_not_found(
        subscription,
        move.goods.serial_number if move.goods else "",
        provider=move.provider,
        distributor=move.from_distributor,
    )


def _service_at(subscription: Subscription, move: Move) -> int:
    place = move.provider, move.from_distributor, move.service
    for n, service in enumerate(subscription.services):
        if service.place == place:
            return n
    raise service_not_found(subscription, place)


def _item_not_found(
    subscription: Subscription, serial: str, *, provider: str, distributor: str
) -> Refused:
    named = {"provider": provider, "distributor": distributor}
    return Refused(
        Reason.ITEM_NOT_FOUND,
        f"subscription {subscription.number} has no matching item {serial!r}",
        subscription=subscription.number,
        serial_number=serial,
        **{key: value for key, value in named.items() if value},
    )
