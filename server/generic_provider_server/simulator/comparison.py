"""Compares a simulated platform with the CRM."""

from __future__ import annotations

from collections.abc import Iterator

from generic_provider import Client, PlatformTarget, SyncState

from .platform import EMPTY, Platform, item_text, service_text

NONE = "(none)"


def differences(client: Client, platform: Platform, *, provider: str) -> Iterator[str]:
    """Yields a line for each subscription that is not IN_SYNC, or that the CRM shows as IN_SYNC
    although the platform differs. Also yields a line for each subscriber that the CRM does not
    know.
    """
    known = set(platform.subscriptions())
    for listed in client.list_subscriptions(provider=provider):
        known.discard(listed.number)
        subscription = client.get_subscription(listed.number)
        link = next(each for each in subscription.provider_links if each.provider == provider)
        if link.sync_state != SyncState.IN_SYNC:
            yield f"{listed.number} is {SyncState.name_of(link.sync_state)}"
            continue
        there = platform.holds(listed.number) or EMPTY
        for name, wanted in _wanted(link.confirmed).items():
            if there[name] != wanted:
                held = _all(there[name])
                yield f"{listed.number}: {name} are {held}, the CRM says {_all(wanted)}"
        holder = link.confirmed.holder.name
        if there["holder"] != holder:
            held = there["holder"] or NONE
            yield f"{listed.number}: the holder is {held}, the CRM says {holder or NONE}"
    for number in sorted(known):
        yield f"{number} is on the platform, but the CRM does not know it"


def _all(texts: list[str]) -> str:
    return ", ".join(texts) or NONE


def _wanted(target: PlatformTarget) -> dict[str, list[str]]:
    return {
        "items": sorted(map(item_text, target.items)),
        "services": sorted(map(service_text, target.services)),
    }
