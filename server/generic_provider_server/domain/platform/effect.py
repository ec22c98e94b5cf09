"""Computes how requests change a platform image, if the platform has applied them or may have."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import reduce
from itertools import groupby
from typing import Literal, assert_never

from msgspec.structs import replace

from ..values import RequestType
from .compare import Element, by_key, compare
from .image import (
    NOTHING,
    Entitlement,
    Known,
    PlatformImage,
    PostedUsage,
    ProvisionedItem,
    ProvisionedService,
    Request,
)

Field = Literal["entitlements", "items", "usages"]
Name = tuple[str, Hashable]
"""The name of an element of a platform image: its kind and its key."""

SUBSCRIBER: Name = "known", None
HOLDER: Name = "holder", None
ADDRESS: Name = "address", None

ADDING = frozenset(
    {
        RequestType.BECOME_SUBSCRIBER,
        RequestType.ACTIVATE_SERVICE,
        RequestType.ACTIVATE_SUBSCRIBER,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.ADD_UDR,
    }
)


def adds(request: Request) -> bool:
    return request.type in ADDING


def entitlements_of(request: Request) -> tuple[Entitlement, ...]:
    return tuple([service.entitlement for service in services_of(request)])


def services_of(request: Request) -> tuple[ProvisionedService, ...]:
    return (request.service,) if request.service else request.services


def effect(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after the request was applied. The elements that the request names become
    certain.
    """
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return _become(known, request)
        case RequestType.UPDATE_SUBSCRIBER:
            return replace(
                known,
                holder=request.holder,
                address=request.address,
                holder_certain=True,
                address_certain=True,
            )
        case RequestType.UPDATE_ADDRESS:
            return replace(known, address=request.address, address_certain=True)
        case _:
            return _with_parts(known, [request])


