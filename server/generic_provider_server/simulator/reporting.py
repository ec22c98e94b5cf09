"""Reports the contents of a simulated platform."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider import PlatformEntitlement, PlatformItem, PlatformSubscription

from .platform import EMPTY, Platform, names_in


def reported(platform: Platform) -> Iterator[PlatformSubscription]:
    """Yields every subscriber of the platform."""
    for number in platform.subscriptions():
        holds = platform.holds(number) or EMPTY
        yield PlatformSubscription(
            subscription=number,
            items=map(_item, holds["items"]),
            entitlements=map(_entitlement, holds["services"]),
        )


def _item(text: str) -> PlatformItem:
    distributor, goods_type, serial_number = names_in(text)
    return PlatformItem(
        distributor=distributor, provider_goods_type=goods_type, serial_number=serial_number
    )


def _entitlement(text: str) -> PlatformEntitlement:
    distributor, platform_id, *serial_numbers = names_in(text)
    return PlatformEntitlement(
        distributor=distributor, provider_service_id=platform_id, serial_numbers=serial_numbers
    )
