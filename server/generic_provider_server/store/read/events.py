"""Reads the stored events in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from peewee import fn

from ...domain.subscription.events import Event
from ...domain.values import Instant
from ..database.documents import events_of
from ..database.models import Counter, EventRow
from .base import BaseQueries

MOST_ROWS = 4


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


class EventQueries(BaseQueries):
    def event_bounds(self) -> Bounds:
        """Returns the bounds of the stored rows. If no row is stored, both are the number of the
        next row.
        """
        counter = Counter.select(Counter.value).where(Counter.name == "event")
        next_row = self._rows(counter)[0].value + 1
        oldest = self._rows(EventRow.select(fn.MIN(EventRow.number).alias("oldest")))[0].oldest
        return Bounds(next_row if oldest is None else oldest, next_row)

    def event_rows(self, first: int) -> list[StoredEvents]:
        """Returns the next rows from the number `first` on, in ascending order. The list is empty
        only if there is no such row.
        """
        query = EventRow.select().where(EventRow.number >= first).order_by(EventRow.number)
        return [
            StoredEvents(row.number, row.time, events_of(bytes(row.document)))
            for row in self._rows(query.limit(MOST_ROWS))
        ]
