"""Finds items that a platform holds for one subscription, and that another subscription has in the
CRM. The removal of such an item, or of a service on it, may take it from the other customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice

from generic_provider import (
    Client,
    Difference,
    DifferenceKind,
    ProviderLink,
    ProvisioningError,
    Subscription,
)

MOST_SEARCHED = 10
"""The greatest number of items of a platform that are searched in the CRM."""
KINDS = (
    DifferenceKind.ITEM_SURPLUS,
    DifferenceKind.SERVICE_SURPLUS,
    DifferenceKind.UNCERTAIN,
)


def other_owners(client: Client, link: ProviderLink, *, subscription: str) -> dict[str, str]:
    """Returns the number of the other subscription that has the item in the CRM, by the serial
    number of the item. `link`: the link of `subscription` to the platform. An owner that cannot be
    read is left out.
    """
    serials = {each.serial_number: 0 for each in link.differences if each.kind in KINDS}
    found = dict[str, str]()
    with suppress(ProvisioningError):
        for serial in islice(filter(None, serials), MOST_SEARCHED):
            for owner in client.list_subscriptions(item_serial=serial):
                if owner.number != subscription and _has(owner, serial, link.provider):
                    found[serial] = owner.number
    return found


def _has(owner: Subscription, serial: str, provider: str) -> bool:
    return any(i.serial_number == serial and i.provider == provider for i in owner.items)


def with_owner(difference: Difference, owners: Mapping[str, str]) -> str:
    """Returns the text of the difference, with the other subscription that has the item."""
    owner = owners.get(difference.serial_number)
    return f"{difference.text} (in the CRM it is on {owner})" if owner else difference.text
