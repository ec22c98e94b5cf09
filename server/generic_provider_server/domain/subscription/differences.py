"""Lists the differences between the *expected* image of a platform and the state that the CRM
wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from ..catalogue import Catalogue
from ..platform.compare import Comparison, Sides, compare
from ..platform.image import Entitlement, Known, PlatformImage, PostedUsage, ProvisionedItem, image
from ..values import Goods, Instant, Subscription, Value
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


class Verbs(NamedTuple):
    is_: str
    has: str
    does_not: str
    when: str = ""


NOW = Verbs("is", "has", "does not")
AFTER_PENDING = Verbs("will be", "will have", "will not", " after the pending requests")


def differences(
    link: Link,
    desired: Subscription,
    *,
    catalogue: Catalogue,
    now: Instant,
    names_pending: bool = False,
) -> tuple[Difference, ...]:
    """Returns the differences between the expected image of the platform and the image that
    `desired` requires. The result is empty if and only if no request is needed to change the first
    image to the second image.

    If `names_pending` is True, the texts say that they describe the platform after the pending
    requests. If `names_pending` is False, the texts do not change when requests are accepted, so
    that two lists can be compared.
    """
    held = link.expected(now=now)
    verbs = AFTER_PENDING if names_pending and link.queue else NOW
    found = compare(held, image(desired, catalogue, now=now))
    return tuple(_differences(found, held, verbs=verbs))


def _differences(found: Comparison, held: PlatformImage, *, verbs: Verbs) -> Iterator[Difference]:
    if found.become:
        yield _unknown_subscriber(held, verbs)
    if found.holder:
        yield _text("holder", DifferenceKind.HOLDER, verbs, certain=held.holder_certain)
    if found.address:
        yield _text("address", DifferenceKind.ADDRESS, verbs, certain=held.address_certain)
    yield from _of_services(found.entitlements, held, verbs)
    there = {item.key for item in held.items}
    for item in found.items.missing:
        yield _item(
            item, *_missing(DifferenceKind.ITEM_MISSING, verbs, uncertain=item.key in there)
        )
    for item in found.items.surplus:
        yield _item(item, *_surplus(DifferenceKind.ITEM_SURPLUS, verbs, certain=item.certain))
    uncertain = {usage.key for usage in held.usages if not usage.certain}
    for usage in found.usages.missing:
        yield _usage(
            usage, *_missing(DifferenceKind.USAGE_MISSING, verbs, uncertain=usage.key in uncertain)
        )
    for usage in found.usages.surplus:
        yield _usage(usage, *_surplus(DifferenceKind.USAGE_SURPLUS, verbs, certain=usage.certain))


def _unknown_subscriber(held: PlatformImage, verbs: Verbs) -> Difference:
    if held.known is Known.NO:
        return Difference(
            kind=DifferenceKind.SUBSCRIBER_MISSING,
            text=f"the platform {verbs.does_not} know the subscriber{verbs.when}",
        )
    return Difference(
        kind=DifferenceKind.UNCERTAIN,
        text="nobody knows whether the platform knows the subscriber",
    )


def _text(name: str, kind: DifferenceKind, verbs: Verbs, *, certain: bool) -> Difference:
    if certain:
        return Difference(kind=kind, text=f"the platform {verbs.has} another {name}{verbs.when}")
    return Difference(
        kind=DifferenceKind.UNCERTAIN, text=f"nobody knows which {name} the platform has"
    )


def _of_services(
    found: Sides[Entitlement], held: PlatformImage, verbs: Verbs
) -> Iterator[Difference]:
    there = {entitlement.key: entitlement for entitlement in held.entitlements}
    for entitlement in found.missing:
        former = there.get(entitlement.key)
        if former is None:
            words = f"{verbs.is_} off on the platform{verbs.when}"
            yield _service(entitlement, DifferenceKind.SERVICE_MISSING, words)
        elif not former.certain:
            yield _service(entitlement, DifferenceKind.UNCERTAIN, "may or may not be on")
        else:
            words = f"{verbs.has} another term end on the platform{verbs.when}"
            yield _service(entitlement, DifferenceKind.SERVICE_MISSING, words)
    for entitlement in found.surplus:
        kind, words = _surplus(DifferenceKind.SERVICE_SURPLUS, verbs, certain=entitlement.certain)
        yield _service(entitlement, kind, words)


def _missing(kind: DifferenceKind, verbs: Verbs, *, uncertain: bool) -> tuple[DifferenceKind, str]:
    if uncertain:
        return DifferenceKind.UNCERTAIN, "may or may not be on the platform"
    return kind, f"{verbs.is_} missing on the platform{verbs.when}"


def _surplus(kind: DifferenceKind, verbs: Verbs, *, certain: bool) -> tuple[DifferenceKind, str]:
    if certain:
        return kind, f"{verbs.is_} on the platform{verbs.when}, and the CRM does not want it"
    return DifferenceKind.UNCERTAIN, "may be on the platform, and the CRM does not want it"


def _service(entitlement: Entitlement, kind: DifferenceKind, words: str) -> Difference:
    code, their = entitlement.service, entitlement.provider_service_id
    place = f"{f'{code} ({their})' if code else their} on {_point(entitlement.distributor)}"
    return Difference(
        kind=kind,
        distributor=entitlement.distributor,
        service=entitlement.service,
        provider_service_id=entitlement.provider_service_id,
        serial_number=entitlement.goods[0].serial_number if entitlement.goods else "",
        text=f"{place}{_with(entitlement.goods)}: {words}",
    )


def _item(item: ProvisionedItem, kind: DifferenceKind, words: str) -> Difference:
    return Difference(
        kind=kind,
        distributor=item.distributor,
        serial_number=item.serial_number,
        text=f"{item.goods_type} {item.serial_number} on {_point(item.distributor)}: {words}",
    )


def _usage(posted: PostedUsage, kind: DifferenceKind, words: str) -> Difference:
    usage = posted.usage
    return Difference(
        kind=kind,
        distributor=usage.distributor,
        service=usage.service,
        serial_number=posted.goods[0].serial_number if posted.goods else "",
        text=f"usage {usage.reference} of {usage.service} on {_point(usage.distributor)}"
        f"{_with(posted.goods)}: {words}",
    )


def _point(distributor: str) -> str:
    """Returns the words for the distributor in a text. `distributor` is empty if a platform report
    named no distributor of the provider.
    """
    return distributor or "(no viewing point)"


def _with(goods: tuple[Goods, ...]) -> str:
    """Returns the words for the goods in a text. The type of goods is empty if a platform report
    named a serial number only at a service.
    """
    return "".join(f", {f'{each.goods_type} {each.serial_number}'.strip()}" for each in goods)
