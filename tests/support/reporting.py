"""Makes the platform report of the contents of a simulated platform for one subscription. Also
changes these contents without a request.
"""

from __future__ import annotations

from random import Random

from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.image import PlatformImage
from generic_provider_server.domain.platform.reported import (
    Reported,
    ReportedEntitlement,
    ReportedItem,
)
from generic_provider_server.domain.values import ServiceKind

from .platform import Subscriber


def reported(
    there: Subscriber | None, catalogue: Catalogue, *, known: PlatformImage, chance: Random
) -> Reported | None:
    """Returns a report of all items and entitlements that the platform holds, or None if `there` is
    None. By chance, the distributors of `known` items are left out, if the serial numbers are
    enough to find them.
    """
    if there is None:
        return None
    places = {item.key for item in known.items}
    serials = {serial for *_, serial in there.items}
    clear = len(serials) == len(there.items) and all(
        {(distributor, *each) for each in named} <= there.items
        for distributor, _, named in there.services
    )
    unplaced = clear and there.items <= places and chance.random() < 0.5
    return Reported(
        items=tuple(
            [
                ReportedItem(
                    serial_number=serial,
                    goods_type=goods_type if chance.random() < 0.5 else "",
                    provider_goods_type=catalogue.goods[goods_type],
                    distributor="" if unplaced else distributor,
                )
                for distributor, goods_type, serial in sorted(there.items)
            ]
        ),
        entitlements=tuple(
            [
                ReportedEntitlement(
                    provider_service_id=platform_id,
                    distributor="" if unplaced and goods else distributor,
                    serial_numbers=tuple([serial for _, serial in goods]),
                    term_end=end,
                )
                for (distributor, platform_id, goods), end in there.services.items()
            ]
        ),
    )


def drift(there: Subscriber, catalogue: Catalogue, *, chance: Random) -> None:
    """Changes the contents of the platform without a request."""
    if there.services and chance.random() < 0.4:
        del there.services[chance.choice(sorted(there.services, key=str))]
    if there.items and chance.random() < 0.3:
        there.items.remove(chance.choice(sorted(there.items)))
    distributor = chance.choice(list(catalogue.distributors.values()))
    if catalogue.goods and chance.random() < 0.3:
        there.items.add((distributor.code, chance.choice(sorted(catalogue.goods)), "99"))
    goods = {goods_type: serial for d, goods_type, serial in there.items if d == distributor.code}
    required = distributor.required_goods_types
    if goods.keys() >= {*required} and chance.random() < 0.3:
        termed = [s for s in catalogue.services.values() if s.kind is ServiceKind.TERMED]
        on = tuple([(each, goods[each]) for each in required])
        there.services[distributor.code, chance.choice(termed).provider_service_id, on] = None
