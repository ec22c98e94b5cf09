"""Checks the rules that hold for two subscriptions after every step of a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from generic_provider_server.domain.platform.image import image
from generic_provider_server.domain.rules.invariants import check
from generic_provider_server.domain.subscription.aggregate import Aggregate, Link
from generic_provider_server.domain.subscription.due import overdue, without_usage
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.records import SubscriptionRecord
from generic_provider_server.domain.subscription.request_records import RequestRecord
from generic_provider_server.domain.subscription.state_after import after
from generic_provider_server.domain.values import RequestState, SyncState

from .bench import Bench
from .platform import SimulatedPlatform, Subscriber

Place = tuple[str, str]
"""(provider, subscription)"""

STATES = "SELECT number, state FROM request WHERE subscription IN (?, ?)"
OFTEN = 8
"""All requests are checked once in this many steps."""


@dataclass(slots=True)
class Truth:
    bench: Bench
    platforms: Mapping[str, SimulatedPlatform]
    subscriptions: tuple[str, ...]
    steps: int = 0
    ends: dict[Place, tuple[int, int]] = field(default_factory=dict)
    finals: dict[int, RequestState] = field(default_factory=dict)

    def effective(self, provider: str) -> bool:
        return self.bench.store.catalogues[provider].effective

    async def record(self, subscription: str) -> SubscriptionRecord | None:
        return await self.bench.store.read(lambda queries: queries.subscription(subscription))

    async def aggregates(self) -> list[Aggregate]:
        records = await self.bench.store.read(
            lambda queries: [queries.subscription(number) for number in self.subscriptions]
        )
        return [record.aggregate for record in records if record]

    async def is_overdue(self, subscription: str) -> bool:
        """Tells whether pending requests of the subscription are overdue. Unless a lease is live,
        they may expire at any moment.
        """
        record, catalogues = await self.record(subscription), self.bench.store.catalogues
        return record is not None and any(
            overdue(link.queue, catalogues[link.provider], at=self.bench.clock.now)
            for link in record.aggregate.links
        )

    async def pending(self) -> list[tuple[Place, Pending]]:
        return [
            ((link.provider, aggregate.desired.number), pending)
            for aggregate in await self.aggregates()
            for link in aggregate.links
            for pending in link.queue
        ]

    def reached_its_end(self, request: RequestRecord) -> None:
        """Checks that requests which the platform answers reach their final states in the order of
        units and indexes.
        """
        place = request.provider, request.subscription
        assert self.ends.get(place, (0, 0)) < (request.unit, request.index), "out of order"
        self.ends[place] = request.unit, request.index

    async def check(self) -> None:
        self.steps += 1
        self._check_items()
        for aggregate in await self.aggregates():
            self._check_state(aggregate)
            for link in aggregate.links:
                if link.sync_state is SyncState.IN_SYNC:
                    self._check_in_sync(aggregate, link)
        if self.steps % OFTEN == 0:
            await self._check_requests()

    async def check_all(self) -> list[SyncState]:
        """Checks all rules, and returns the sync state of every link."""
        await self.check()
        await self._check_requests()
        return [link.sync_state for a in await self.aggregates() for link in a.links]

    def _check_items(self) -> None:
        """Checks that no platform holds an item for both subscriptions."""
        for platform in self.platforms.values():
            one, other = [platform.subscribers.get(number) for number in self.subscriptions]
            shared = _goods(one) & _goods(other)
            assert not shared, f"{shared} are on two subscriptions"

    def _check_state(self, aggregate: Aggregate) -> None:
        """Checks that a replay of the unsettled actions gives *desired*, and that *desired* keeps
        the CRM's rules.
        """
        catalogues = self.bench.store.catalogues
        state = aggregate.settled_state
        for performed in aggregate.performed:
            state = after(state, performed, catalogues=catalogues)
        assert state
        now = self.bench.clock.now
        shown = without_usage(aggregate.desired, now=now)
        assert without_usage(state, now=now) == shown, "desired differs from the replay"
        check(aggregate.desired, catalogues, at=now)
        assert aggregate.desired.live or not aggregate.desired.items

    def _check_in_sync(self, aggregate: Aggregate, link: Link) -> None:
        assert not link.queue, "in sync with pending requests"
        number, now = aggregate.desired.number, self.bench.clock.now
        wanted = image(aggregate.desired, self.bench.store.catalogues[link.provider], now=now)
        differences = self.platforms[link.provider].differences(number, wanted, now)
        assert not differences, f"{number} is not in sync at {link.provider}: {differences}"

    async def _check_requests(self) -> None:
        """Checks that final states do not change, and that the queues of the aggregates contain
        exactly the pending requests.
        """
        rows = await self.bench.store.read(
            lambda queries: queries._select(STATES, *self.subscriptions)  # noqa: SLF001 - a fast query
        )
        stored = {row.number: RequestState(row.state) for row in rows}
        for request, state in self.finals.items():
            assert stored[request] is state, f"{request} was {state.name}"
        waiting = {number for number, state in stored.items() if state is RequestState.PENDING}
        assert waiting == {pending.number for _, pending in await self.pending()}
        self.finals = {n: state for n, state in stored.items() if n not in waiting}


def _goods(there: Subscriber | None) -> set[tuple[str, str]]:
    return {item[1:] for item in there.items} if there else set()
