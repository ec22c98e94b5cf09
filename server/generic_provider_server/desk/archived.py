"""Finds the archives that contain older requests of a subscription."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from generic_provider import Archive, ArchiveState, Client, PermissionDenied

MOST_NAMED = 10
THERE = (ArchiveState.CREATING, ArchiveState.COMPLETED)


def archives_with(client: Client, subscription: str) -> list[Archive]:
    """Returns the newest archives that contain requests of the subscription; no archives if the
    caller may not read archives.
    """
    found = client.list_archives(subscription=subscription, states=THERE, page_size=MOST_NAMED)
    try:
        return list(islice(found, MOST_NAMED))
    except PermissionDenied:
        return []


def more_in(archives: Iterable[Archive]) -> str:
    return f"Older requests of the subscription are in {', '.join([each.id for each in archives])}."
