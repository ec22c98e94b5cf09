"""Finds the differences between two platform images."""

from __future__ import annotations

from collections.abc import Hashable
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
    if held == wanted or (wanted.closed and held.lacks_nothing(wanted)):
        return SAME
    become = wanted.known is not Known.NO and held.known is not Known.YES
    texts = wanted.known is not Known.NO and not become
    return Comparison(
        become=become,
        holder=texts and not (held.holder_certain and held.holder == wanted.holder),
        address=texts and not (held.address_certain and held.address == wanted.address),
        entitlements=sides(held.entitlements, wanted.entitlements),
        items=sides(held.items, wanted.items),
        usages=sides(held.usages, wanted.usages),
    )


def sides(held: tuple[Element, ...], wanted: tuple[Element, ...]) -> Sides[Element]:
    """Returns the differences of one kind of element. The keys in `held` are all different, and so
    are the keys in `wanted`.
    """
    if held == wanted:
        return EQUAL
    same = 0  # the number of equal elements at the beginning, which need no further comparison
    for there, element in zip(held, wanted, strict=False):
        if there != element or not there.certain:
            break
        same += 1
    held, wanted = held[same:], wanted[same:]
    if not held or not wanted:
        return Sides(held, wanted)
    others = {element.key: element for element in held}
    missing: list[Element] = []
    for element in wanted:
        found = others.pop(element.key, None)
        if found is None or not found.certain or found.content != element.content:
            missing.append(element)
    return Sides(tuple(others.values()), tuple(missing))


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
