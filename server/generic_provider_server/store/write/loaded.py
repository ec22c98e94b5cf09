"""Loads the rows that one transaction needs, in bulk, and keeps them until the transaction ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import MsgspecError

from ...domain.actions import ActionKind, AnyAction
from ...domain.lane import Lane
from ...domain.refusals import Reason, not_found
from ...domain.subscription.names_used import goods_of
from ...domain.subscription.records import ActionRecord, SubscriptionRecord
from ...domain.values import Goods, Value
from ..database import statements as sql
from ..database.engine import Overtaken, Tables
from ..database.number_blocks import Numbers
from ..database.rows import action_of_row, lane_of_row, subscription_of_row
from ..memory.memory import Memory
from ..memory.set_aside import Unprocessable
from ..memory.subscriptions import LoadedSubscription


class Needs(Value, frozen=True, kw_only=True):
    """Declares the rows that a command reads, so that a few statements can load the rows of all
    commands in a group. The object also declares how the command is queued and counted, and from
    which duty a subscription is set aside.

    `searches`: the command searches the tables itself, so it runs after the changes of the other
    commands are written. `set_up`: the command changes providers, so no other process may use
    providers during the transaction. `duty`: the duty from which a subscription is set aside if the
    command cannot process this subscription; empty for the commands of callers, who get the error
    themselves. `for_adapter`: an adapter waits for the command, so it runs before the commands of
    the CRM. `scheduled`: the scheduled actions of the `subscriptions` are read. `kind`: the kind of
    the action that the command performs for a caller; refusals are counted by this kind. `size`:
    the least size of the command; the sum of the sizes in a group is limited.
    """

    searches: bool = False
    duty: str = ""
    set_up: bool = False
    for_adapter: bool = False
    subscriptions: frozenset[str] = frozenset()
    scheduled: bool = False
    goods: frozenset[Goods] = frozenset()
    request_ids: frozenset[str] = frozenset()
    requests: frozenset[int] = frozenset()
    kind: ActionKind | None = None
    size: int = 1


SEARCHES = Needs(searches=True)


class Loaded:
    """The rows that a transaction has loaded, with the changes that the commands of the group have
    made.

    A loaded subscription is locked: no other process can change the subscription before the commit.
    `now` and `steady`: the time of the transaction on the two clocks of the process. `succeeded`:
    for each successful command of a duty, the subscriptions that the command has processed, and the
    duty. `reserved`: the subscription of each reserved item, as far as the items were read or
    written.
    """

    def __init__(self, tables: Tables, numbers: Numbers, memory: Memory) -> None:
        self._tables = tables
        self.numbers = numbers
        self.now = memory.tick()
        self.steady = memory.steady()
        self._memory = memory
        self.loaded: dict[str, LoadedSubscription] = {}
        self.scheduled: dict[str, dict[int, ActionRecord]] = {}
        self.request_ids: dict[str, tuple[str, bytes]] = {}
        self.repeated = False
        self.processed: Sequence[str] = ()
        self.succeeded: list[tuple[Sequence[str], str]] = []
        self.reserved: dict[Goods, str] = {}
        self.asked_goods: set[Goods] = set()

    @property
    def is_alive(self) -> bool:
        """Tells whether the last sign of life is so fresh that this process may give leases."""
        return self._memory.life.is_fresh()

    def load(self, needs: Sequence[Needs]) -> None:
        """Loads the rows that the commands need.

        Request ids are loaded last, so that a transaction that sees a change of another process
        also sees the request id of that change.
        """
        numbers = set[str]().union(*[need.subscriptions for need in needs])
        requests = set[int]().union(*[need.requests for need in needs])
        owners = self._tables.select_in(sql.SUBSCRIPTIONS_OF_REQUESTS, list(requests))
        found = self._load_missing(numbers.union([number for (number,) in owners]))
        scheduled = [need.subscriptions for need in needs if need.scheduled]
        due = self._load_scheduled(set[str]().union(*scheduled))
        self.asked_goods = set[Goods]().union(*[n.goods for n in needs], *map(goods_of, due))
        self._load_goods(self.asked_goods)
        self.load_request_ids(set[str]().union(*[need.request_ids for need in needs]))
        self._end_overdue(found)

    def load_request_ids(self, ids: Iterable[str]) -> None:
        """Loads request ids. Call this function again after locking a row that `load` has not
        locked: before the lock, another process may have used the request id in a change of the
        row.
        """
        for row in self._tables.select_in(sql.REQUEST_IDS, list(ids)):
            self.request_ids[row.id] = row.created, bytes(row.digest)

    def load_free(self, numbers: Iterable[str]) -> list[str]:
        """Loads the existing subscriptions that no other process is changing, and returns their
        numbers. Leaves out a subscription that another process has created after this transaction
        had looked for it in vain.
        """
        numbers = list(numbers)
        self._end_overdue(self._load_missing(numbers, free=True))
        loaded = self.loaded
        return [number for number in numbers if number in loaded and loaded[number].record]

    def record(self, number: str) -> SubscriptionRecord | None:
        """Returns the subscription, or None if there is none. If the subscription is not loaded
        yet, loads it, and waits for another process that is changing it.
        """
        if number not in self.loaded:
            self._end_overdue(self._load_missing([number]))
        return self.loaded[number].record

    def subscription(self, number: str) -> SubscriptionRecord:
        """Returns the subscription. Raises Refused if there is no such subscription."""
        record = self.record(number)
        if record is None:
            raise not_found(Reason.SUBSCRIPTION_NOT_FOUND, number)
        return record

    def existing(self, number: str) -> SubscriptionRecord:
        """Returns a subscription that must exist, because this transaction has found its lane or
        its action. Raises Overtaken, so that the writer runs the group again, if this transaction
        did not find the subscription earlier: another process has created it since.
        """
        record = self.record(number)
        if record is None:
            raise Overtaken(f"subscription {number} was created in the meantime")
        return record

    def lane(self, provider: str, subscription: str) -> Lane:
        return self.loaded[subscription].lane(provider)

    def one_by_one(self, numbers: Iterable[str]) -> Iterator[str]:
        """Yields the numbers, and records which subscription the command is processing."""
        self.processed = processed = list[str]()
        for number in numbers:
            processed.append(number)
            yield number

    def _end_overdue(self, numbers: Iterable[str]) -> None:
        """Ends the leases that ran out, as soon as their subscriptions are loaded."""
        raise NotImplementedError

    def _load_missing(self, numbers: Iterable[str], *, free: bool = False) -> list[str]:
        """Loads the subscriptions that are not loaded yet, and returns their numbers. If `free` is
        true, leaves out subscriptions that another process is changing; otherwise waits for them.

        If no other process may use the database, every cached subscription is used. Otherwise the
        subscriptions are locked, and a cached subscription is used only if its revision is current.
        Its lanes are loaded nevertheless, because a lane can change without a new revision of its
        subscription.
        """
        loaded, recent = self.loaded, self._memory.subscriptions
        missing = [number for number in numbers if number not in loaded]
        kept = {number: each for number in missing if (each := recent.get(number))}
        if self._memory.shared:
            rows = self._lock(missing, kept, free=free)
            if free:
                missing = [row.number for row in rows]
            read = missing
        else:
            loaded.update(kept)
            read = [number for number in missing if number not in kept]
            rows = self._tables.select_in(sql.SUBSCRIPTIONS, read)
        for number in read:
            loaded[number] = LoadedSubscription(number)
        for row in rows:
            if row.document is None:  # the cached subscription is current
                loaded[row.number] = kept[row.number]
                kept[row.number].lanes.clear()
                continue
            try:
                loaded[row.number].record = subscription_of_row(row)
            except MsgspecError as error:
                raise Unprocessable(row.number) from error
            loaded[row.number].note_stored()
        for row in self._tables.select_in(sql.LANES, read):
            lane = lane_of_row(row)
            loaded[lane.subscription].lanes[lane.provider] = lane
        return missing

    def _lock(
        self, numbers: list[str], kept: Mapping[str, LoadedSubscription], *, free: bool
    ) -> list[Any]:
        """Locks the subscriptions, and returns their rows. The row of a cached subscription whose
        revision is current has no document.

        Numbers that this transaction reserved before the lock are not used any more, because other
        processes may have given greater numbers to actions and requests of these subscriptions.
        """
        if not numbers:
            return []
        # transactions that lock subscriptions in the same order cannot block each other for ever
        ordered = sorted(numbers)
        revisions = [kept[each].revision if each in kept else None for each in ordered]
        rows = self._tables.select(sql.LOCK_FREE if free else sql.LOCK, (ordered, revisions))
        if rows:
            self.numbers.drop_spare()
        return rows

    def first_due(self, subscription: str) -> ActionRecord | None:
        """Returns the scheduled action that has been due longest, or None if none is due."""
        due = [each for each in self.scheduled[subscription].values() if self._is_due(each)]
        return min(due, key=lambda each: (each.due_time or 0, each.id), default=None)

    def _is_due(self, action: ActionRecord) -> bool:
        return action.due_time is not None and action.due_time <= self.now

    def _load_scheduled(self, subscriptions: Collection[str]) -> list[AnyAction]:
        """Loads the scheduled actions of the subscriptions, and returns those that are due."""
        self.scheduled.update({number: {} for number in subscriptions})
        for row in self._tables.select_in(sql.SCHEDULED, list(subscriptions)):
            try:
                self.scheduled[row.subscription][row.id] = action_of_row(row, requests=())
            except MsgspecError as error:
                raise Unprocessable(row.subscription) from error
        found = [each for actions in self.scheduled.values() for each in actions.values()]
        return [each.action for each in found if each.action and self._is_due(each)]

    def _load_goods(self, goods: Iterable[Goods]) -> None:
        serials = list({item.serial_number for item in goods})
        for row in self._tables.select_in(sql.ITEMS, serials):
            self.reserved.setdefault(Goods(row.goods_type, row.serial_number), row.subscription)
