"""Translates values of the service into those of the model."""

from __future__ import annotations

from collections.abc import Sequence

from generic_provider_server.domain.actions import AnyAction, StopServices
from generic_provider_server.domain.platform.image import Known, PlatformImage, ProvisionedItem
from generic_provider_server.domain.platform.request import ProvisionedService, Request
from generic_provider_server.domain.subscription.unsettled_actions import (
    HolderPart,
    ItemPart,
    Part,
    ProviderPart,
    ServicesPart,
    StatePart,
    UnsettledAction,
    UsagePart,
)
from generic_provider_server.domain.values import Goods, RequestType, Subscription

from .platform import ADDRESS, HOLDER, KNOWN, Entitled, Held, Key, Order, record
from .state import Sub


def parts(performed: UnsettledAction) -> list[tuple[object, ...]]:
    if performed.undone:
        return []
    return sorted([p for part in performed.taken_back for p in told_part(part)], key=repr)


def told_part(part: Part) -> list[tuple[object, ...]]:
    match part:
        case ServicesPart():
            kind = "off" if part.off else "services"
            return [(kind, part.provider, part.distributor, part.provider_service_id)]
        case ItemPart():
            return [("item", part.provider, part.goods_type, part.serial_number)]
        case HolderPart():
            both = (("holder",), part.holder), (("address",), part.address)
            return [p for p, there in both if there]
        case UsagePart():
            return [("usage", part.reference)]
        case StatePart():
            return [("state",)]
        case ProviderPart():
            return [("link", part.provider)]


def goods(each: Sequence[Goods]) -> tuple[Key, ...]:
    return tuple((g.goods_type, g.serial_number) for g in each)


def service_part(service: ProvisionedService) -> tuple[Key, object]:
    entitlement = service.entitlement
    key = ("service", service.distributor, service.provider_service_id, goods(entitlement.goods))
    return key, Entitled(service.term_end, service.service)


def item_part(item: ProvisionedItem) -> tuple[Key, object]:
    return ("item", item.distributor, item.goods_type, item.serial_number), None


def order(request: Request) -> Order:
    found: list[tuple[Key, object]] = []
    if request.type is RequestType.BECOME_SUBSCRIBER:
        found.append((KNOWN, True))
    if request.holder is not None:
        found.append((HOLDER, repr(request.holder)))
    if request.address is not None:
        found.append((ADDRESS, repr(request.address)))
    if request.usage is not None and request.service is not None:
        key = service_part(request.service)[0]
        found.append((("usage", request.usage.reference, key[3]), record(request.usage)))
    elif request.service is not None:
        found.append(service_part(request.service))
    if request.item is not None:
        found.append(item_part(request.item))
    found += [service_part(s) for s in request.services] + [item_part(i) for i in request.items]
    if len(found) > 2 or request.services:
        found.sort(key=repr)
    return Order(request.type, tuple(found))


def image_of(told: PlatformImage) -> Held:
    result = Held()
    if told.known is not Known.NO:
        result.there[KNOWN] = True
        result.doubt |= {KNOWN} if told.known is Known.UNCERTAIN else set()
    elements: list[tuple[Key, object, bool]] = []
    if told.holder is not None:
        elements.append((HOLDER, repr(told.holder), told.holder_certain))
    if told.address is not None:
        elements.append((ADDRESS, repr(told.address), told.address_certain))
    elements += [(*item_part(item), item.certain) for item in told.items]
    for e in told.entitlements:
        place = "service", e.distributor, e.provider_service_id, goods(e.goods)
        elements.append((place, Entitled(e.term_end, e.service), e.certain))
    for u in told.usages:
        posted = "usage", u.usage.reference, goods(u.goods)
        elements.append((posted, record(u.usage), u.certain))
    for key, value, certain in elements:
        result.there[key] = value
        result.doubt |= set() if certain else {key}
    return result


def told_image(each: Held) -> list[str]:
    """Returns the elements of the image. If the platform does not know the subscriber, the holder
    and the address do not matter, so they are left out.
    """
    there = each.there.items() if KNOWN in each.there else _without_subscriber(each)
    return sorted(f"{key}={'?' if key in each.doubt else value}" for key, value in there)


def _without_subscriber(each: Held) -> list[tuple[Key, object]]:
    return [(key, value) for key, value in each.there.items() if key not in (HOLDER, ADDRESS)]


def subscription(told: Subscription, now: int) -> list[str]:
    lines = [told.state.name, f"until {told.until}", repr(told.holder), repr(told.address)]
    lines += [f"linked {sorted(told.linked)}", f"by term {told.stopped_by_term}"]
    lines += sorted(
        f"{i.provider} {i.goods_type} {i.serial_number} on {i.distributor}" for i in told.items
    )
    lines += sorted(f"{s.place} {s.state.name} {s.term_end} {s.term_over}" for s in told.services)
    return lines + sorted(u.reference for u in told.usages if u.end_time > now)


def plain(sub: Sub, now: int) -> list[str]:
    lines = [sub.state.name, f"until {sub.until}", repr(sub.holder), repr(sub.address)]
    lines += [f"linked {sorted(sub.linked)}", f"by term {sub.by_term}"]
    lines += sorted(f"{k[0]} {k[1]} {k[2]} on {where}" for k, where in sub.items.items())
    lines += sorted(f"{k} {s.state.name} {s.term_end} {s.over}" for k, s in sub.services.items())
    return lines + sorted(r for r, u in sub.usages.items() if u.end_time > now)


def told_end(end: AnyAction | None) -> object:
    return sorted(s.place for s in end.services) if isinstance(end, StopServices) else end
