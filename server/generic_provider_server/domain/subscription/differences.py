"""How what a platform is expected to hold differs from what the CRM wants, in words."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from ..catalogue import Catalogue
from ..platform.image import Entitlement, Known, PlatformImage, PostedUsage, ProvisionedItem, image
from ..values import Instant, Subscription, Value
from .aggregate import Link


class DifferenceKind(IntEnum):
    SUBSCRIBER_MISSING = 1
    HOLDER = 2
    ADDRESS = 3
    SERVICE_MISSING = 4
    SERVICE_SURPLUS = 5
    ITEM_MISSING = 6
    ITEM_SURPLUS = 7
    USAGE_MISSING = 8
    USAGE_SURPLUS = 9
    UNCERTAIN = 10


class Difference(Value, frozen=True, kw_only=True):
    kind: DifferenceKind
    text: str
    distributor: str = ""
    service: str = ""
    provider_service_id: str = ""
    serial_number: str = ""


def differences(
    link: Link, desired: Subscription, *, catalogue: Catalogue, now: Instant
) -> tuple[Difference, ...]:
    """Empty exactly where `plan` has nothing to do."""
    held = link.expected(now=now)
    wanted = image(desired, catalogue, now=now)
    if held.lacks_nothing(wanted):
        return ()
    return *_of_subscriber(held, wanted), *_of_holdings(held, wanted)


def _of_subscriber(held: PlatformImage, wanted: PlatformImage) -> Iterator[Difference]:
    if wanted.known is Known.NO:
        return
    if held.known is Known.NO:
        yield Difference(
            kind=DifferenceKind.SUBSCRIBER_MISSING,
            text="the platform does not know the subscriber",
        )
    elif held.known is Known.UNCERTAIN:
        yield Difference(
            kind=DifferenceKind.UNCERTAIN,
            text="nobody knows whether the platform knows the subscriber",
        )
    else:
        yield from _of_texts(held, wanted)


def _of_texts(held: PlatformImage, wanted: PlatformImage) -> Iterator[Difference]:
    for name, kind, certain in (
        ("holder", DifferenceKind.HOLDER, held.holder_certain),
        ("address", DifferenceKind.ADDRESS, held.address_certain),
    ):
        if not certain:
            yield Difference(
                kind=DifferenceKind.UNCERTAIN, text=f"nobody knows which {name} the platform has"
            )
        elif getattr(held, name) != getattr(wanted, name):
            yield Difference(kind=kind, text=f"the platform has another {name}")


def _of_holdings(held: PlatformImage, wanted: PlatformImage) -> Iterator[Difference]:
    yield from _services(held, wanted)
    there, keys = {item.key: item for item in held.items}, {item.key for item in wanted.items}
    for item in wanted.items:
        known = there.get(item.key)
        if known is None:
            yield _item(item, DifferenceKind.ITEM_MISSING, "is missing on the platform")
        elif not known.certain:
            yield _item(item, DifferenceKind.UNCERTAIN, "may or may not be on the platform")
    for item in held.items:
        if item.key not in keys:
            yield _item(item, *_surplus(DifferenceKind.ITEM_SURPLUS, certain=item.certain))
    posted = {usage.usage.reference: usage for usage in held.usages}
    references = {usage.usage.reference for usage in wanted.usages}
    for usage in wanted.usages:
        former = posted.get(usage.usage.reference)
        if former is None:
            yield _usage(usage, DifferenceKind.USAGE_MISSING, "is missing on the platform")
        elif not former.certain:
            yield _usage(usage, DifferenceKind.UNCERTAIN, "may or may not be on the platform")
    for usage in held.usages:
        if usage.usage.reference not in references:
            yield _usage(usage, *_surplus(DifferenceKind.USAGE_SURPLUS, certain=usage.certain))


def _services(held: PlatformImage, wanted: PlatformImage) -> Iterator[Difference]:
    there = {entitlement.key: entitlement for entitlement in held.entitlements}
    keys = {entitlement.key for entitlement in wanted.entitlements}
    for entitlement in wanted.entitlements:
        known = there.get(entitlement.key)
        if known is None:
            yield _service(entitlement, DifferenceKind.SERVICE_MISSING, "is off on the platform")
        elif not known.certain:
            yield _service(entitlement, DifferenceKind.UNCERTAIN, "may or may not be on")
        elif known.term_end != entitlement.term_end:
            yield _service(
                entitlement,
                DifferenceKind.SERVICE_MISSING,
                "has another term end on the platform",
            )
    for entitlement in held.entitlements:
        if entitlement.key not in keys:
            kind, words = _surplus(DifferenceKind.SERVICE_SURPLUS, certain=entitlement.certain)
            yield _service(entitlement, kind, words)


def _surplus(kind: DifferenceKind, *, certain: bool) -> tuple[DifferenceKind, str]:
    if certain:
        return kind, "is on the platform, and the CRM does not want it"
    return DifferenceKind.UNCERTAIN, "may be on the platform, and the CRM does not want it"


def _service(entitlement: Entitlement, kind: DifferenceKind, words: str) -> Difference:
    place = f"{entitlement.provider_service_id} on {entitlement.distributor}"
    with_goods = "".join(
        f", {goods.goods_type} {goods.serial_number}" for goods in entitlement.goods
    )
    return Difference(
        kind=kind,
        distributor=entitlement.distributor,
        service=entitlement.service,
        provider_service_id=entitlement.provider_service_id,
        serial_number=entitlement.goods[0].serial_number if entitlement.goods else "",
        text=f"{place}{with_goods}: {words}",
    )


def _item(item: ProvisionedItem, kind: DifferenceKind, words: str) -> Difference:
    return Difference(
        kind=kind,
        distributor=item.distributor,
        serial_number=item.serial_number,
        text=f"{item.goods_type} {item.serial_number} on {item.distributor}: {words}",
    )


def _usage(posted: PostedUsage, kind: DifferenceKind, words: str) -> Difference:
    usage = posted.usage
    return Difference(
        kind=kind,
        distributor=usage.distributor,
        service=usage.service,
        text=f"usage {usage.reference} of {usage.service} on {usage.distributor}: {words}",
    )
