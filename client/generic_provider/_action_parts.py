"""Converts services and items, as callers give them, to messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from generic_provider._arguments import named
from generic_provider._values import instant
from generic_provider.v1.resources_pb2 import InstalledItem
from generic_provider.v1.subscription_service_pb2 import ServiceSelection

ServiceLike: TypeAlias = ServiceSelection | tuple[str, str] | tuple[str, str, str]
ItemLike: TypeAlias = InstalledItem | tuple[str, str, str] | tuple[str, str, str, str]


@named
def service(
    distributor: str, service: str, *, provider: str = "", term_end: datetime | None = None
) -> ServiceSelection:
    """Names a service at a distributor, with the end of its term. `provider` may be empty if the
    subscription has exactly one provider. Without `term_end` the service has no end.
    """
    return ServiceSelection(
        provider=provider,
        distributor=distributor,
        service=service,
        term_end=instant("term_end", term_end),
    )


@named
def item(
    distributor: str,
    goods_type: str,
    serial_number: str,
    *,
    provider: str = "",
    parameters: Mapping[str, str] | None = None,
) -> InstalledItem:
    """Names a card or a box at a distributor. `provider` may be empty if the subscription has
    exactly one provider. The platform gets the `parameters` of the item.
    """
    return InstalledItem(
        provider=provider,
        distributor=distributor,
        goods_type=goods_type,
        serial_number=serial_number,
        parameters=parameters,
    )


def service_of(given: ServiceLike) -> ServiceSelection:
    match given:
        case ServiceSelection():
            return given
        case (distributor, name):
            return service(distributor, name)
        case (provider, distributor, name):
            return service(distributor, name, provider=provider)
    raise ValueError(
        "services are a list of (distributor, service), (provider, distributor, service) or "
        f"actions.service(...); {given!r} is none of them"
    )


def item_of(given: ItemLike) -> InstalledItem:
    match given:
        case InstalledItem():
            return given
        case (distributor, goods_type, serial_number):
            return item(distributor, goods_type, serial_number)
        case (provider, distributor, goods_type, serial_number):
            return item(distributor, goods_type, serial_number, provider=provider)
    raise ValueError(
        "items are a list of (distributor, goods_type, serial_number), "
        "(provider, distributor, goods_type, serial_number) or actions.item(...); "
        f"{given!r} is none of them"
    )


def services_of(given: Iterable[ServiceLike]) -> list[ServiceSelection]:
    return [service_of(each) for each in given]


def items_of(given: Iterable[ItemLike]) -> list[InstalledItem]:
    return [item_of(each) for each in given]
