"""What a request does to the platform: for certain, perhaps, or already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import groupby
from typing import TypeVar, assert_never

from msgspec.structs import replace

from ..values import RequestType, Usage
from .image import Entitlement, Known, PlatformImage, PostedUsage, ProvisionedItem, Request

Element = TypeVar("Element", Entitlement, ProvisionedItem)


def effect(known: PlatformImage, request: Request) -> PlatformImage:
    """The image after the platform has done the request; what it names is certain."""
    match request.type:
        case (
            RequestType.ACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SERVICE
            | RequestType.ACTIVATE_SUBSCRIBER
            | RequestType.DEACTIVATE_SUBSCRIBER
        ):
            switched = entitlements_of(request), adds(request)
            return replace(known, entitlements=_changed(known.entitlements, [switched]))
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
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            installed = _items(request), adds(request)
            return replace(known, items=_changed(known.items, [installed]))
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            return replace(known, usages=_usages(known, _usage(request), adds=adds(request)))
        case _:
            assert_never(request.type)


def effects(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """`effect` of each in turn; many of a kind cost hardly more than one."""
    if len(requests) == 1:
        return effect(known, requests[0])
    for kind, run in groupby(requests, _kind):
        if kind is Entitlement:
            changes = [(entitlements_of(request), adds(request)) for request in run]
            known = replace(known, entitlements=_changed(known.entitlements, changes))
        elif kind is ProvisionedItem:
            installs = [(_items(request), adds(request)) for request in run]
            known = replace(known, items=_changed(known.items, installs))
        else:
            known = reduce(effect, run, known)
    return known


def _kind(request: Request) -> type[Entitlement | ProvisionedItem] | None:
    """Of the elements that the request switches or installs."""
    if request.type in SWITCHING:
        return Entitlement
    return ProvisionedItem if request.item is not None else None


def has(known: PlatformImage, request: Request) -> bool:
    """Does the image already hold the request's effect for certain?"""
    match request.type:
        case (
            RequestType.ACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SERVICE
            | RequestType.ACTIVATE_SUBSCRIBER
            | RequestType.DEACTIVATE_SUBSCRIBER
        ):
            named = entitlements_of(request)
            return _has_all(known.entitlements, named, adds=adds(request))
        case RequestType.BECOME_SUBSCRIBER:
            return _has_become(known, request)
        case RequestType.UPDATE_SUBSCRIBER:
            return _has_holder(known, request) and _has_address(known, request)
        case RequestType.UPDATE_ADDRESS:
            return _has_address(known, request)
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            reference = _usage(request).reference
            certain = [u.certain for u in known.usages if u.usage.reference == reference]
            return certain == [True] if adds(request) else not certain
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            return _has_all(known.items, _items(request), adds=adds(request))
        case _:
            assert_never(request.type)


def doubt(known: PlatformImage, request: Request) -> PlatformImage:
    """The image after the request may or may not have been done: what it names is uncertain."""
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return _doubt_become(known, request)
        case RequestType.UPDATE_SUBSCRIBER:
            return replace(known, holder_certain=False, address_certain=False)
        case RequestType.UPDATE_ADDRESS:
            return replace(known, address_certain=False)
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            return _doubt_usage(known, request)
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            items = _doubted(known.items, _items(request), adds=adds(request))
            return replace(known, items=items)
        case (
            RequestType.ACTIVATE_SERVICE
            | RequestType.DEACTIVATE_SERVICE
            | RequestType.ACTIVATE_SUBSCRIBER
            | RequestType.DEACTIVATE_SUBSCRIBER
        ):
            named = entitlements_of(request)
            return replace(
                known, entitlements=_doubted(known.entitlements, named, adds=adds(request))
            )
        case _:
            assert_never(request.type)


def doubt_everything(known: PlatformImage) -> PlatformImage:
    """Every element uncertain, the subscriber as known as before: a full reset starts here."""
    return replace(
        known,
        holder_certain=False,
        address_certain=False,
        items=tuple([replace(item, certain=False) for item in known.items]),
        entitlements=tuple([replace(e, certain=False) for e in known.entitlements]),
        usages=tuple([replace(posted, certain=False) for posted in known.usages]),
    )


ACTIVATING = (RequestType.ACTIVATE_SERVICE, RequestType.ACTIVATE_SUBSCRIBER)
SWITCHING = {*ACTIVATING, RequestType.DEACTIVATE_SERVICE, RequestType.DEACTIVATE_SUBSCRIBER}
ADDING = frozenset(
    {
        *ACTIVATING,
        RequestType.BECOME_SUBSCRIBER,
        RequestType.ADD_INSTALLED_ITEM,
        RequestType.ADD_UDR,
    }
)


def adds(request: Request) -> bool:
    return request.type in ADDING


