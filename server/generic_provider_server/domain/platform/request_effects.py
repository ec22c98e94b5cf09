"""Computes how a platform image changes when the platform applies requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

from msgspec.structs import replace

from ..values import RequestType
from .compare import by_key, compare
from .image import NOTHING, Known, PlatformImage
from .named_elements import FIELDS, Part, adds, entitlements_of, named_parts, parts_of, with_parts
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
            return _has_parts(parts_of(known, request), named_parts(request), adds=adds(request))


def holds(known: PlatformImage, request: Request) -> bool:
    """Tells whether the image certainly contains all elements that the request names, with the same
    contents. The request must not be a BECOME_SUBSCRIBER, or an update of the holder or the
    address.
    """
    return _has_parts(parts_of(known, request), named_parts(request), adds=True)


def _applied(known: PlatformImage, requests: Sequence[Request]) -> PlatformImage:
    """Returns the image after requests for one field were applied, one after the other."""
    there = {part.key: part for part in parts_of(known, requests[0])}
    for request in requests:
        added = adds(request)
        for part in named_parts(request):
            key = part.key
            there.pop(key, None)
            if added:
                there[key] = part
    return with_parts(known, requests[0], there.values())


def _has_parts(there: tuple[Part, ...], named: tuple[Part, ...], *, adds: bool) -> bool:
    index = by_key(there)
    found = [index.get(part.key) for part in named]
    if not adds:
        return not any(found)
    return all(
        part is not None and part.certain and part.content == wanted.content
        for part, wanted in zip(found, named, strict=True)
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
