"""The ordered requests that turn one platform image into another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..values import Goods, RequestType, Service, ServiceKind, Usage, Value
from .effect import effect, has
from .image import Entitlement, Known, PlatformImage, ProvisionedItem, ProvisionedService, Request


class Methods(Value, frozen=True):
    """Which changes go as one request for the whole subscription."""

    whole_activation: bool = False
    whole_deactivation: bool = False


PER_SERVICE = Methods()


def plan(
    held: PlatformImage,
    wanted: PlatformImage,
    *,
    catalogue: Catalogue,
    methods: Methods = PER_SERVICE,
) -> tuple[Request, ...]:
    """The requests that bring a platform from `held` to `wanted`; empty when it is there.

    What is uncertain in `held` is sent again if it is wanted and taken away if it is not.
    """
    if held == wanted:
        return ()
    if wanted.known is Known.NO:
        return tuple(
            _differences(
                held,
                replace(held, items=(), entitlements=(), usages=()),
                catalogue,
                methods,
                updates=False,
            )
        )
    if held.lacks_nothing(wanted):
        return ()
    if held.known is not Known.YES:
        return become(held, wanted, catalogue=catalogue)
    return tuple(_differences(held, wanted, catalogue, methods, updates=True))


def plan_action(
    before: PlatformImage,
    after: PlatformImage,
    *,
    expected: PlatformImage,
    catalogue: Catalogue,
    methods: Methods,
) -> tuple[Request, ...]:
    """The requests of an action: what it changes, less what `expected` certainly has already."""
    requests = plan(before, after, catalogue=catalogue, methods=methods)
    if expected == before:
        return requests
    needed = tuple([request for request in requests if not has(expected, request)])
    if not needed or expected.known is Known.YES:
        return needed
    return plan(expected, after, catalogue=catalogue)


def become(
    held: PlatformImage, wanted: PlatformImage, *, catalogue: Catalogue
) -> tuple[Request, ...]:
    """One BECOME_SUBSCRIBER that carries everything, and the usage, which it cannot carry."""
    request = Request(
        type=RequestType.BECOME_SUBSCRIBER,
        holder=wanted.holder,
        address=wanted.address,
        services=_sorted_services(wanted.entitlements, wanted, catalogue),
        items=_sorted_items(wanted.items, catalogue),
    )
    reached = effect(held, request)
    return request, *_usage_differences(reached, wanted, catalogue)


def _differences(
    held: PlatformImage,
    wanted: PlatformImage,
    catalogue: Catalogue,
    methods: Methods,
    *,
    updates: bool,
) -> Iterator[Request]:
    if updates:
        yield from _updates(held, wanted)
    surplus, missing = _switches(held, wanted)
    if surplus:
        yield from _switched(
            _sorted_services(surplus, held, catalogue)[::-1],
            one=RequestType.DEACTIVATE_SERVICE,
            whole=RequestType.DEACTIVATE_SUBSCRIBER if methods.whole_deactivation else None,
        )
    if held.items != wanted.items:
        yield from _item_differences(held, wanted, catalogue)
    if missing:
        yield from _switched(
            _sorted_services(missing, wanted, catalogue),
            one=RequestType.ACTIVATE_SERVICE,
            whole=RequestType.ACTIVATE_SUBSCRIBER if methods.whole_activation else None,
        )
    if held.usages != wanted.usages:
        yield from _usage_differences(held, wanted, catalogue)


def _item_differences(
    held: PlatformImage, wanted: PlatformImage, catalogue: Catalogue
) -> Iterator[Request]:
    there = {item.key for item in held.items if item.certain}
    keys = {item.key for item in wanted.items}
    for item in _sorted_items(
        tuple([item for item in held.items if item.key not in keys]), catalogue
    )[::-1]:
        yield Request(type=RequestType.REMOVE_INSTALLED_ITEM, item=item)
    for item in _sorted_items(
        tuple([item for item in wanted.items if item.key not in there]), catalogue
    ):
        yield Request(type=RequestType.ADD_INSTALLED_ITEM, item=item)


def _updates(held: PlatformImage, wanted: PlatformImage) -> Iterator[Request]:
    same_holder = held.holder_certain and held.holder == wanted.holder
    same_address = held.address_certain and held.address == wanted.address
    if not same_holder:
        yield Request(
            type=RequestType.UPDATE_SUBSCRIBER, holder=wanted.holder, address=wanted.address
        )
    elif not same_address:
        yield Request(type=RequestType.UPDATE_ADDRESS, address=wanted.address)


def _switches(
    held: PlatformImage, wanted: PlatformImage
) -> tuple[list[Entitlement], list[Entitlement]]:
    """What is to be taken away, and what is missing or may be."""
    if held.entitlements == wanted.entitlements:
        return [], []
    there = {e.key: e for e in held.entitlements}
    keys = {e.key: e for e in wanted.entitlements}
    return (
        [e for key, e in there.items() if key not in keys],
        [
            e
            for key, e in keys.items()
            if (old := there.get(key)) is None or not old.certain or old.term_end != e.term_end
        ],
    )


def _switched(
    services: tuple[ProvisionedService, ...], *, one: RequestType, whole: RequestType | None
) -> Iterator[Request]:
    if whole is not None:
        yield Request(type=whole, services=services)
        return
    for service in services:
        yield Request(type=one, service=service)


def _usage_differences(
    held: PlatformImage, wanted: PlatformImage, catalogue: Catalogue
) -> Iterator[Request]:
    there = {u.usage.reference for u in held.usages if u.certain}
    keys = {u.usage.reference for u in wanted.usages}
    for posted in held.usages:
        if posted.usage.reference not in keys:
            yield _usage_request(RequestType.CANCEL_UDR, posted.usage, held, catalogue)
    for posted in wanted.usages:
        if posted.usage.reference not in there:
            yield _usage_request(RequestType.ADD_UDR, posted.usage, wanted, catalogue)


def _usage_request(
    kind: RequestType, usage: Usage, side: PlatformImage, catalogue: Catalogue
) -> Request:
    service = catalogue.services.get(usage.service)
    distributor = catalogue.distributors.get(usage.distributor)
    required = distributor.required_goods_types if distributor else ()
    there = {i.goods_type: i for i in side.items if i.distributor == usage.distributor}
    return Request(
        type=kind,
        usage=usage,
        service=ProvisionedService(
            service=usage.service,
            provider_service_id=service.provider_service_id if service else "",
            distributor=usage.distributor,
            kind=service.kind if service else ServiceKind.USAGE,
            items=tuple([there[goods_type] for goods_type in required if goods_type in there]),
            parameters=service.parameters if service else {},
        ),
    )


def provisioned(
    entitlement: Entitlement, side: PlatformImage, catalogue: Catalogue
) -> ProvisionedService:
    """The entitlement as a request carries it, with its items as that side holds them."""
    service = _service_of(entitlement, catalogue)
    there = {item.key: item for item in side.items}
    return ProvisionedService(
        service=entitlement.service or (service.code if service else ""),
        provider_service_id=entitlement.provider_service_id,
        distributor=entitlement.distributor,
        kind=service.kind if service else ServiceKind.TERMED,
        items=tuple(
            [_item(entitlement.distributor, goods, there, catalogue) for goods in entitlement.goods]
        ),
        term_end=entitlement.term_end,
        parameters=service.parameters if service else {},
    )


def _service_of(entitlement: Entitlement, catalogue: Catalogue) -> Service | None:
    found = catalogue.services.get(entitlement.service)
    if found:
        return found
    platform_id = entitlement.provider_service_id
    behind = [s for s in catalogue.services.values() if s.provider_service_id == platform_id]
    return min(behind, key=lambda service: service.code, default=None)


def _item(
    distributor: str,
    goods: Goods,
    there: dict[tuple[str, str, str], ProvisionedItem],
    catalogue: Catalogue,
) -> ProvisionedItem:
    found = there.get((distributor, goods.goods_type, goods.serial_number))
    if found is not None:
        return found if found.certain else replace(found, certain=True)
    return ProvisionedItem(
        distributor=distributor,
        goods_type=goods.goods_type,
        serial_number=goods.serial_number,
        provider_goods_type=catalogue.goods.get(goods.goods_type, ""),
    )


def _sorted_services(
    entitlements: Sequence[Entitlement], side: PlatformImage, catalogue: Catalogue
) -> tuple[ProvisionedService, ...]:
    if len(entitlements) > 1:
        entitlements = sorted(entitlements, key=lambda e: (catalogue.rank(e.distributor), e.key))
    return tuple([provisioned(e, side, catalogue) for e in entitlements]) if entitlements else ()


def _sorted_items(
    items: tuple[ProvisionedItem, ...], catalogue: Catalogue
) -> tuple[ProvisionedItem, ...]:
    ordered = sorted(items, key=lambda item: (catalogue.rank(item.distributor), item.key))
    return tuple([item if item.certain else replace(item, certain=True) for item in ordered])
