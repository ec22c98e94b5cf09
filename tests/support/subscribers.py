"""Makes subscribers of ALUXSAT and OTT, and describes requests in words."""

from __future__ import annotations

from collections.abc import Iterable

from generic_provider_server.domain.actions import BecomeSubscriber, Selection
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.values import (
    Account,
    Address,
    Instant,
    Item,
    RequestType,
)

from .catalogues import GOODS, aluxsat, ott
from .life import Life

NUMBER = "S0000000309"
MARI = Account(name="Mari")
TALLINN = Address(city="Tallinn")


def on(distributor: str, service: str, *, term_end: Instant | None = None) -> Selection:
    return Selection(
        provider="ALUXSAT", distributor=distributor, service=service, term_end=term_end
    )


def online(distributor: str, service: str, *, term_end: Instant | None = None) -> Selection:
    return Selection(provider="OTT", distributor=distributor, service=service, term_end=term_end)


def goods(distributor: str, serial: str) -> tuple[Item, ...]:
    """Returns a card and a box with that serial number."""
    return tuple(
        [
            Item(
                provider="ALUXSAT",
                distributor=distributor,
                goods_type=goods_type,
                serial_number=serial,
            )
            for goods_type in GOODS
        ]
    )


def viewer(
    *services: Selection, points: Iterable[str] = ("MAIN",), draft: bool = False
) -> BecomeSubscriber:
    """Returns a subscriber with a card and a box on each of these viewing points."""
    items = [item for n, point in enumerate(points, 1) for item in goods(point, str(n))]
    return BecomeSubscriber(
        number=NUMBER,
        type="DTH",
        holder=MARI,
        address=TALLINN,
        items=tuple(items),
        services=services,
        draft=draft,
    )


def served(become: BecomeSubscriber) -> Life:
    """Returns the life of a subscription whose first requests the platforms have accepted."""
    life = Life([aluxsat(), ott()])
    life.perform(become)
    for link in life.there.links:
        life.serve(link.provider)
    return life


def said(requests: Iterable[Request]) -> list[str]:
    return [_said(request) for request in requests]


def _said(request: Request) -> str:
    name = request.type.name
    if request.usage:
        return f"{name} {request.usage.reference}"
    if request.item:
        return f"{name} {request.item.goods_type} {request.item.serial_number}"
    if request.service:
        return f"{name} {request.service.service} on {request.service.distributor}"
    if request.type is RequestType.BECOME_SUBSCRIBER or request.services:
        return " ".join([name, *[service.service for service in request.services]])
    return name
