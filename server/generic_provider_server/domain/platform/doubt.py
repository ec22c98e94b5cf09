"""Computes what is uncertain about a platform after a request that may have been applied."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from ..values import RequestType
from .compare import Element
from .image import Known, PlatformImage, PostedUsage
from .named_elements import (
    ADDRESS,
    HOLDER,
    SUBSCRIBER,
    Field,
    Name,
    Part,
    entitlements_of,
    field_of,
    named_parts,
    parts_of,
)
from .request import Request


def doubt(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after a request that may have been applied. The elements that the request
    names become uncertain.
    """
    match request.type:
        case RequestType.BECOME_SUBSCRIBER:
            return _doubt_become(known, request)
        case RequestType.UPDATE_SUBSCRIBER:
            return replace(known, holder_certain=False, address_certain=False)
        case RequestType.UPDATE_ADDRESS:
            return replace(known, address_certain=False)
        case _:
            field = field_of(request)
            parts = _doubted(parts_of(known, field), named_parts(request))
            return replace(known, **{field: parts})


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


def doubt_everything(image: PlatformImage) -> PlatformImage:
    """Returns the image with its holder, address, items, entitlements and usage records uncertain.
    Whether the platform knows the subscriber does not change.
    """
    return replace(
        image,
        holder_certain=False,
        address_certain=False,
        items=tuple([replace(item, certain=False) for item in image.items]),
        entitlements=tuple([replace(e, certain=False) for e in image.entitlements]),
        usages=tuple([replace(posted, certain=False) for posted in image.usages]),
    )


def _doubted(there: tuple[Part, ...], named: tuple[Part, ...]) -> tuple[Part, ...]:
    """Returns all parts that are in `there` or in `named`. In the result, the parts in `named` are
    uncertain.

    If `there` and `named` contain the same usage record with different ends, the record with the
    later end is kept.
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
    if doubted is old:
        return old
    former = {part.key: part for part in old}
    return tuple(
        [
            part if (field, part.key) in names else former[part.key]
            for part in doubted
            if (field, part.key) in names or part.key in former
        ]
    )


def _doubt_become(known: PlatformImage, request: Request) -> PlatformImage:
    """Returns the image after a BECOME_SUBSCRIBER that may have been applied.

    A subscriber that the platform certainly knew is still known. All other elements are uncertain:
    each may be as before or as in the request.
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
