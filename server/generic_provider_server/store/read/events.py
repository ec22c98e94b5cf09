"""Reads the stored events in their order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from msgspec import MsgspecError
from peewee import fn

from ...domain.subscription.events import Event
from ...domain.values import Instant
from ..database import statements as sql
from ..database.documents import events_of
from ..database.models import Counter, EventRow
from .base import BaseQueries

MOST_ROWS, MOST_BYTES = 64, 64 * 1024
"""At most MOST_ROWS rows, with at most MOST_BYTES bytes together, are read at once. If the first
row is larger, this row is read alone.
"""


class Bounds(NamedTuple):
    """The number of the oldest stored row of events, and the number of the next row to be
    written.
    """

    oldest: int
    next: int


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """A row of events, with its number in the order of the commits and the time of its commit."""

    number: int
    time: Instant
    events: tuple[Event, ...]


class EventRows(NamedTuple):
    """Rows of events that were read together. `more`: True if later rows may exist."""

    rows: Sequence[StoredEvents]
    more: bool


class UnreadableEvents(Exception):
    """A row of events cannot be decoded. `row`: the number of the row."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} of the table event cannot be decoded")
        self.row = row


class EventQueries(BaseQueries):
    def event_bounds(self) -> Bounds:
        """Returns the bounds of the stored rows. If no row is stored, both bounds are the number of
        the next row.
        """
        counter = Counter.select(Counter.value).where(Counter.name == "event")
        next_row = self._rows(counter)[0].value + 1
        oldest = self._rows(EventRow.select(fn.MIN(EventRow.number).alias("oldest")))[0].oldest
        return Bounds(next_row if oldest is None else oldest, next_row)

    def event_rows(self, first: int) -> EventRows:
        """Returns stored rows from the number `first` on, in ascending order: at least one row, if
        there is such a row. Raises UnreadableEvents if the first of these rows cannot be decoded.
        """
        sizes = self._select(sql.EVENT_SIZES, first, MOST_ROWS)
        totals = list(accumulate(size for _, size in sizes))
        fitting = max(1, bisect_right(totals, MOST_BYTES))
        rows = self._select(sql.EVENTS, first, sizes[:fitting][-1].number) if sizes else []
        stored = list[StoredEvents]()
        for row in rows:
            try:
                events = events_of(bytes(row.document))
            except MsgspecError as error:
                if stored:
                    return EventRows(stored, more=True)
                raise UnreadableEvents(row.number) from error
            stored.append(StoredEvents(row.number, row.time, events))
        return EventRows(stored, more=len(sizes) == MOST_ROWS or fitting < len(sizes))
