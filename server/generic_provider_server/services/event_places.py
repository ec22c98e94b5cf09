"""Defines the filter of a watcher, the watcher's place in the order of events, and the values that
the watcher gets.
"""

from __future__ import annotations

from typing import NamedTuple

from ..domain.subscription.events import Event, EventKind
from ..domain.values import Instant


class EventPlace(NamedTuple):
    """A place between two events: after the first `events` events in the row of events with the
    number `row`.
    """

    row: int
    events: int = 0


BEGINNING = EventPlace(0)
KNOWN = frozenset(EventKind)


class Wanted(NamedTuple):
    """The filter of a watcher. An empty field excludes no event."""

    provider: str = ""
    subscription: str = ""
    kinds: frozenset[EventKind] = frozenset()

    def includes(self, event: Event) -> bool:
        return (
            event.kind in (self.kinds or KNOWN)
            and (not self.subscription or event.subscription == self.subscription)
            and (not self.provider or self.provider in event.providers)
        )


class PlacedEvent(NamedTuple):
    """An event with its time, and the place after the event."""

    after: EventPlace
    time: Instant
    event: Event


class Heartbeat(NamedTuple):
    place: EventPlace


class Drain(NamedTuple):
    reason: str


Sent = list[PlacedEvent] | Heartbeat | Drain
