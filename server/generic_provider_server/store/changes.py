"""The changes of one transaction, on their way into the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..domain.catalogue import Catalogue
from ..domain.records import Lane, ProviderRecord, SubscriptionRecord
from ..domain.values import Instant
from . import statements as sql
from .loading import Cursor, Loaded
from .recent import NO_NAMES, Names, Recent, names_of
from .rows import Row, lane_row, subscription_row


class Changes(Loaded):
    """What was read and changed, and what others are to hear of it.

    `woken`: providers at which something became ready.
    `freed`: by stream, the requests no longer on its leases (new ones count as less than none).
    `ran_out`: by stream, the requests of leases that ran out.
    `settled`: actions that are settled now.
    """

    def __init__(
        self,
        cursor: Cursor,
        *,
        now: Instant,
        providers: dict[str, ProviderRecord],
        catalogues: dict[str, Catalogue],
        counters: dict[str, int],
        recent: Recent,
    ) -> None:
        super().__init__(cursor, now=now, recent=recent)
        self.catalogues = catalogues
        self.counters = dict(counters)
        self.stored_counters = counters
        self.providers = providers
        self.woken: set[str] = set()
        self.settled: set[int] = set()
        self.freed: Counter[str] = Counter()
        self.ran_out: Counter[str] = Counter()
        self._changed: dict[str, Names] = {}
        self._changed_lanes: set[tuple[str, str]] = set()
        self._rows: dict[str, list[Row]] = {}

    def record(self, subscription: str) -> SubscriptionRecord | None:
        if subscription not in self.subscriptions:
            self.load_subscriptions([subscription])
        return self.subscriptions[subscription]

    def lane(self, provider: str, subscription: str) -> Lane:
        found = self.lanes.setdefault(subscription, {}).get(provider)
        return found or Lane(provider=provider, subscription=subscription)

    def flush(self) -> None:
        """Writes every change; the group's transaction goes on."""
        self._put_subscriptions()
        self._put_lanes()
        for statement in sorted(self._rows, key=lambda statement: statement not in sql.ADDING):
            self.cursor.executemany(statement, self._rows[statement])
        changed = [
            (value, name)
            for name, value in self.counters.items()
            if value != self.stored_counters[name]
        ]
        if changed:
            self.cursor.executemany(sql.SET_COUNTER, changed)
            self.stored_counters = dict(self.counters)
        self._rows = {}

    def _write(self, statement: str, row: Row) -> None:
        self._rows.setdefault(statement, []).append(row)

    def _put_subscriptions(self) -> None:
        uses: Counter[tuple[str, str]] = Counter()
        subscriptions, links, reserved, released = [], [], [], []
        for number, names in self._changed.items():
            record = self.subscriptions[number]
            if record is None:
                raise LookupError(f"subscription {number} was changed but not kept")
            aggregate, former = record.aggregate, self.stored.get(number)
            leased = {lane.provider: lane.count for lane in self.lanes.get(number, {}).values()}
            subscriptions.append(subscription_row(record, leased=leased))
            known = {link.provider: link for link in former.links} if former else {}
            for link in aggregate.links:
                old = known.get(link.provider)
                state, account = link.sync_state, link.account_number
                if old is None or (old.sync_state, old.account_number) != (state, account):
                    links.append((number, link.provider, int(state), account))
            old_names = self._stored_names(number)
            reserved += [
                (g.serial_number, g.goods_type, number) for g in names.goods - old_names.goods
            ]
            released += [
                (g.serial_number, g.goods_type, number) for g in old_names.goods - names.goods
            ]
            uses.update(names.uses - old_names.uses)
            uses.subtract(old_names.uses - names.uses)
            self.stored[number], self.names[number] = aggregate, names
        self._executemany(sql.RELEASE, released)
        self._executemany(sql.RESERVE, reserved)
        self._executemany(sql.PUT_SUBSCRIPTION, subscriptions)
        self._executemany(sql.PUT_LINK, links)
        counted = [(*use, count) for use, count in uses.items() if count]
        self._executemany(sql.COUNT_USE, counted)
        self._changed.clear()

    def _stored_names(self, number: str) -> Names:
        stored = self.stored.get(number)
        if stored is None:
            return NO_NAMES
        return self.names.get(number) or names_of(stored)

    def _put_lanes(self) -> None:
        kept, gone = [], []
        for provider, number in self._changed_lanes:
            record = self.subscriptions[number]
            queue = record.aggregate.queue(provider) if record else ()
            if queue:
                lane = self.lanes[number][provider] = self.lane(provider, number)
                kept.append(lane_row(lane, queue, now=self.now))
                self.woken.add(provider)
            elif provider in self.lanes.get(number, {}):
                gone.append((number, provider))
                del self.lanes[number][provider]
        self._executemany(sql.PUT_LANE, kept)
        self._executemany(sql.DROP_LANE, gone)
        self._changed_lanes.clear()

    def _executemany(self, statement: str, rows: Iterable[Row]) -> None:
        rows = list(rows)
        if rows:
            self.cursor.executemany(statement, rows)