def entitlements_of(request: Request) -> tuple[Entitlement, ...]:
    named = (request.service,) if request.service else request.services
    return tuple([service.entitlement for service in named])


def names_same(one: Request, other: Request) -> bool:
    """Do the two requests name a common element of the platform's image?"""
    if RequestType.BECOME_SUBSCRIBER in (one.type, other.type):
        return True
    return bool(_named(one) & _named(other))


def _named(request: Request) -> set[object]:
    match request.type:
        case RequestType.UPDATE_SUBSCRIBER:
            return {"holder", "address"}
        case RequestType.UPDATE_ADDRESS:
            return {"address"}
        case RequestType.ADD_UDR | RequestType.CANCEL_UDR:
            return {_usage(request).reference}
        case RequestType.ADD_INSTALLED_ITEM | RequestType.REMOVE_INSTALLED_ITEM:
            return {item.key for item in _items(request)}
        case _:
            return {entitlement.key for entitlement in entitlements_of(request)}


def _items(request: Request) -> tuple[ProvisionedItem, ...]:
    if request.item is None:
        raise ValueError(f"a {request.type.name} without its item")
    return (request.item,)


def _usage(request: Request) -> Usage:
    if request.usage is None:
        raise ValueError(f"a {request.type.name} without its usage")
    return request.usage


def _changed(
    there: tuple[Element, ...], changes: Iterable[tuple[tuple[Element, ...], bool]]
) -> tuple[Element, ...]:
    """After some were added (True) or taken away, one change after the other."""
    known = {element.key: element for element in there}
    for named, added in changes:
        for element in named:
            known.pop(element.key, None)
            if added:
                known[element.key] = element
    return tuple(known.values())


def _doubted(
    there: tuple[Element, ...], named: tuple[Element, ...], *, adds: bool
) -> tuple[Element, ...]:
    keys = {element.key for element in named}
    known = {element.key for element in there}
    old = tuple([replace(e, certain=False) if e.key in keys else e for e in there])
    if not adds:
        return old
    return old + tuple([replace(e, certain=False) for e in named if e.key not in known])


def _has_all(there: tuple[Element, ...], named: tuple[Element, ...], *, adds: bool) -> bool:
    known = {element.key: element for element in there}
    if not adds:
        return not any(element.key in known for element in named)
    return all(
        (found := known.get(element.key)) is not None
        and found.certain
        and found.content == element.content
        for element in named
    )


def _usages(
    known: PlatformImage, usage: Usage, *, adds: bool, certain: bool = True
) -> tuple[PostedUsage, ...]:
    kept = tuple([u for u in known.usages if u.usage.reference != usage.reference])
    return (*kept, PostedUsage(usage=usage, certain=certain)) if adds else kept


def _doubt_usage(known: PlatformImage, request: Request) -> PlatformImage:
    """A reference may be used again once its usage is over: the later one must not be forgotten."""
    usage = _usage(request)
    same = [u.usage for u in known.usages if u.usage.reference == usage.reference]
    if not same and not adds(request):
        return known
    latest = max([*same, usage], key=lambda each: each.end_time)
    return replace(known, usages=_usages(known, latest, adds=True, certain=False))


def _become(known: PlatformImage, request: Request) -> PlatformImage:
    """Usage is no part of the payload, so what the platform did with it is not known."""
    return PlatformImage(
        known=Known.YES,
        holder=request.holder,
        address=request.address,
        items=request.items,
        entitlements=entitlements_of(request),
        usages=tuple([replace(posted, certain=False) for posted in known.usages]),
    )


def _has_become(known: PlatformImage, request: Request) -> bool:
    return (
        known.known is Known.YES
        and _has_holder(known, request)
        and _has_address(known, request)
        and _same_set(known.items, request.items)
        and _same_set(known.entitlements, entitlements_of(request))
    )


def _same_set(there: tuple[Element, ...], named: tuple[Element, ...]) -> bool:
    return len(there) == len(named) and _has_all(there, named, adds=True)


def _has_holder(known: PlatformImage, request: Request) -> bool:
    return known.holder_certain and known.holder == request.holder


def _has_address(known: PlatformImage, request: Request) -> bool:
    return known.address_certain and known.address == request.address


def _doubt_become(known: PlatformImage, request: Request) -> PlatformImage:
    """Whoever certainly exists still does; everything else may be as before or as asked for."""
    before = doubt_everything(known)
    return replace(
        before,
        known=Known.YES if known.known is Known.YES else Known.UNCERTAIN,
        holder=before.holder or request.holder,
        address=before.address or request.address,
        items=_doubted(before.items, request.items, adds=True),
        entitlements=_doubted(before.entitlements, entitlements_of(request), adds=True),
    )
