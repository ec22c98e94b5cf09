"""Finds the differences between two platform images."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from ..values import Value
from .image import Entitlement, Known, PlatformImage, PostedUsage, ProvisionedItem


class Part(Protocol):
    """An entitlement, an item or a usage record in an image, identified by its key."""

    @property
    def key(self) -> Hashable: ...
    @property
    def content(self) -> object: ...
    @property
    def certain(self) -> bool: ...


Element = TypeVar("Element", bound=Part)
Parts = tuple[Part, ...]
Index = dict[Hashable, Part]


class Sides(Value, Generic[Element], frozen=True):
    """The differences of one kind of element.

    `surplus`: elements that the platform holds, or may hold, and should not hold. `missing`:
    elements that the platform should hold, but lacks, may lack, or holds with other contents.
    """

    surplus: tuple[Element, ...] = ()
    missing: tuple[Element, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.surplus or self.missing)


EQUAL: Sides[Any] = Sides()


class Comparison(Value, frozen=True, kw_only=True):
    """The differences between a held and a wanted image.

    `become` is True if the platform should know the subscriber, and does not certainly know it.
    `holder` is True if the holder differs or is uncertain, and `address` is True if the address
    differs or is uncertain. Both are False if `become` is True, or if the platform need not know
    the subscriber.
    """

    become: bool = False
    holder: bool = False
    address: bool = False
    entitlements: Sides[Entitlement] = EQUAL
    items: Sides[ProvisionedItem] = EQUAL
    usages: Sides[PostedUsage] = EQUAL

    def __bool__(self) -> bool:
        return self != SAME


SAME = Comparison()


def compare(held: PlatformImage, wanted: PlatformImage) -> Comparison:
    """Compares the images. `bool(result)` is False if the platform needs no request to change
    `held` into `wanted`.

    If the platform need not know the subscriber, holder and address are not compared.
    """
    if held == wanted or held.lacks_nothing(wanted):
        return SAME
    become = wanted.known is not Known.NO and held.known is not Known.YES
    texts = wanted.known is not Known.NO and not become
    return Comparison(
        become=become,
        holder=texts and not (held.holder_certain and held.holder == wanted.holder),
        address=texts and not (held.address_certain and held.address == wanted.address),
        entitlements=_sides(held.entitlements, wanted.entitlements),
        items=_sides(held.items, wanted.items),
        usages=_sides(held.usages, wanted.usages),
    )


def missing(held: Iterable[Element], wanted: Iterable[Element]) -> tuple[Element, ...]:
    """Returns the wanted elements that the platform lacks, may lack, or holds with other
    contents.
    """
    there = {element.key: element for element in held}
    return tuple(
        [
            element
            for element in wanted
            if (found := there.get(element.key)) is None
            or not found.certain
            or found.content != element.content
        ]
    )


def surplus(held: Iterable[Element], wanted: Iterable[Element]) -> tuple[Element, ...]:
    """Returns the elements that the platform holds or may hold, and should not hold."""
    keys = {element.key for element in wanted}
    return tuple([element for element in held if element.key not in keys])


_last: list[tuple[tuple[Parts, Index], ...]] = [()]
"""The cache of `by_key`. Its one element contains the arguments and the results of the last two
calls.
"""


def by_key(parts: Parts) -> Index:
    """Returns the parts in a dictionary by their keys.

    The last two dictionaries are cached, because a caller may search the same parts for thousands
    of requests.
    """
    kept = _last[0]  # read once, because another thread may replace the element
    for known, index in kept:
        if known is parts:
            return index
    index = {part.key: part for part in parts}
    _last[0] = (*kept[-1:], (parts, index))
    return index


def _sides(held: tuple[Element, ...], wanted: tuple[Element, ...]) -> Sides[Element]:
    if held == wanted:
        return EQUAL
    return Sides(surplus(held, wanted), missing(held, wanted))
