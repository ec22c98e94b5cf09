"""Divides the events of a transaction into rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...domain.subscription.events import Event

MOST_IN_ROW = 500


def batched_events(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Yields the events in lists of about MOST_IN_ROW events. Each list is stored as one row.

    The event of a rollback counts as several events, because such an event is long.
    """
    row: list[Event] = []
    size = 0
    for event in events:
        row.append(event)
        size += 1 + len(event.taken_back)
        if size >= MOST_IN_ROW:
            yield row
            row, size = [], 0
    if row:
        yield row
