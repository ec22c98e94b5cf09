# ruff: noqa: N802 - each constructor has the name of its message
"""Constructs the actions on the contents of a subscription: services, items, holder, address,
usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from generic_provider._action_parts import ItemLike, ServiceLike, item_of, items_of, services_of
from generic_provider._arguments import named
from generic_provider._values import instant, several
from generic_provider.v1 import subscription_service_pb2 as v1
from generic_provider.v1.resources_pb2 import Account, Address


@named
def AddServices(*, services: Iterable[ServiceLike]) -> v1.AddServices:
    """Adds services. Each new service gets the state of the subscription."""
    return v1.AddServices(services=services_of(services))


@named
def StartServices(*, services: Iterable[ServiceLike]) -> v1.StartServices:
    """Starts services that are off: each service gets the state of the subscription.

    If the subscription is NOT_EFFECTIVE, it becomes EFFECTIVE, and only these services are on.
    """
    return v1.StartServices(services=services_of(services))


@named
def StopServices(*, services: Iterable[ServiceLike]) -> v1.StopServices:
    """Changes services to NOT_EFFECTIVE.

    If no effective service is left, the subscription becomes NOT_EFFECTIVE too.
    """
    return v1.StopServices(services=services_of(services))


@named
def RemoveServices(*, services: Iterable[ServiceLike]) -> v1.RemoveServices:
    """Removes services. If no effective service is left, the subscription becomes NOT_EFFECTIVE."""
    return v1.RemoveServices(services=services_of(services))


@named
def ChangeTerms(*, services: Iterable[ServiceLike]) -> v1.ChangeTerms:
    """Sets the term ends of services to the given `term_end`.

    A service that is given without `term_end` has no end afterwards. A service that stopped at its
    old term end starts again.
    """
    return v1.ChangeTerms(services=services_of(services))


@named
def SwapService(
    *,
    distributor: str,
    old_service: str,
    new_service: str,
    provider: str = "",
    term_end: datetime | None = None,
) -> v1.SwapService:
    """Replaces an old service by a new service. `term_end` is the end of the new service."""
    return v1.SwapService(
        provider=provider,
        distributor=distributor,
        old_service=old_service,
        new_service=new_service,
        term_end=instant("term_end", term_end),
    )


@named
def AddItems(*, items: Iterable[ItemLike]) -> v1.AddItems:
    """Adds cards and boxes at viewing points."""
    return v1.AddItems(items=items_of(items))


@named
def RemoveItems(
    *,
    serial_numbers: Iterable[str],
    goods_type: str = "",
    provider: str = "",
    distributor: str = "",
) -> v1.RemoveItems:
    """Removes cards and boxes.

    The other arguments select the items if several items have the same serial number.
    """
    return v1.RemoveItems(
        serial_numbers=several("serial_numbers", serial_numbers),
        goods_type=goods_type,
        provider=provider,
        distributor=distributor,
    )


@named
def SwapItem(*, old_serial_number: str, new_item: ItemLike, goods_type: str = "") -> v1.SwapItem:
    """Replaces an old item by a new item.

    `goods_type` is the goods type of the old item. `goods_type` is needed if several items of the
    subscription have the old serial number.
    """
    return v1.SwapItem(
        old_serial_number=old_serial_number, goods_type=goods_type, new_item=item_of(new_item)
    )


@named
def ChangeDistribution(*, moves: Iterable[v1.ChangeDistribution.Move]) -> v1.ChangeDistribution:
    """Moves services and items to other distributors. If one move is rejected, all moves are taken
    back.
    """
    return v1.ChangeDistribution(moves=moves)


@named
def Move(
    *,
    from_distributor: str,
    to_distributor: str,
    service: str | None = None,
    serial_number: str | None = None,
    provider: str = "",
) -> v1.ChangeDistribution.Move:
    """Returns one move for ChangeDistribution: the move of this service, or of the item with this
    serial number. Raises ValueError unless exactly one of `service` and `serial_number` is given.
    """
    if (service is None) == (serial_number is None):
        raise ValueError("Move takes either a service or a serial_number")
    move = v1.ChangeDistribution.Move(
        provider=provider, from_distributor=from_distributor, to_distributor=to_distributor
    )
    if service is not None:
        move.service = service
    if serial_number is not None:
        move.serial_number = serial_number
    return move


@named
def ChangeLocation(*, address: Address) -> v1.ChangeLocation:
    """Replaces the whole address by a new address."""
    return v1.ChangeLocation(address=address)


@named
def ChangeSubscriber(*, holder: Account) -> v1.ChangeSubscriber:
    """Replaces the whole holder by a new holder."""
    return v1.ChangeSubscriber(holder=holder)


@named
def AddUsage(
    *,
    service: str,
    reference: str,
    start_time: datetime,
    end_time: datetime,
    quantity: int = 1,
    provider: str = "",
    distributor: str = "",
    parameters: Mapping[str, str] | None = None,
) -> v1.AddUsage:
    """Adds a usage record of a usage service, for example of one film.

    `reference` identifies the usage record, and must be unique on the subscription.
    """
    return v1.AddUsage(
        provider=provider,
        distributor=distributor,
        service=service,
        quantity=quantity,
        start_time=instant("start_time", start_time),
        end_time=instant("end_time", end_time),
        reference=reference,
        parameters=parameters,
    )


@named
def CancelUsage(*, usage: str) -> v1.CancelUsage:
    """Cancels the usage record with this reference."""
    return v1.CancelUsage(usage=usage)
