"""Collects the changes of one transaction and writes them to the tables. Also reads single rows
that were not loaded in bulk, and removes old rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sized
from itertools import repeat, takewhile, zip_longest
from typing import Any

from ...domain.audit import AuditEntry
from ...domain.lane import LaneState, ended_delays
from ...domain.subscription.aggregate import Aggregate, Link
from ...domain.subscription.events import Event
from ...domain.subscription.names_used import Use
from ...domain.subscription.records import ActionRecord
from ...domain.subscription.request_records import RequestRecord
from ...domain.values import Goods, Instant
from ..database import statements as sql
from ..database.audit_rows import audit_row
from ..database.bulk import Bulk, Row
from ..database.documents import encode
from ..database.duty_statements import OLD_EVENT
from ..database.engine import Overtaken, Tables
from ..database.event_rows import batched_events
from ..database.number_blocks import Numbers
from ..database.rows import (
    action_of_row,
    first_of,
    item_row,
    lane_row,
    link_row,
    request_of_row,
    searched_of,
    subscription_row,
)
from ..memory.memory import Memory
from ..memory.providers import Providers
from ..memory.subscriptions import LoadedSubscription
from ..notices.notice import Notice
from .archives import Archives
from .loaded import Loaded, Needs
from .resets import Resets
from .work_queries import WorkQueries

READY = int(LaneState.READY)
MOST_DELAYS = 2_000
"""The greatest number of lanes that one transaction makes READY because their delay is over. After
a downtime very many delays may be over, and all other commands wait for the transaction.
"""


class Changes(Loaded):
    """The loaded rows, and the changes that are not written yet.

    `queue`: the commands that wait for the next group. `notice`: the notice that the listeners get
    after the commit. `_changed`: the changed subscriptions. `_taken`: the reservations of items
    that are not written yet. `_rows`: the changed rows by statement and key. If a row is changed
    several times, only the last change is written. `_uses`: by how much the number of uses of each
    part of a provider changes.
    """

    def __init__(
        self,
        tables: Tables,
        numbers: Numbers,
        memory: Memory,
        *,
        providers: Providers,
        queue: Sized,
    ) -> None:
        super().__init__(tables, numbers, memory)
        self._queue = queue
        self.providers, self.catalogues = providers
        self.notice = Notice()
        self.events: list[Event] = []
        self.search = WorkQueries(tables, memory, self.notice, now=self.now, steady=self.steady)
        self.archives = Archives(tables)
        self.resets = Resets(tables, events=self.events)
        self._audited: dict[tuple[int, int], AuditEntry] = {}
        self._changed: dict[str, LoadedSubscription] = {}
        self._taken: dict[Goods, str] = {}
        self._changed_lanes: set[tuple[str, str]] = set()
        self._rows: dict[Bulk, dict[Any, Row]] = {each: {} for each in sql.WRITES}
        self._uses = Counter[Use]()

    def others_wait(self) -> bool:
        """Tells whether commands wait for the next group. If so, a long command that can be
        continued later ends soon.
        """
        return len(self._queue) > 0

    def owner(self, goods: Goods) -> str | None:
        """Returns the subscription for which the item is reserved. An item that this group has
        released counts as free.
        """
        for owner in filter(None, (self._taken.get(goods), self.reserved.get(goods))):
            changed = self._changed.get(owner)
            if not (changed and changed.names) or goods in changed.names.goods:
                return owner
        return None

    def begin(self, needs: Needs) -> None:
        """Prepares for a command. The writer calls this function before each command."""
        self.repeated = False
        if needs.duty or needs.searches:
            self.processed = list(needs.subscriptions)
            self.search.set_aside = self._memory.set_asides.subscriptions(needs.duty, now=self.now)

    def request(self, number: int) -> RequestRecord | None:
        self.flush()
        return first_of(self._tables.select(sql.REQUEST, (number,)), request_of_row)

    def action(self, number: int) -> ActionRecord:
        """Returns an existing action, with the numbers of its requests."""
        self.flush()
        actions = self._tables.select(sql.ACTION, (number,))
        if not actions:
            raise Overtaken(f"action {number} was archived in the meantime")
        found = self._tables.select(sql.REQUESTS_OF_ACTION, (actions[0].subscription, number))
        return action_of_row(actions[0], requests=tuple([request.number for request in found]))

    def handed_over_after(self, record: RequestRecord) -> list[RequestRecord]:
        """Returns the requests of the same lane that follow the request and were handed over.
        Leaves out requests whose first lease is still live.
        """
        self.flush()
        place = record.subscription, record.provider, record.unit, record.unit, record.index
        return [request_of_row(row) for row in self._tables.select(sql.LATER_REQUESTS, place)]

    def audit(self, entry: AuditEntry) -> None:
        """Adds the entry to the audit trail, or adds its counts to the entry of the same call."""
        former = self._audited.get(entry.key)
        self._audited[entry.key] = former.plus(entry) if former else entry

    def flush(self) -> None:
        """Writes all collected changes, except those that `finish` writes, so that a query finds
        the changed rows. The rows are sorted, because two processes that lock rows in different
        orders could cause a deadlock.
        """
        self._collect_subscriptions()
        self._collect_lanes()
        for statement, rows in self._rows.items():
            if rows:
                self._tables.write(statement, map(rows.__getitem__, sorted(rows)))
                rows.clear()

    def finish(self) -> None:
        """Writes the counts of uses, the entries of the audit trail, and the events.

        Every process changes the counts and the counter of the event rows, so these are written
        last, and locked only briefly. The counter of the event rows is changed after all other
        rows, so the numbers of event rows ascend in the order of the commits.
        """
        counted = sorted((*use, count) for use, count in self._uses.items() if count)
        rows = [{"provider": code, "thing": thing, "uses": n} for code, thing, n in counted]
        self._tables.write_last(sql.COUNT_USE, rows)
        self.notice.audited.extend(self._audited.values())
        self._tables.write_last(sql.ADD_AUDIT, map(audit_row, self.notice.audited))
        for row in batched_events(self.events):
            self._tables.run_last(sql.NEXT_EVENT, ())
            self._tables.run_last(sql.ADD_EVENT, (self.now, encode(row)))

    def _collect_subscriptions(self) -> None:
        self._collect_items()
        rows = self._rows
        for number, loaded in self._changed.items():
            if loaded.record is None:
                raise LookupError(f"subscription {number} was changed but has no record")
            put = sql.PUT_SUBSCRIPTION if loaded.stored else sql.ADD_SUBSCRIPTION
            rows[put][number] = subscription_row(loaded.record, leased=loaded.leased)
            for old, link in changed_links(loaded.stored, loaded.record.aggregate):
                if put_link := _link_statement(old, link):
                    rows[put_link][number, link.provider] = link_row(number, link)
            if names := loaded.names:
                former = loaded.former_names()
                if names.uses is not former.uses:
                    self._uses.update(names.uses - former.uses)
                    self._uses.subtract(former.uses - names.uses)
            loaded.note_stored()
        self._changed.clear()

    def _collect_items(self) -> None:
        """Collects the items that the changed subscriptions release and reserve."""
        new = set[tuple[Goods, str]]()
        for number, loaded in self._changed.items():
            if loaded.names is None:
                continue
            names, former = loaded.names.goods, loaded.former_names().goods
            if added := names - former:
                # another subscription may have released an item since this subscription named it
                self._take_free(added, number)
                new.update(zip(added, repeat(number)))
            for goods in former - names:
                self._rows[sql.RELEASE][goods, number] = item_row(goods, number)
                if self.reserved.get(goods) == number:
                    del self.reserved[goods]
        # an item that is not taken is tried too: another process may have released it since
        for goods, number in new | self._taken.items():
            taken, named = self._taken.get(goods) == number, self._changed[number].names
            if named and goods in named.goods and self.reserved.get(goods) != number:
                reserve = sql.RESERVE if taken and self._is_asked(goods) else sql.RESERVE_UNASKED
                self._rows[reserve][goods, number] = item_row(goods, number)
                if taken:
                    self.reserved[goods] = number
        self._taken.clear()

    def _take_free(self, goods: Iterable[Goods], subscription: str) -> None:
        """Reserves those of the items that are not reserved for another subscription."""
        for each in goods:
            if self.owner(each) is None:
                self._taken[each] = subscription

    def _is_asked(self, goods: Goods) -> bool:
        """Tells whether a command of the group requests the item, perhaps without its goods type,
        as in Swap Item.
        """
        return not self.asked_goods.isdisjoint((goods, Goods("", goods.serial_number)))

    def uses(self, provider: str) -> dict[str, int]:
        """Returns how many subscriptions and scheduled actions use each part of the provider."""
        uses = Counter(dict(self._tables.select(sql.USES, (provider,))))
        uses.update({thing: n for (code, thing), n in self._uses.items() if code == provider})
        return uses

    def made_ready(self) -> dict[str, list[str]]:
        """Returns for each provider the subscriptions for which this transaction may have made
        requests ready, in the order of the schedule times of their first requests. A provider is
        left out if it had ready lanes before this transaction, or if `flush` has written ready
        lanes: those lanes may be older.
        """
        found = defaultdict[str, list[tuple[Instant, int, str]]](list)
        for provider, number in self._changed_lanes:
            queue = self.existing(number).aggregate.queue(provider)
            is_written = provider in self.notice.ready
            if queue and not is_written and self._memory.scan_starts.is_empty(provider):
                found[provider].append((queue[0].schedule_time, queue[0].number, number))
        return {code: [number for *_, number in sorted(each)] for code, each in found.items()}

    def end_delays(self) -> int:
        """Makes at most MOST_DELAYS lanes READY whose delay has ended, and returns their number."""
        over = list[Any]()
        for times in ended_delays(self.now):
            over += self._tables.select(sql.DELAYS_OVER, (*times, MOST_DELAYS - len(over)))
        places = sorted((row.subscription, row.provider) for row in over)
        rows = [{"subscription": s, "provider": p, "status": READY} for s, p in places]
        self._tables.write(sql.SET_STATUS, rows)
        for row in over:
            self.notice.add_ready(row.provider, row.ready_since)
        return len(over)

    def drop_events(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` rows of events that are older than `before`, oldest first. A row
        whose time is in the future counts as old if an old row follows. No row after a young row
        is removed, because its time is wrong: the clock was behind when the row was written.
        """
        ((found,),) = self._tables.select(OLD_EVENT, (before, before, self.now))
        rows = self._tables.select(sql.OLDEST_EVENTS, (most,)) if found is not None else []
        old = [
            row.number
            for row in takewhile(lambda row: not before <= row.time <= self.now, rows)
            if row.time < before or row.number <= found
        ]
        if old:
            self._tables.run(sql.DROP_EVENTS, (old[-1],))

    def drop_audit(self, *, before: Instant, most: int) -> None:
        """Removes at most `most` audit entries that are older than `before`, oldest first."""
        old = self._tables.select(sql.OLDEST_AUDIT, (before, most))
        self._tables.write(sql.DROP_AUDIT, [{"time": each.time, "call": each.call} for each in old])

    def sign_of(self, server: str) -> int | None:
        """Returns the stored sign of life of the server process, or None if the process is not
        alive and so has no row; on SQLite no process has a row.
        """
        return first_of(self._tables.select(sql.SIGN, (server,)), lambda row: row.seen_time)

    def forget_server(self, server: str, *, sign: int) -> None:
        """Removes the row of the server process if its sign of life is still `sign`."""
        self._tables.run(sql.FORGET_SERVER, (server, sign))

    def _collect_lanes(self) -> None:
        for provider, number in self._changed_lanes:
            loaded = self.loaded[number]
            if queue := loaded.queue(provider):
                lane = loaded.lanes[provider] = loaded.lane(provider)
                row = lane_row(lane, queue, now=self.now)
                self._rows[sql.PUT_LANE][number, provider] = row
                if row["status"] == READY:
                    self.notice.add_ready(provider, queue[0].schedule_time)
            elif loaded.lanes.pop(provider, None):
                gone = {"subscription": number, "provider": provider}
                self._rows[sql.DROP_LANE][number, provider] = gone
        self._changed_lanes.clear()


def changed_links(former: Aggregate | None, aggregate: Aggregate) -> list[tuple[Link | None, Link]]:
    """Returns the changed links, each with the former link, and the new links, each with None. A
    subscription keeps all its links in their order; new links are added at the end.
    """
    changed = []
    for old, link in zip_longest(former.links if former else (), aggregate.links):
        if link is not old:
            changed.append((old, link))
    return changed


def _link_statement(old: Link | None, link: Link) -> Bulk | None:
    """Returns the statement that writes the link, or None if no column of the link has changed."""
    if old is None:
        return sql.PUT_LINK
    before, after = searched_of(old), searched_of(link)
    if before == after:
        return None
    # a statement that sets only `sync_state` leaves the indexes of other columns unchanged
    return sql.SET_SYNC_STATE if before[1:] == after[1:] else sql.PUT_LINK
