"""Simulates what one platform really holds. This module shares only the types of the values with
the service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from generic_provider_server.domain.platform.image import Known, PlatformImage, ProvisionedItem
from generic_provider_server.domain.platform.request import ProvisionedService, Request
from generic_provider_server.domain.values import (
    Account,
    Address,
    Goods,
    Instant,
    Parameters,
    RequestType,
    Usage,
)

REMOVING = frozenset(
    {
        RequestType.DEACTIVATE_SERVICE,
        RequestType.DEACTIVATE_SUBSCRIBER,
        RequestType.REMOVE_INSTALLED_ITEM,
        RequestType.CANCEL_UDR,
    }
)
"""Requests of these types also succeed if the platform does not hold the element that they remove.
"""

Item = tuple[str, str, str]
"""(distributor, goods type, serial number)"""

Entitlement = tuple[str, str, tuple[tuple[str, str], ...]]
"""(distributor, platform id, goods)"""


Posted = tuple[str, tuple[tuple[str, str], ...]]
"""(reference of the usage, goods that it was posted for)"""


class PlatformRefuses(Exception):
    """Says that the platform cannot apply the request in the present state of the platform."""


@dataclass
class Subscriber:
    holder: Account | None = None
    address: Address | None = None
    items: set[Item] = field(default_factory=set)
    services: dict[Entitlement, Instant | None] = field(default_factory=dict)
    usages: dict[Posted, Usage] = field(default_factory=dict)


class SimulatedPlatform:
    def __init__(self) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        self.untold: set[str] = set()
        """Subscribers whom the platform had before their Become Subscriber, and whose contents on
        the platform the CRM does not know.
        """

    def apply(self, subscription: str, request: Request) -> None:
        """Applies the request. To apply a request twice has the same result as once. Raises
        PlatformRefuses.
        """
        if request.type is RequestType.BECOME_SUBSCRIBER:
            self._become(subscription, request)
            return
        there = self.subscribers.get(subscription)
        if there is None and request.type in REMOVING:
            return
        if there is None:
            raise PlatformRefuses(f"{subscription} is not known here")
        _check_goods(there, request)
        match request.type:
            case RequestType.UPDATE_SUBSCRIBER:
                there.holder, there.address = request.holder, request.address
            case RequestType.UPDATE_ADDRESS:
                there.address = request.address
            case RequestType.ADD_INSTALLED_ITEM:
                there.items |= {_item(item) for item in _items(request)}
            case RequestType.REMOVE_INSTALLED_ITEM:
                there.items -= {_item(item) for item in _items(request)}
            case RequestType.ACTIVATE_SERVICE | RequestType.ACTIVATE_SUBSCRIBER:
                for service in _services(request):
                    there.services[_entitlement(service)] = service.term_end
            case RequestType.DEACTIVATE_SERVICE | RequestType.DEACTIVATE_SUBSCRIBER:
                for service in _services(request):
                    for key in _meant(there, service):
                        del there.services[key]
            case RequestType.ADD_UDR if request.usage:
                there.usages[_posted(request.usage, request)] = request.usage
            case RequestType.CANCEL_UDR if request.usage:
                there.usages.pop(_posted(request.usage, request), None)
            case _:
                raise AssertionError(f"nothing to do in {request}")

    def differences(self, subscription: str, wanted: PlatformImage, now: Instant) -> list[str]:
        """Returns the differences in words; no differences if the platform holds exactly the wanted
        contents.
        """
        there = self.subscribers.get(subscription)
        return list(_differences(there, wanted, now))

    def _become(self, subscription: str, request: Request) -> None:
        self.untold.discard(subscription)
        former = self.subscribers.get(subscription)
        self.subscribers[subscription] = Subscriber(
            holder=request.holder,
            address=request.address,
            items={_item(item) for item in request.items},
            services={_entitlement(each): each.term_end for each in request.services},
            usages=former.usages if former else {},
        )


def _meant(there: Subscriber, service: ProvisionedService) -> list[Entitlement]:
    """Returns the entitlements that a deactivation names. If the platform reported goods of unknown
    types, the request names their serial numbers only.
    """
    place, platform_id, goods = _entitlement(service)
    if all(goods_type for goods_type, _ in goods):
        return [key for key in there.services if key == (place, platform_id, goods)]
    serials = sorted(serial for _, serial in goods)
    return [
        key
        for key in there.services
        if key[:2] == (place, platform_id) and sorted(serial for _, serial in key[2]) == serials
    ]


def _check_goods(there: Subscriber, request: Request) -> None:
    """Raises PlatformRefuses if the request switches something on for goods that are not there.

    A service that is on already is not refused: an adapter must accept what its platform holds.
    """
    if request.type in REMOVING:
        return
    for service in _services(request):
        if _entitlement(service) in there.services:
            continue
        lacking = {_item(item) for item in service.items} - there.items
        if lacking:
            raise PlatformRefuses(f"{sorted(lacking)} are not known here")


def _differences(there: Subscriber | None, wanted: PlatformImage, now: Instant) -> Iterator[str]:
    items, services = subscriber(wanted).items, subscriber(wanted).services
    usages = _films(subscriber(wanted), now)
    needed = wanted.known is Known.YES and not (wanted.closed and not (items or usages))
    if there is None:
        if needed or services:
            yield "the platform does not know the subscriber"
        return
    if there.items != items:
        yield f"items {sorted(there.items)} instead of {sorted(items)}"
    if there.services != services:
        yield f"services {there.services} instead of {services}"
    posted = _films(there, now)
    if posted != usages:
        yield f"usages {posted} instead of {usages}"
    if wanted.known is Known.YES and there.holder != wanted.holder:
        yield f"holder {there.holder} instead of {wanted.holder}"
    if wanted.known is Known.YES and there.address != wanted.address:
        yield f"address {there.address} instead of {wanted.address}"


def _films(there: Subscriber, now: Instant) -> dict[Posted, Parameters]:
    """Returns the parameters of the usage records that are not over."""
    return {key: usage.parameters for key, usage in there.usages.items() if usage.end_time > now}


def subscriber(held: PlatformImage) -> Subscriber:
    """Returns a subscriber with the contents of the image."""
    return Subscriber(
        holder=held.holder,
        address=held.address,
        items={_item(item) for item in held.items},
        services={
            (e.distributor, e.provider_service_id, _goods(e.goods)): e.term_end
            for e in held.entitlements
        },
        usages={
            (posted.usage.reference, _goods(posted.goods)): posted.usage for posted in held.usages
        },
    )


def _items(request: Request) -> list[ProvisionedItem]:
    return [request.item] if request.item else list(request.items)


def _services(request: Request) -> list[ProvisionedService]:
    return [request.service] if request.service else list(request.services)


def _item(item: ProvisionedItem) -> Item:
    return item.distributor, item.goods_type, item.serial_number


def _entitlement(service: ProvisionedService) -> Entitlement:
    return service.distributor, service.provider_service_id, _goods_of(service)


def _posted(usage: Usage, request: Request) -> Posted:
    return usage.reference, _goods_of(request.service) if request.service else ()


def _goods_of(service: ProvisionedService) -> tuple[tuple[str, str], ...]:
    return tuple((item.goods_type, item.serial_number) for item in service.items)


def _goods(goods: tuple[Goods, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((each.goods_type, each.serial_number) for each in goods)
