"""Checks the fields of an action, and completes the action with the providers that the caller has
not named. A caller may leave a provider out if only one provider is possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

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
    Selection,
    StartServices,
    StateAction,
    StopServices,
    SwapItem,
    SwapService,
)
from ..refusals import InvalidField
from ..values import Goods, Item, Subscription
from .fields import check_fields

Named = TypeVar("Named", Item, Selection, SwapService, AddUsage, Move)


def resolve(action: AnyAction, subscription: Subscription | None) -> AnyAction:
    """Returns the action with the provider of each service, item and move.

    Raises InvalidField if the action contradicts itself, or if a provider is left out, and several
    providers or none are possible. In Remove Items and Swap Item an empty provider stays empty: it
    stands for all providers.
    """
    check_fields(action)

    def resolved(parts: tuple[Named, ...], field: str) -> tuple[Named, ...]:
        if "" not in [part.provider for part in parts]:
            return parts
        default = _default(action, subscription)
        return tuple([_named(part, default, f"{field}[{n}].") for n, part in enumerate(parts)])

    match action:
        case ChangeTerms():
            services = resolved(action.services, "services")
            _check_once([each.place for each in services], "services", "a service")
            return replace(action, services=services)
        case AddServices() | StartServices() | StopServices() | RemoveServices():
            return replace(action, services=resolved(action.services, "services"))
        case BecomeSubscriber() | Replace():
            items, services = resolved(action.items, "items"), resolved(action.services, "services")
            return replace(action, items=items, services=services)
        case AddItems():
            return replace(action, items=resolved(action.items, "items"))
        case ChangeDistribution():
            items = subscription.items if subscription else ()
            moves = [_with_goods(move, items) for move in resolved(action.moves, "moves")]
            moved = [(m.provider, m.from_distributor, m.service, m.goods) for m in moves]
            _check_once(moved, "moves", "a service or an item")
            return replace(action, moves=tuple(moves))
        case SwapService():
            return _named(action, _default(action, subscription), "")
        case AddUsage():
            return _named(action, _default(action, subscription), "")
        case SwapItem():
            return _swap(action, subscription) if subscription else action
        case RemoveItems():
            return _removal(action, subscription) if subscription else action
        case ChangeLocation() | ChangeSubscriber() | CancelUsage():
            return action
        case _:
            change: StateAction = action
            return change


def _check_once(named: Sequence[tuple[object, ...]], field: str, what: str) -> None:
    """Raises InvalidField if the action names a part twice, for example once with and once without
    its provider: the service could not tell which of the two changes is meant.
    """
    if len(set(named)) < len(named):
        raise InvalidField((field, f"contains {what} twice"))


def _default(action: AnyAction, subscription: Subscription | None) -> str:
    if isinstance(action, BecomeSubscriber):
        return action.provider
    if subscription is None:
        return ""
    codes = {service.provider for service in subscription.services}
    codes |= {item.provider for item in subscription.items}
    codes.update(subscription.linked)
    return codes.pop() if len(codes) == 1 else ""


def _named(part: Named, default: str, at: str) -> Named:
    if part.provider:
        return part
    if not default:
        raise InvalidField(
            (f"{at}provider", "is required: the subscription does not have exactly one provider")
        )
    return replace(part, provider=default)


def _with_goods(move: Move, items: tuple[Item, ...]) -> Move:
    """Adds the goods type to the move, because a caller names only the serial number."""
    if move.goods is None or move.goods.goods_type:
        return move
    at = move.provider, move.from_distributor, move.goods.serial_number
    for item in items:
        if (item.provider, item.distributor, item.serial_number) == at:
            return replace(move, goods=item.goods)
    return move


def _swap(action: SwapItem, subscription: Subscription) -> SwapItem:
    """Adds the goods types to the action. A replay then swaps the same item or none, but no item of
    another goods type that has the same serial number.
    """
    kind = _kind(subscription, action, action.old_serial_number)
    if not kind:
        return action
    return replace(action, goods_type=kind, new_goods_type=action.new_goods_type or kind)


def _removal(action: RemoveItems, subscription: Subscription) -> RemoveItems:
    """Adds the items to the action, so that a replay removes the same items."""
    if action.goods:
        return action
    kinds = [(_kind(subscription, action, each), each) for each in action.serial_numbers]
    return replace(action, goods=tuple([Goods(kind, serial) for kind, serial in kinds if kind]))


def _kind(subscription: Subscription, action: SwapItem | RemoveItems, serial_number: str) -> str:
    """Returns the goods type of the item that the action means, or an empty text if no item fits or
    items of several goods types fit. Then the action is refused.
    """
    kinds = {
        item.goods_type
        for item in subscription.items
        if item.serial_number == serial_number
        and action.goods_type in ("", item.goods_type)
        and action.provider in ("", item.provider)
        and action.distributor in ("", item.distributor)
    }
    return kinds.pop() if len(kinds) == 1 else ""
