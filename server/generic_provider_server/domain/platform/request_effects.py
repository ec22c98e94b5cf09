"""Computes how a platform image changes when the platform applies requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

from msgspec.structs import replace

from ..values import RequestType
from .compare import by_key, compare
from .image import NOTHING, Known, PlatformImage, PostedUsage
from .named_elements import FIELDS, adds, entitlements_of, field_of, named_parts, parts_of
from .request import Request


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
            return _applied(known, [request])


def effects(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """Returns the image after all requests were applied in order.

    The image is copied only once for consecutive requests that change the same field.
    """
    if len(requests) == 1:
        return effect(known, requests[0])
    for field, group in groupby(requests, lambda request: FIELDS[request.type]):
        run = list(group)
        known = reduce(effect, run, known) if field is None else _applied(known, run)
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
            return _has_parts(known, request, adds=adds(request))


def holds(known: PlatformImage, request: Request) -> bool:
    """Tells whether the image certainly contains all elements that the request names, with the same
    contents. The request must not be a BECOME_SUBSCRIBER, or an update of the holder or the
    address.
    """
    return _has_parts(known, request, adds=True)


def _applied(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """Returns the image after requests for one field were applied, one after the other."""
    field = field_of(requests[0])
    there = {part.key: part for part in parts_of(known, field)}
    for request in requests:
        added = adds(request)
        for part in named_parts(request):
            key = part.key
            there.pop(key, None)
            if added:
                there[key] = part
    return replace(known, **{field: tuple(there.values())})


def _has_parts(known: PlatformImage, request: Request, *, adds: bool) -> bool:
    """Tells whether the image certainly contains all elements that the request names, or, if `adds`
    is False, contains none of these elements.
    """
    index = by_key(parts_of(known, field_of(request)))
    for named in named_parts(request):
        part = index.get(named.key)
        if not adds and part is not None:
            return False
        if adds and (part is None or not part.certain or part.content != named.content):
            return False
    return True


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
        usages=usages_after_become(known),
    )


def usages_after_become(known: PlatformImage) -> tuple[PostedUsage, ...]:
    """Returns the usage records of the image after a BECOME_SUBSCRIBER."""
    return tuple([replace(posted, certain=False) for posted in known.usages])
