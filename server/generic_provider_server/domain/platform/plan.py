"""Plans the ordered requests that turn one platform image into another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..values import Goods, RequestType, Service, ServiceKind, Value
from .compare import EQUAL, SAME, Comparison, Sides, compare, sides
from .image import Entitlement, Known, PlatformImage, PostedUsage, ProvisionedItem
from .named_elements import names
from .request import ProvisionedService, Request
from .request_effects import has, usages_after_become

Items = dict[tuple[str, str, str], ProvisionedItem]


class Methods(Value, frozen=True):
    """Tells for which changes the provider gets one request for the whole subscription, instead of
    one request for each service.
    """

    whole_activation: bool = False
    whole_deactivation: bool = False


PER_SERVICE = Methods()


def plan(
    held: PlatformImage, wanted: PlatformImage, *, catalogue: Catalogue
) -> tuple[Request, ...]:
    """Returns the requests that change a platform from `held` to `wanted`; no requests if the two
    images are equal.

    An uncertain element of `held` is sent again if `wanted` contains the element, and removed
    otherwise.
    """
    found = compare(held, wanted)
    if found == SAME:
        return ()
    if found.become:
        return become(held, wanted, catalogue=catalogue)
    return tuple(_requests(found, held, wanted, catalogue))


def plan_action(
    before: PlatformImage,
    after: PlatformImage,
    *,
    expected: PlatformImage,
    catalogue: Catalogue,
    methods: Methods,
) -> tuple[Request, ...]:
    """Returns the requests of an action that changes the wanted image from `before` to `after`.

    Requests are left out if `expected` certainly contains their effects. If requests remain, and
    the subscriber is not certainly known in `expected`, the function returns other requests
    instead: one BECOME_SUBSCRIBER with everything in `after` except the usage records, and requests
    for the usage records.
    """
    requests = plan(before, after, catalogue=catalogue)
    if expected != before:
        requests = tuple([request for request in requests if not has(expected, request)])
        if requests and expected.known is not Known.YES:
            return plan(expected, after, catalogue=catalogue)
    return _joined(requests, methods)


def plan_healing(
    before: PlatformImage,
    after: PlatformImage,
    *,
    expected: PlatformImage,
    catalogue: Catalogue,
    methods: Methods,
) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """Returns two groups of requests: first requests that heal the platform, then requests of the
    action.

    Together, the two groups bring an OUT_OF_SYNC platform to the state of the CRM. A request
    belongs to the action if it names an element that the action changes; every other request heals
    the platform. BECOME_SUBSCRIBER names all elements, so it belongs to the action if the action
    changes any element.
    """
    if compare(expected, before) == SAME:
        return (), plan_action(
            before, after, expected=expected, catalogue=catalogue, methods=methods
        )
    needed = plan(expected, after, catalogue=catalogue)
    changed = frozenset().union(*map(names, plan(before, after, catalogue=catalogue)))
    if any(request.type is RequestType.BECOME_SUBSCRIBER for request in needed):
        return ((), needed) if changed else (needed, ())
    own = tuple([request for request in needed if names(request) & changed])
    return tuple([r for r in needed if not names(r) & changed]), _joined(own, methods)


def become(
    held: PlatformImage, wanted: PlatformImage, *, catalogue: Catalogue
) -> tuple[Request, ...]:
    """Returns one BECOME_SUBSCRIBER with the contents of `wanted`, and then the requests for the
    usage records, which a BECOME_SUBSCRIBER does not carry.
    """
    request = Request(
        type=RequestType.BECOME_SUBSCRIBER,
        holder=wanted.holder,
        address=wanted.address,
        services=_sorted_services(wanted.entitlements, wanted, catalogue),
        items=_sorted_items(wanted.items, catalogue),
    )
    usages = sides(usages_after_become(held), wanted.usages)
    cancelled, added = _usage_requests(usages, held, wanted, catalogue)
    return request, *cancelled, *added


def _requests(
    found: Comparison, held: PlatformImage, wanted: PlatformImage, catalogue: Catalogue
) -> Iterator[Request]:
    """Yields the requests in an order in which no distributor in use ever lacks the distributor
    that it requires, and no entitlement ever lacks its goods.
    """
    if found.holder:
        yield Request(
            type=RequestType.UPDATE_SUBSCRIBER, holder=wanted.holder, address=wanted.address
        )
    elif found.address:
        yield Request(type=RequestType.UPDATE_ADDRESS, address=wanted.address)
    cancelled, added = _usage_requests(found.usages, held, wanted, catalogue)
    yield from cancelled
    for service in _sorted_services(found.entitlements.surplus, held, catalogue)[::-1]:
        yield Request(type=RequestType.DEACTIVATE_SERVICE, service=service)
    for item in _sorted_items(found.items.surplus, catalogue)[::-1]:
        yield Request(type=RequestType.REMOVE_INSTALLED_ITEM, item=item)
    for item in _sorted_items(found.items.missing, catalogue):
        yield Request(type=RequestType.ADD_INSTALLED_ITEM, item=item)
    for service in _sorted_services(found.entitlements.missing, wanted, catalogue):
        yield Request(type=RequestType.ACTIVATE_SERVICE, service=service)
    yield from added


def _joined(requests: tuple[Request, ...], methods: Methods) -> tuple[Request, ...]:
    """Joins the activations into one ACTIVATE_SUBSCRIBER if `methods.whole_activation` is true, and
    the deactivations into one DEACTIVATE_SUBSCRIBER if `methods.whole_deactivation` is true.
    """
    whole: dict[RequestType, RequestType] = {}
    if methods.whole_activation:
        whole[RequestType.ACTIVATE_SERVICE] = RequestType.ACTIVATE_SUBSCRIBER
    if methods.whole_deactivation:
        whole[RequestType.DEACTIVATE_SERVICE] = RequestType.DEACTIVATE_SUBSCRIBER
    if not whole:
        return requests
    joined: list[Request] = []
    for kind, run in groupby(requests, lambda request: request.type):
        if kind in whole:
            services = tuple([request.service for request in run if request.service])
            joined.append(Request(type=whole[kind], services=services))
        else:
            joined += run
    return tuple(joined)


def _usage_requests(
    usages: Sides[PostedUsage], held: PlatformImage, wanted: PlatformImage, catalogue: Catalogue
) -> tuple[list[Request], list[Request]]:
    """Returns two lists: the requests that cancel usage records, and the requests that add usage
    records.

    If a record replaces another record with the same reference, both lists have a request: the old
    record is cancelled before the new one is added.
    """
    if usages == EQUAL:
        return [], []
    kept = {each.key: each.content for each in wanted.usages}
    cancelled = [each for each in held.usages if kept.get(each.key) != each.content]
    return (
        _request_for_each(RequestType.CANCEL_UDR, cancelled, held, catalogue),
        _request_for_each(RequestType.ADD_UDR, usages.missing, wanted, catalogue),
    )


def _request_for_each(
    kind: RequestType, records: Iterable[PostedUsage], side: PlatformImage, catalogue: Catalogue
) -> list[Request]:
    """Returns a request of this type for each usage record. `side`: the image from which the items
    of the records are taken.
    """
    requests, there = list[Request](), _items_of(side)
    for posted in records:
        usage = posted.usage
        found = catalogue.services.get(usage.service)
        service = ProvisionedService(
            service=usage.service,
            provider_service_id=found.provider_service_id if found else "",
            distributor=usage.distributor,
            kind=found.kind if found else ServiceKind.USAGE,
            items=_goods_items(usage.distributor, posted.goods, there, catalogue),
            parameters=found.parameters if found else {},
        )
        requests.append(Request(type=kind, usage=usage, service=service))
    return requests


def provisioned(
    entitlements: Iterable[Entitlement], side: PlatformImage, catalogue: Catalogue
) -> tuple[ProvisionedService, ...]:
    """Returns the entitlements as requests contain them. `side`: the image from which the items of
    the entitlements are taken.
    """
    services, there = list[ProvisionedService](), _items_of(side)
    for each in entitlements:
        service = catalogue.services.get(each.service) or _with_platform_id(each, catalogue)
        services.append(
            ProvisionedService(
                service=each.service or (service.code if service else ""),
                provider_service_id=each.provider_service_id,
                distributor=each.distributor,
                kind=service.kind if service else ServiceKind.TERMED,
                items=_goods_items(each.distributor, each.goods, there, catalogue),
                term_end=each.term_end,
                parameters=service.parameters if service else {},
            )
        )
    return tuple(services)


def _with_platform_id(entitlement: Entitlement, catalogue: Catalogue) -> Service | None:
    """Returns the service with the platform id of the entitlement; if there are several, the
    alphabetically first one.
    """
    platform_id = entitlement.provider_service_id
    found = [s for s in catalogue.services.values() if s.provider_service_id == platform_id]
    return min(found, key=lambda service: service.code, default=None)


def _items_of(side: PlatformImage) -> Items:
    return {(i.distributor, i.goods_type, i.serial_number): i for i in side.items}


def _goods_items(
    distributor: str, goods: tuple[Goods, ...], there: Items, catalogue: Catalogue
) -> tuple[ProvisionedItem, ...]:
    items: list[ProvisionedItem] = []
    for each in goods:
        item = there.get((distributor, each.goods_type, each.serial_number)) or ProvisionedItem(
            distributor=distributor,
            goods_type=each.goods_type,
            serial_number=each.serial_number,
            provider_goods_type=catalogue.goods.get(each.goods_type, ""),
        )
        items.append(item if item.certain else replace(item, certain=True))
    return tuple(items)


def _sorted_services(
    entitlements: Sequence[Entitlement], side: PlatformImage, catalogue: Catalogue
) -> tuple[ProvisionedService, ...]:
    if not entitlements:
        return ()
    if len(entitlements) > 1:
        entitlements = sorted(entitlements, key=lambda e: (catalogue.rank(e.distributor), e.key))
    return provisioned(entitlements, side, catalogue)


def _sorted_items(
    items: tuple[ProvisionedItem, ...], catalogue: Catalogue
) -> tuple[ProvisionedItem, ...]:
    if not items:
        return ()
    if len(items) > 1:
        items = tuple(sorted(items, key=lambda i: (catalogue.rank(i.distributor), i.key)))
    return tuple([item if item.certain else replace(item, certain=True) for item in items])
