"""Defines the platform image: what a platform should hold, holds, or may hold of a subscription."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from ..catalogue import Catalogue
from ..values import (
    FINAL,
    ON,
    Account,
    Address,
    Goods,
    Instant,
    Parameters,
    SubscribedService,
    Subscription,
    Usage,
    Value,
)


class Known(IntEnum):
    """Tells whether the platform knows the subscriber."""

    NO = 0
    YES = 1
    UNCERTAIN = 2


class ProvisionedItem(Value, frozen=True, kw_only=True):
    """An item on the platform. The distributor and the goods identify the item.

    `certain` is False while nobody knows whether the platform holds the item.
    """

    distributor: str
    goods_type: str
    serial_number: str
    provider_goods_type: str = ""
    parameters: Parameters = {}
    certain: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        return self.distributor, self.goods_type, self.serial_number

    @property
    def content(self) -> None:
        """Always None, because an item has no contents besides its identity."""

    @property
    def goods(self) -> Goods:
        return Goods(self.goods_type, self.serial_number)


class Entitlement(Value, frozen=True, kw_only=True):
    """A platform service that is switched on for the goods of a distributor. The distributor, the
    platform id and the goods identify the entitlement.

    `service`: the CRM's service with this platform id. If several services with this id are on,
    `service` is the alphabetically first of them. `term_end` is set only if the provider's settings
    say that the platform gets term ends.
    """

    distributor: str
    provider_service_id: str
    goods: tuple[Goods, ...] = ()
    service: str = ""
    term_end: Instant | None = None
    certain: bool = True

    @property
    def key(self) -> tuple[str, str, tuple[Goods, ...]]:
        return self.distributor, self.provider_service_id, self.goods

    @property
    def content(self) -> Instant | None:
        return self.term_end


class PostedUsage(Value, frozen=True, kw_only=True):
    """A usage record on the platform.

    The reference of the record, and the goods for which the record was posted, identify the record.
    """

    usage: Usage
    goods: tuple[Goods, ...] = ()
    certain: bool = True

    @property
    def key(self) -> tuple[str, tuple[Goods, ...]]:
        return self.usage.reference, self.goods

    @property
    def content(self) -> tuple[str, str, int, Instant, Instant, Parameters]:
        """The contents of the record. Two records with the same reference are different if their
        contents differ: a new record may get the reference of a cancelled record. The parameters
        may say which film the record is for.
        """
        usage = self.usage
        times = usage.start_time, usage.end_time
        return usage.distributor, usage.service, usage.quantity, *times, usage.parameters


class PlatformImage(Value, frozen=True, kw_only=True):
    """What a platform should hold, holds, or may hold of a subscription.

    `closed` is True if the subscription has ended.
    """

    known: Known = Known.NO
    holder: Account | None = None
    address: Address | None = None
    holder_certain: bool = True
    address_certain: bool = True
    items: tuple[ProvisionedItem, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()
    usages: tuple[PostedUsage, ...] = ()
    closed: bool = False

    @property
    def holds_nothing(self) -> bool:
        return not (self.items or self.entitlements or self.usages)

    def lacks_nothing(self, wanted: PlatformImage) -> bool:
        """Returns True if the platform should hold nothing, and neither knows the subscriber nor
        holds anything. Then an ended subscription needs no request, even if this image differs from
        the wanted image.
        """
        return self.known is Known.NO and self.holds_nothing and wanted.holds_nothing


NOTHING = PlatformImage()


def image(subscription: Subscription, catalogue: Catalogue, *, now: Instant) -> PlatformImage:
    """Returns the image that the platform should hold for the subscription.

    Usage records that have ended are left out.
    """
    code = catalogue.code
    if code not in subscription.linked:
        return NOTHING
    items, state = items_of(subscription, catalogue), subscription.state
    return PlatformImage(
        known=Known.YES,
        holder=subscription.holder,
        address=subscription.address,
        items=items,
        entitlements=_entitlements(subscription, catalogue, items) if state in ON else (),
        usages=_usages(subscription, catalogue, items, now=now) if subscription.usages else (),
        closed=state in FINAL,
    )


def items_of(subscription: Subscription, catalogue: Catalogue) -> tuple[ProvisionedItem, ...]:
    """Returns the items that the subscription has at the provider, even if the provider is not
    linked.
    """
    return tuple(
        [
            ProvisionedItem(
                distributor=item.distributor,
                goods_type=item.goods_type,
                serial_number=item.serial_number,
                provider_goods_type=catalogue.goods.get(item.goods_type, ""),
                parameters=item.parameters,
            )
            for item in subscription.items
            if item.provider == catalogue.code
        ]
    )


def _entitlements(
    subscription: Subscription, catalogue: Catalogue, items: tuple[ProvisionedItem, ...]
) -> tuple[Entitlement, ...]:
    code = catalogue.code
    timed = catalogue.provider.request_settings.term_end_on_platform
    there = _by_distributor(items)
    goods_on: dict[str, tuple[Goods, ...] | None] = {}
    found: dict[tuple[str, str], Entitlement] = {}
    for service in subscription.services:
        if service.provider != code or service.state not in ON:
            continue
        distributor = service.distributor
        if distributor not in goods_on:
            goods_on[distributor] = _goods_of(catalogue, distributor, there.get(distributor, {}))
        goods = goods_on[distributor]
        if goods is None:
            continue
        platform_id = catalogue.services[service.service].provider_service_id
        entitlement = Entitlement(
            distributor=distributor,
            provider_service_id=platform_id,
            goods=goods,
            service=service.service,
            term_end=service.term_end if timed else None,
        )
        former = found.setdefault((distributor, platform_id), entitlement)
        if former is not entitlement:
            found[distributor, platform_id] = _merged(former, entitlement)
    return tuple(found.values())


def _usages(
    subscription: Subscription,
    catalogue: Catalogue,
    items: tuple[ProvisionedItem, ...],
    *,
    now: Instant,
) -> tuple[PostedUsage, ...]:
    """Returns the usage records that have not ended. A record is left out while its distributor
    lacks goods that the distributor requires.
    """
    there = _by_distributor(items)
    posted: list[PostedUsage] = []
    for usage in subscription.usages:
        if usage.provider == catalogue.code and usage.end_time > now:
            goods = _goods_of(catalogue, usage.distributor, there.get(usage.distributor, {}))
            if goods is not None:
                posted.append(PostedUsage(usage=usage, goods=goods))
    return tuple(posted)


def _merged(one: Entitlement, other: Entitlement) -> Entitlement:
    """Merges the entitlements of two services with the same platform id. The merged entitlement is
    on as long as one of the two services is on.
    """
    ends = one.term_end, other.term_end
    return msgspec.structs.replace(
        one,
        service=min(one.service, other.service),
        term_end=None if ends[0] is None or ends[1] is None else max(ends[0], ends[1]),
    )


def _by_distributor(items: tuple[ProvisionedItem, ...]) -> dict[str, dict[str, Goods]]:
    """Returns the goods of each distributor by their types."""
    goods: dict[str, dict[str, Goods]] = {}
    for item in items:
        kind = item.goods_type
        goods.setdefault(item.distributor, {})[kind] = Goods(kind, item.serial_number)
    return goods


def _goods_of(
    catalogue: Catalogue, distributor: str, there: dict[str, Goods]
) -> tuple[Goods, ...] | None:
    """Returns the goods that the distributor requires, or None if some of them are missing."""
    required = catalogue.distributors[distributor].required_goods_types
    if not required:
        return ()
    goods = tuple([there[kind] for kind in required if kind in there])
    return goods if len(goods) == len(required) else None


def missing_goods(
    subscription: Subscription, service: SubscribedService, catalogue: Catalogue
) -> tuple[str, ...]:
    """Returns the goods types that the service's distributor requires and does not have."""
    required = catalogue.distributors[service.distributor].required_goods_types
    if not required:
        return ()
    place = service.provider, service.distributor
    there = {i.goods_type for i in subscription.items if (i.provider, i.distributor) == place}
    return tuple([goods_type for goods_type in required if goods_type not in there])


def unexpired(known: PlatformImage, *, now: Instant) -> PlatformImage:
    """Returns the image without ended usage records, because an ended record must not count as a
    difference.
    """
    if not known.usages or all(posted.usage.end_time > now for posted in known.usages):
        return known
    return msgspec.structs.replace(
        known, usages=tuple([u for u in known.usages if u.usage.end_time > now])
    )
