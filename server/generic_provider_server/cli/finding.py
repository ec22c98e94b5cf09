"""Finds a subscription by its number, a serial number of an item, or an account number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from generic_provider import Client, Subscription, SubscriptionNotFound, SubscriptionState

from ..desk.former_items import former_requests, where_it_was
from ..desk.output import Output, moment, say, say_folded
from ..desk.wording import sync_states
from .failures import REFUSED

KEY = "NUMBER|SERIAL|ACCOUNT"
COLUMNS: Mapping[str, Callable[[Subscription], object]] = {
    "subscription": lambda each: each.number,
    "type": lambda each: each.type,
    "state": lambda each: SubscriptionState.name_of(each.state),
    "holder": lambda each: each.holder.name,
    "items": lambda each: len(each.items),
    "services": lambda each: len(each.services),
    "platforms": sync_states,
    "changed": lambda each: moment(each, "update_time"),
}


def find(client: Client, output: Output, key: str, *, include_former: bool = False) -> Subscription:
    """Finds the one subscription with this key.

    If the key is the serial number of an item that is on no subscription now, prints its former
    subscription. Raises SubscriptionNotFound if no subscription has this key now.
    """
    try:
        return search(client, output, key, include_former=include_former)
    except SubscriptionNotFound:
        for request in former_requests(client, key):
            say_folded(where_it_was(request, key), err=True)
        raise


def search(
    client: Client, output: Output, key: str, *, include_former: bool = False
) -> Subscription:
    """Finds the one subscription with this number, serial number, or account number (of a platform
    or of the CRM).

    If several subscriptions have this key, prints a list of them and exits. Raises
    SubscriptionNotFound if no subscription has this key.
    """
    try:
        return client.get_subscription(key, include_former=include_former)
    except SubscriptionNotFound:
        found = list(client.list_subscriptions(item_serial=key))
        found = found or list(client.list_subscriptions(account_number=key))
        found = found or list(client.list_subscriptions(holder_number=key))
        if not found:
            raise
    if len(found) == 1:
        return client.get_subscription(found[0].number, include_former=include_former)
    say(f"Error: {len(found)} subscriptions have {key!r}; name one by its number:", err=True)
    output.messages(found, COLUMNS)
    sys.exit(REFUSED)
