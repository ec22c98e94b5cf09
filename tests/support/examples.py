"""Defines two small providers, and subscribers of them."""

from __future__ import annotations

from generic_provider_server.domain.actions import (
    AddItems,
    AddServices,
    BecomeSubscriber,
    RemoveServices,
    Selection,
)
from generic_provider_server.domain.values import (
    Account,
    Address,
    DeliverySettings,
    Distributor,
    GoodsMapping,
    Item,
    Provider,
    Service,
    ServiceKind,
)

SATELLITE = Provider(
    code="SAT",
    distributors=(
        Distributor(code="MAIN", required_goods_types=("SMARTCARD",)),
        Distributor(code="TWIN", required_distributor="MAIN"),
    ),
    services=(
        Service(code="BASIC", provider_service_id="0x10"),
        Service(code="SPORT", provider_service_id="0x11"),
        Service(code="NEWS", provider_service_id="0x12"),
        Service(code="FILM", provider_service_id="0x20", kind=ServiceKind.USAGE),
    ),
    goods=(GoodsMapping("SMARTCARD", "SC"), GoodsMapping("DECODER", "STB")),
    delivery_settings=DeliverySettings(max_delivery_attempts=3),
)

WEB = Provider(
    code="WEB",
    distributors=(Distributor(code="APP"),),
    services=(Service(code="STREAM", provider_service_id="stream-1"),),
)

SPORT = Selection(provider="SAT", distributor="MAIN", service="SPORT")
NEWS = Selection(provider="SAT", distributor="MAIN", service="NEWS")
STREAM = Selection(provider="WEB", distributor="APP", service="STREAM")
ADD_SPORT = AddServices((SPORT,))
ADD_NEWS = AddServices((NEWS,))
ADD_STREAM = AddServices((STREAM,))
REMOVE_SPORT = RemoveServices((SPORT,))
DECODER = Item(provider="SAT", distributor="MAIN", goods_type="DECODER", serial_number="shared")
ADD_DECODER = AddItems((DECODER,))


def card(serial: str) -> Item:
    return Item(provider="SAT", distributor="MAIN", goods_type="SMARTCARD", serial_number=serial)


def viewer(number: str, *services: str, serial: str = "", draft: bool = False) -> BecomeSubscriber:
    """Returns an action that makes a subscriber of SAT with a card. The subscriber gets the given
    services, or BASIC if none is given.
    """
    return BecomeSubscriber(
        number=number,
        type="HOUSEHOLD",
        holder=Account(number=f"H-{number}", name="Mari Maasikas"),
        address=Address(city="Tallinn"),
        items=(card(serial or f"card of {number}"),),
        services=tuple(
            [
                Selection(provider="SAT", distributor="MAIN", service=service)
                for service in services or ("BASIC",)
            ]
        ),
        draft=draft,
    )
