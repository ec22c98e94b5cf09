"""Sends the stored events to watchers."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, TypeVar

from ..domain.refusals import Reason, Refused
from ..store.read.events import MOST_ROWS, Bounds, EventRows, StoredEvents, UnreadableEvents
from ..store.read.queries import Queries
from ..store.store import Store
from .event_places import BEGINNING, Drain, EventPlace, Heartbeat, PlacedEvent, Sent, Wanted
from .periodic_step import Loop

Result = TypeVar("Result")

HEARTBEAT = 5.0, 10.0
"""A watcher that gets no event for some seconds gets a heartbeat. The number of seconds is drawn at
random between these two limits.
"""

POLL_SECONDS = 0.25
"""The seconds between two queries for new events, in case a notification was lost."""

PAUSE_SECONDS = 0.02
LAST_SECONDS = 1.0
"""The seconds that a stream gets for its last messages when the server shuts down."""

_CURSOR = re.compile(r"([0-9a-f]{32})-(\d{1,18})-(\d{1,9})")


@dataclass(slots=True, eq=False)
class _Watcher:
    """`place`: the place up to which the watcher has got events; None if it has got all events."""

    task: asyncio.Task[Any] | None
    place: EventPlace | None


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A watcher that has got all events. The watcher waits for a row that may contain an event for
    its filter. `first`: the smallest number that this row can have.
    """

    wanted: Wanted
    first: int
    found: asyncio.Future[int] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Watching:
    """Reads new rows of events while there are watchers. Use this object only on the event loop.

    Each new row is read once for all watchers that wait. A watcher that has not got all events yet
    reads the missing rows by itself, several rows with one query, unless the cache contains these
    rows. Only one watcher reads rows by itself at a time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watchers: set[_Watcher] = set()
        self._next = 0
        """The number of the first row that has not been announced to the waiting watchers."""
        self._recent: deque[StoredEvents] = deque(maxlen=MOST_ROWS)
        """The last rows, so that many watchers need only one query."""
        self._waiting: set[_Waiting] = set()
        self._changed = asyncio.Event()
        self._reading = asyncio.Semaphore(1)
        self._draining = ""
        self._loop = Loop("events", self._follow, seconds=PAUSE_SECONDS)
        store.listeners.committed.append(lambda _: self._changed.set())

    def start(self) -> None:
        self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    def drain(self, reason: str) -> None:
        """Ends all streams: each watcher gets a Drain. Streams that have not ended after
        LAST_SECONDS are cancelled.
        """
        self._draining = reason
        for waiting in self._waiting:
            _set_row(waiting, self._next)
        asyncio.get_running_loop().call_later(LAST_SECONDS, self._cut)

    def _cut(self) -> None:
        """Ends the streams whose watcher does not read the last messages."""
        for watcher in self._watchers:
            if watcher.task:
                watcher.task.cancel()

    def watchers(self) -> tuple[int, int]:
        """Returns the number of watchers, and an estimate of the events that the slowest watcher
        has not got yet. Any thread may call this function.
        """
        watchers, recent = list(self._watchers), list(self._recent)
        # each place is read once, because the event loop may change it in the meantime
        places = [place for each in watchers if (place := each.place)]
        behind = self._next - min([place.row for place in places], default=self._next)
        in_rows = sum([len(row.events) for row in recent]) or 1
        return len(watchers), max(0, behind) * in_rows // (len(recent) or 1)

    def cursor(self, place: EventPlace) -> str:
        return f"{self._store.id}-{place.row}-{place.events}"

    def place(self, cursor: str) -> EventPlace:
        """Returns the place that the cursor names. Raises Refused if the cursor is not from this
        store.
        """
        found = _CURSOR.fullmatch(cursor)
        if not found or found[1] != self._store.id:
            raise _unknown(cursor)
        return EventPlace(int(found[2]), int(found[3]))

    async def read(self, question: Callable[[Queries], Result]) -> Result:
        """Reads rows for a watcher. Only one watcher reads at a time, so that threads remain for
        other queries.
        """
        async with self._reading:
            return await self._store.read(question)

    async def watch(self, wanted: Wanted, start: EventPlace | None) -> AsyncIterator[Sent]:
        """Yields the events after `start`, with heartbeats in between.

        If `start` is None, yields new events only. Raises Refused if the place `start` is unknown,
        or if events after this place were removed. Raises UnreadableEvents at a row that cannot be
        decoded, because a watcher must not miss events without knowing it.
        """
        bounds = await self.read(methodcaller("event_bounds"))
        place = self._checked(start, bounds)
        if not self._watchers:
            self._next = bounds.next
            self._recent.clear()
        watcher = _Watcher(asyncio.current_task(), place)
        self._watchers.add(watcher)
        try:
            yield Heartbeat(place)
            async for sent in self._behind(place, wanted, watcher):
                yield sent
        finally:
            self._watchers.remove(watcher)

    def _checked(self, start: EventPlace | None, bounds: Bounds) -> EventPlace:
        if start is None:
            return EventPlace(bounds.next)
        if start == BEGINNING:
            return EventPlace(bounds.oldest)
        if start > EventPlace(bounds.next):
            raise _unknown(self.cursor(start))
        if start.row < bounds.oldest:
            raise self._too_old(start, oldest=bounds.oldest)
        return start

    async def _behind(
        self, place: EventPlace, wanted: Wanted, watcher: _Watcher
    ) -> AsyncIterator[Sent]:
        beat = _next_beat()
        while not self._draining:
            if place.row >= self._next:
                watcher.place = None
                place = max(place, EventPlace(await self._match(wanted, place, until=beat)))
            if place.row < self._next:
                watcher.place = place
                rows = await self._rows(place)
                placed = [each for row in rows for each in _placed(row, place, wanted)]
                place = EventPlace(rows[-1].number + 1)
                if placed:
                    yield placed
                    beat = _next_beat()
            if time.monotonic() >= beat:
                yield Heartbeat(place)
                beat = _next_beat()
        yield Drain(self._draining)

    async def _match(self, wanted: Wanted, place: EventPlace, *, until: float) -> int:
        """Waits for a row that may contain an event for the watcher, but at most until the time
        `until`.

        Returns the number of this row or, if no such row arrives in time, the number that the next
        row will get. The watcher needs no row with a smaller number. A timer ends the wait and sets
        the number of the next row at the same moment. If a timeout of asyncio ended the wait, the
        task would read the number only when the task runs again, and the watcher would miss the
        rows that arrive in between.
        """
        waiting = _Waiting(wanted, place.row)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(until - time.monotonic(), lambda: _set_row(waiting, self._next))
        self._waiting.add(waiting)
        try:
            return await waiting.found
        finally:
            timer.cancel()
            self._waiting.discard(waiting)

    async def _rows(self, place: EventPlace) -> Sequence[StoredEvents]:
        """Returns one or more rows, beginning with the row of the place."""
        if self._recent and self._recent[0].number <= place.row:
            return [row for row in self._recent if row.number >= place.row]
        read: EventRows = await self.read(methodcaller("event_rows", place.row))
        rows = read.rows
        if not rows or rows[0].number > place.row:
            raise self._too_old(place, oldest=rows[0].number if rows else self._next)
        return rows

    async def _follow(self) -> None:
        """Reads new rows, and announces them to the waiting watchers.

        If the store cannot be reached, ends the streams of the waiting watchers, because another
        server may reach the store.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._changed.wait()
        self._changed.clear()
        if not self._watchers:
            return
        first = self._next
        try:
            read: EventRows = await self._store.read(methodcaller("event_rows", first))
        except Refused as lost:
            for waiting in self._waiting:
                _set_error(waiting, lost)
            raise
        except UnreadableEvents as unreadable:
            self._changed.set()
            if first <= self._next <= unreadable.row:
                self._pass_over(unreadable)
            raise
        if self._next < first:
            # During the query the last watcher left, and a new watcher began. The new watcher needs
            # rows before `first`.
            self._changed.set()
            return
        if read.rows and read.rows[0].number > first:
            self._skip_removed(first, read.rows[0].number)
        for row in read.rows:
            if row.number >= self._next:
                self._announce(row)
        if read.more:
            self._changed.set()

    def _pass_over(self, unreadable: UnreadableEvents) -> None:
        """Ends the streams that wait for the row, and continues with the next row, so that watchers
        who have begun after the row get later events. Clears the cache, because the cache must have
        no gap: a watcher that has not got all events reads the row by itself, and fails.
        """
        for waiting in self._waiting:
            if waiting.first <= unreadable.row:
                _set_error(waiting, unreadable)
        self._recent.clear()
        self._next = unreadable.row + 1

    def _skip_removed(self, first: int, oldest: int) -> None:
        """Ends the streams that need a row before `oldest`: the rows from `first` to this row were
        removed before this process read them. Clears the cache, because the cache must have no gap.
        """
        for waiting in self._waiting:
            if waiting.first < oldest:
                place = EventPlace(max(first, waiting.first))
                _set_error(waiting, self._too_old(place, oldest=oldest))
        self._recent.clear()

    def _announce(self, row: StoredEvents) -> None:
        self._recent.append(row)
        self._next = row.number + 1
        kinds = {event.kind for event in row.events}
        providers = {provider for event in row.events for provider in event.providers}
        subscriptions = {event.subscription for event in row.events}
        for waiting in self._waiting:
            wanted = waiting.wanted
            if (
                waiting.first <= row.number
                and (not wanted.kinds or wanted.kinds & kinds)
                and (not wanted.provider or wanted.provider in providers)
                and (not wanted.subscription or wanted.subscription in subscriptions)
            ):
                _set_row(waiting, row.number)

    def _too_old(self, place: EventPlace, *, oldest: int) -> Refused:
        return Refused(
            Reason.CURSOR_TOO_OLD,
            "events after the cursor have been removed, because they were too old",
            cursor=self.cursor(place),
            oldest=self.cursor(EventPlace(oldest)),
        )


def _unknown(cursor: str) -> Refused:
    return Refused(
        Reason.CURSOR_UNKNOWN,
        f"the cursor {cursor!r} is not from this store: it is from another store, or was given "
        "after the back-up from which this store was restored",
        cursor=cursor,
    )


def _set_row(waiting: _Waiting, row: int) -> None:
    if not waiting.found.done():
        waiting.found.set_result(row)


def _set_error(waiting: _Waiting, error: Exception) -> None:
    if not waiting.found.done():
        waiting.found.set_exception(error)


def _placed(row: StoredEvents, place: EventPlace, wanted: Wanted) -> list[PlacedEvent]:
    """Returns the events of the row that follow the place and pass the filter.

    The place after the last event of a row is the start of the next row, so this place remains
    valid when the row is removed.
    """
    skipped = place.events if place.row == row.number else 0
    places = [EventPlace(row.number, n + 1) for n in range(len(row.events) - 1)]
    placed = [
        PlacedEvent(after, row.time, event)
        for after, event in zip((*places, EventPlace(row.number + 1)), row.events, strict=True)
    ]
    return [each for each in placed[skipped:] if wanted.includes(each.event)]


def _next_beat() -> float:
    return time.monotonic() + random.uniform(*HEARTBEAT)
