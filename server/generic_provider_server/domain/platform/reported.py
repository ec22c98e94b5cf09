"""Translates a platform's report about one subscriber into the elements of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..values import Goods, Instant, ServiceKind, Value
from .image import Entitlement, PlatformImage, ProvisionedItem


class ReportedItem(Value, frozen=True, kw_only=True):
    """An item in a report.

    `goods_type` is the CRM's name of the goods type, `provider_goods_type` the platform's name. If
    both names are empty, the goods type is found by the serial number.
    """

    serial_number: str
    goods_type: str = ""
    provider_goods_type: str = ""
    distributor: str = ""


class ReportedEntitlement(Value, frozen=True, kw_only=True):
    provider_service_id: str
    distributor: str = ""
    serial_numbers: tuple[str, ...] = ()
    term_end: Instant | None = None


class Reported(Value, frozen=True, kw_only=True):
    """A report about one subscriber: the items and entitlements that the platform holds."""

    items: tuple[ReportedItem, ...] = ()
    entitlements: tuple[ReportedEntitlement, ...] = ()


Unknown = tuple[str, str]
"""An id in a report that the provider does not have, and an explanation.

The resulting image does not contain an element with an unknown goods type or service. An unknown
distributor is treated like an empty distributor.
"""


class ReportedElements:
    """Translates the report about one subscriber into the elements of a platform image. `unknown`
    lists the ids that the provider does not have.

    If the report names no distributor for an element, the goods decide: the distributor of the
    goods is searched first in the reported items, then in each of `images`. The first of `images`
    is *confirmed*. If several distributors fit, the result contains the element once for each
    distributor, and all these elements are uncertain.
    """

    def __init__(
        self, reported: Reported, *, images: Sequence[PlatformImage], catalogue: Catalogue
    ) -> None:
        self.unknown: list[Unknown] = []
        self._catalogue = catalogue
        self._images = images
        self._items = [image.items for image in images]
        self.items = tuple([item for each in reported.items for item in self._items_of(each)])
        self._items.insert(0, self.items)
        self.entitlements = tuple(
            [found for each in reported.entitlements for found in self._entitlements_of(each)]
        )

    def _items_of(self, reported: ReportedItem) -> Iterator[ProvisionedItem]:
        goods = self._goods(reported)
        if goods is None:
            return
        places = self._named(reported.distributor) or self._places_of(goods) or {""}
        for distributor in sorted(places):
            yield ProvisionedItem(
                distributor=distributor,
                goods_type=goods.goods_type,
                serial_number=goods.serial_number,
                provider_goods_type=self._catalogue.goods[goods.goods_type],
                certain=len(places) == 1,
            )

    def _goods(self, reported: ReportedItem) -> Goods | None:
        ours, theirs = reported.goods_type, reported.provider_goods_type
        if theirs and not ours:
            ours = next((o for o, t in self._catalogue.goods.items() if t == theirs), "")
        elif not ours:
            ours = self._goods_of(reported.serial_number).goods_type
        if ours in self._catalogue.goods:
            return Goods(ours, reported.serial_number)
        named = reported.goods_type or theirs or reported.serial_number
        self.unknown.append((named, "the provider has no such goods"))
        return None

    def _goods_of(self, serial_number: str) -> Goods:
        """Returns the item with the serial number.

        If the serial number is unknown, the goods type of the returned item is empty.
        """
        return next(iter(self._known(serial_number)), Goods("", serial_number))

    def _known(self, serial_number: str, *, at: str = "") -> list[Goods]:
        """Returns the items in the report and in the images that have the serial number; items on
        the distributor `at` come first.
        """
        there = [item for items in self._items for item in items]
        there.sort(key=lambda item: item.distributor != at)
        return [item.goods for item in there if item.serial_number == serial_number]

    def _goods_named(self, serial_numbers: Sequence[str], *, at: str) -> list[Goods]:
        """Returns the goods of one entitlement.

        The goods types of one entitlement must all be different, but items of different types may
        have the same serial number. So the function begins with the clearest serial numbers. It
        chooses an item first for the serial numbers with exactly one reported item on the
        distributor `at` (on all distributors together, if `at` is empty), then for the other serial
        numbers. In each of these two groups, serial numbers with fewer possible items come first.
        For each serial number, the function prefers an item of a type that the distributor
        requires, because a service is switched on for such items.
        """
        place = self._catalogue.distributors.get(at)
        required = place.required_goods_types if place else ()
        known = {
            number: sorted(
                self._known(number, at=at), key=lambda goods: goods.goods_type not in required
            )
            for number in serial_numbers
        }
        reported = [item.goods for item in self.items if not at or item.distributor == at]

        def doubt(number: str) -> tuple[bool, int]:
            there = {item for item in reported if item.serial_number == number}
            return len(there) != 1, len({*known[number]})

        goods: list[Goods] = []
        for each in sorted(serial_numbers, key=doubt):
            types = {other.goods_type for other in goods}
            free = (found for found in known[each] if found.goods_type not in types)
            goods.append(next(free, Goods("", each)))
        return goods

    def _named(self, distributor: str) -> set[str]:
        if distributor and distributor not in self._catalogue.distributors:
            self.unknown.append((distributor, "the provider has no such distributor"))
            return set()
        return {distributor} if distributor else set()

    def _places_of(self, goods: Goods) -> set[str]:
        on = ({item.distributor for item in items if item.goods == goods} for items in self._items)
        return next(filter(None, on), set())

    def _entitlements_of(self, reported: ReportedEntitlement) -> Iterator[Entitlement]:
        """Yields the entitlements for one entitlement in the report.

        If the serial numbers fit both reported items and a confirmed entitlement with other goods,
        yields one entitlement with the reported items and one with the other goods. Yields no
        entitlement if no service of the provider has this platform id. Also yields no entitlement
        if only usage services have this platform id, and no image contains it: such an entitlement
        belongs to a usage record, for example to a rented film, and usage is not reported.
        """
        platform_id = reported.provider_service_id
        services = self._catalogue.services.values()
        behind = [each for each in services if each.provider_service_id == platform_id]
        if not behind:
            self.unknown.append((platform_id, "the provider has no such service"))
        termed = [each for each in behind if each.kind is ServiceKind.TERMED]
        if not (termed or self._has(platform_id)):
            return
        former, found = self._former(reported), list[tuple[str, tuple[Goods, ...]]]()
        goods = self._goods_named(reported.serial_numbers, at=reported.distributor)
        places = self._named(reported.distributor)
        if not former or {*goods} <= {item.goods for item in self.items}:
            places = places or self._places_for(platform_id, goods) or {""}
            found = [(place, self._goods_on(place, goods)) for place in sorted(places)]
        for each in former:
            if not any(p == each.distributor and {*each.goods} <= {*there} for p, there in found):
                found.append((each.distributor, each.goods))
        timed = self._catalogue.provider.request_settings.term_end_on_platform
        for distributor, there in found:
            yield Entitlement(
                distributor=distributor,
                provider_service_id=platform_id,
                goods=there,
                service=min(each.code for each in termed or behind),
                term_end=reported.term_end if timed else None,
                certain=len(found) == 1,
            )

    def _has(self, platform_id: str) -> bool:
        """Tells whether the confirmed or the wanted image contains the platform service."""
        held = (each for image in self._images for each in image.entitlements)
        return any(each.provider_service_id == platform_id for each in held)

    def _former(self, reported: ReportedEntitlement) -> list[Entitlement]:
        """Returns the confirmed entitlements that have the reported service and serial numbers.

        These entitlements are needed if the platform has lost the goods, because then no reported
        item has the serial numbers. Entitlements that the CRM wants and the platform has not
        confirmed are left out, because items of other types may have the same serial numbers.
        """
        serials = sorted(reported.serial_numbers)
        return [
            each
            for each in self._images[0].entitlements
            if each.provider_service_id == reported.provider_service_id
            and reported.distributor in ("", each.distributor)
            and sorted(goods.serial_number for goods in each.goods) == serials
        ]

    def _places_for(self, platform_id: str, goods: Sequence[Goods]) -> set[str]:
        """Returns the distributors that have all these goods.

        If `goods` is empty, returns the distributors on which the confirmed image has the platform
        service. If the confirmed image does not have the service, the wanted image is used instead.
        If neither image has the service, returns the provider's only distributor, or no distributor
        if the provider has several.
        """
        if goods:
            return set.intersection(*map(self._places_of, goods))
        for image in self._images:
            on = [e for e in image.entitlements if e.provider_service_id == platform_id]
            if on:
                return {entitlement.distributor for entitlement in on}
        every = set(self._catalogue.distributors)
        return every if len(every) == 1 else set()

    def _goods_on(self, distributor: str, named: Sequence[Goods]) -> tuple[Goods, ...]:
        """Returns the goods of the entitlement, in the order of the distributor's required goods
        types. `named`: the goods that the report names for the entitlement.

        If the report contains all goods that the distributor requires, and `named` contains no
        other goods, returns all required goods: a platform may name only the card of an
        entitlement. Otherwise returns only `named`.
        """
        found = self._catalogue.distributors.get(distributor)
        required = found.required_goods_types if found else ()
        named = _with_type(named, required)
        there = {i.goods_type: i.goods for i in self.items if i.distributor == distributor}
        goods = [there[goods_type] for goods_type in required if goods_type in there]
        if len(goods) < len(required) or not {*named} <= {*goods}:
            order = {goods_type: n for n, goods_type in enumerate(required)}
            goods = sorted(named, key=lambda each: (order.get(each.goods_type, len(order)), each))
        return tuple(goods)


def _with_type(named: Sequence[Goods], required: Sequence[str]) -> Sequence[Goods]:
    """Returns the items. If exactly one item has no goods type, and the items have all required
    goods types except one, this type is given to the item without a type.
    """
    types = {goods.goods_type for goods in named}
    missing = [goods_type for goods_type in required if goods_type not in types]
    if len(missing) != 1 or [goods.goods_type for goods in named].count("") != 1:
        return named
    return [goods if goods.goods_type else replace(goods, goods_type=missing[0]) for goods in named]
