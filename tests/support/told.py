"""Compares the events with the contents of the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from generic_provider_server.domain.subscription.events import Event, EventKind
from generic_provider_server.domain.values import RequestState
from generic_provider_server.store.read.filters import ActionFilter, RequestFilter
from generic_provider_server.store.store import Store

MOST = 10_000


@dataclass(slots=True)
class Told:
    """Reads the events of a store, and keeps their contents."""

    store: Store
    next: int
    events: list[Event] = field(default_factory=list)

    @classmethod
    async def from_now(cls, store: Store) -> Told:
        return cls(store, (await store.read(lambda queries: queries.event_bounds())).next)

    async def read(self) -> None:
        """Reads the new events, and checks that no number is missing among their rows."""
        while True:
            rows, _ = await self.store.read(lambda queries: queries.event_rows(self.next))
            if not rows:
                return
            for row in rows:
                assert row.number == self.next
                self.next += 1
                self.events += row.events

    async def check(self, subscription: str) -> None:
        """Checks that each change of the subscription has one event, and that causes precede
        effects.
        """
        await self.read()
        events = [event for event in self.events if event.subscription == subscription]
        await self._check_requests(subscription, events)
        await self._check_actions(subscription, events)
        await self._check_sync_states(subscription, events)

    async def _check_requests(self, subscription: str, events: list[Event]) -> None:
        wanted = RequestFilter(subscription=subscription, oldest_first=True)
        stored = await self.store.read(lambda q: q.requests(wanted, after=0, limit=MOST))
        created = _numbers(events, EventKind.REQUEST_CREATED)
        settled = _numbers(events, EventKind.REQUEST_SETTLED)
        assert Counter(created) == Counter(each.number for each in stored)
        final = [each.number for each in stored if each.state is not RequestState.PENDING]
        assert Counter(settled) == Counter(final)
        place = {event.number: n for n, event in enumerate(events) if _created(event)}
        for n, event in enumerate(events):
            if event.kind == EventKind.REQUEST_SETTLED:
                assert place[event.number] < n, "a request is settled before it is created"

    async def _check_actions(self, subscription: str, events: list[Event]) -> None:
        wanted = ActionFilter(subscription=subscription)
        stored = await self.store.read(lambda q: q.actions(wanted, before=0, limit=MOST))
        executed = _numbers(events, EventKind.ACTION_EXECUTED)
        assert sorted(executed) == sorted(each.id for each in stored if each.execute_time)
        settled = [each.id for each in stored if each.settle_time is not None]
        assert sorted(_numbers(events, EventKind.ACTION_SETTLED)) == sorted(settled)
        last = {
            event.number: event
            for event in events
            if event.kind == EventKind.SUBSCRIPTION_ROLLED_BACK
        }
        dependents = {number for event in last.values() for number in event.dependents}
        for action in stored:
            if action.id in last and action.id not in dependents:
                assert action.taken_back, action
            if action.taken_back:
                assert action.id in last or action.id in dependents or action.error, action

    async def _check_sync_states(self, subscription: str, events: list[Event]) -> None:
        states: dict[str, int] = {}
        for event in events:
            if event.kind == EventKind.SYNC_STATE_CHANGED:
                (provider,) = event.providers
                assert event.former == states.get(provider, 0)
                states[provider] = event.number
        record = await self.store.read(lambda queries: queries.subscription(subscription))
        links = record.aggregate.links if record else ()
        assert states == {link.provider: link.sync_state for link in links}


def _numbers(events: list[Event], kind: EventKind) -> list[int]:
    return [event.number for event in events if event.kind == kind]


def _created(event: Event) -> bool:
    return event.kind == EventKind.REQUEST_CREATED