def effects(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """Returns the image after all requests were applied in order.

    Many requests of one type take hardly more time than one.
    """
    if len(requests) == 1:
        return effect(known, requests[0])
    for field, group in groupby(requests, lambda request: _FIELDS[request.type]):
        run = list(group)
        known = reduce(effect, run, known) if field is None else _with_parts(known, run)
    return known


def has(known: PlatformImage, request: Request) -> bool:
    """Tells whether the request would change nothing, because the image certainly contains its
    effect.
    """
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return not compare(replace(known, usages=()), effect(NOTHING, request))
        case RequestType.UPDATE_SUBSCRIBER:
            same = known.holder == request.holder and known.address == request.address
            return same and known.holder_certain and known.address_certain
        case RequestType.UPDATE_ADDRESS:
            return known.address == request.address and known.address_certain
        case _:
            return _has_parts(_parts(known, request), _named_parts(request), adds=adds(request))


def holds(known: PlatformImage, request: Request) -> bool:
    """Tells whether the image certainly contains all elements that the request names, with the same
    contents. The request must not change the whole subscriber.
    """
    return _has_parts(_parts(known, request), _named_parts(request), adds=True)


def doubt(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after a request that may have been applied. The elements that the request
    names are uncertain.
    """
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return _doubt_become(known, request)
        case RequestType.UPDATE_SUBSCRIBER:
            return replace(known, holder_certain=False, address_certain=False)
        case RequestType.UPDATE_ADDRESS:
            return replace(known, address_certain=False)
        case _:
            parts = _doubted(_parts(known, request), _named_parts(request))
            return _replaced(known, request, parts)


def doubt_only(known: PlatformImage, request: Request, names: AbstractSet[Name]) -> PlatformImage:
    """Does the same as `doubt`, but makes only the elements in `names` uncertain."""
    doubted = doubt(known, request)
    return replace(
        known,
        known=doubted.known if SUBSCRIBER in names else known.known,
        holder=doubted.holder if HOLDER in names else known.holder,
        holder_certain=doubted.holder_certain if HOLDER in names else known.holder_certain,
        address=doubted.address if ADDRESS in names else known.address,
        address_certain=doubted.address_certain if ADDRESS in names else known.address_certain,
        entitlements=_only("entitlements", known.entitlements, doubted.entitlements, names),
        items=_only("items", known.items, doubted.items, names),
        usages=_only("usages", known.usages, doubted.usages, names),
    )


def doubt_everything(known: PlatformImage) -> PlatformImage:
    """Makes every element uncertain, but not the fact that the subscriber is known or unknown."""
    return replace(
        known,
        holder_certain=False,
        address_certain=False,
        items=tuple([replace(item, certain=False) for item in known.items]),
        entitlements=tuple([replace(e, certain=False) for e in known.entitlements]),
        usages=tuple([replace(posted, certain=False) for posted in known.usages]),
    )


def names(request: Request) -> frozenset[Name]:
    """Returns the elements of the platform's image that the request names."""
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            items: list[Name] = [("items", item.key) for item in request.items]
            on: list[Name] = [("entitlements", e.key) for e in entitlements_of(request)]
            return frozenset({SUBSCRIBER, HOLDER, ADDRESS, *items, *on})
        case RequestType.UPDATE_SUBSCRIBER:
            return frozenset({HOLDER, ADDRESS})
        case RequestType.UPDATE_ADDRESS:
            return frozenset({ADDRESS})
        case _:
            field = field_of(request)
            return frozenset([(field, part.key) for part in _named_parts(request)])


def field_of(request: Request) -> Field:
    """Returns the field of the image that the request changes. Raises ValueError if the request
    changes the subscriber as a whole.
    """
    field = _FIELDS[request.type]
    if field is None:
        raise ValueError(f"a {request.type.name} changes the subscriber")
    return field


def _field_of(kind: RequestType) -> Field | None:
    match kind:
        case (
            RequestType.ACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SERVICE
            | RequestType.ACTIVATE_SUBSCRIBER
            | RequestType.DEACTIVATE_SUBSCRIBER
        ):
            return "entitlements"
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            return "items"
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            return "usages"
        case (
            RequestType.BECOME_SUBSCRIBER
            | RequestType.UPDATE_SUBSCRIBER
            | RequestType.UPDATE_ADDRESS
        ):
            return None
        case _:
            assert_never(kind)


_FIELDS = {kind: _field_of(kind) for kind in RequestType}

Part = Entitlement | ProvisionedItem | PostedUsage


def _named_parts(request: Request) -> tuple[Part, ...]:
    match field_of(request):
        case "entitlements":
            return entitlements_of(request)
        case "items":
            if request.item is None:
                raise ValueError(f"a {request.type.name} without its item")
            return (request.item,)
        case "usages":
            if request.usage is None or request.service is None:
                raise ValueError(f"a {request.type.name} without its usage")
            goods = tuple([item.goods for item in request.service.items])
            return (PostedUsage(usage=request.usage, goods=goods),)


def _parts(known: PlatformImage, request: Request) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = getattr(known, field_of(request))
    return parts


def _replaced(known: PlatformImage, request: Request, parts: Iterable[Part]) -> PlatformImage:
    return replace(known, **{field_of(request): tuple(parts)})


def _with_parts(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """Returns the image after requests for one field were applied, one after the other."""
    there = {part.key: part for part in _parts(known, requests[0])}
    for request in requests:
        added = adds(request)
        for part in _named_parts(request):
            key = part.key
            there.pop(key, None)
            if added:
                there[key] = part
    return _replaced(known, requests[0], there.values())


def _has_parts(there: tuple[Part, ...], named: tuple[Part, ...], *, adds: bool) -> bool:
    index = by_key(there)
    found = [index.get(part.key) for part in named]
    if not adds:
        return not any(found)
    return all(
        part is not None and part.certain and part.content == wanted.content
        for part, wanted in zip(found, named, strict=True)
    )


def _doubted(there: tuple[Part, ...], named: tuple[Part, ...]) -> tuple[Part, ...]:
    """Makes the named parts uncertain.

    If two usage records have the same reference, the record that ends later is kept.
    """
    doubted = {part.key: part for part in there}
    for part in named:
        former = doubted.get(part.key)
        kept = part if former is None or _later(part, former) else former
        doubted[part.key] = replace(kept, certain=False)
    return tuple(doubted.values())


def _later(part: Part, former: Part) -> bool:
    if not isinstance(part, PostedUsage) or not isinstance(former, PostedUsage):
        return False
    return part.usage.end_time > former.usage.end_time


def _only(
    field: Field, old: tuple[Element, ...], doubted: tuple[Element, ...], names: AbstractSet[Name]
) -> tuple[Element, ...]:
    former = {part.key: part for part in old}
    return tuple(
        [
            part if (field, part.key) in names else former[part.key]
            for part in doubted
            if (field, part.key) in names or part.key in former
        ]
    )


def _become(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after a BECOME_SUBSCRIBER. This request carries no usage, so all usage is
    uncertain afterwards.
    """
    return PlatformImage(
        known=Known.YES,
        holder=request.holder,
        address=request.address,
        items=request.items,
        entitlements=entitlements_of(request),
        usages=tuple([replace(posted, certain=False) for posted in known.usages]),
    )


def _doubt_become(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after a BECOME_SUBSCRIBER that may have been applied.

    A subscriber that certainly existed still exists. Each element is either as before or as the
    request says.
    """
    before = doubt_everything(known)
    return replace(
        before,
        known=Known.YES if known.known is Known.YES else Known.UNCERTAIN,
        holder=before.holder or request.holder,
        address=before.address or request.address,
        items=_doubted(before.items, request.items),
        entitlements=_doubted(before.entitlements, entitlements_of(request)),
    )
