"""What one transaction has read: in bulk, each thing once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..domain.aggregate import Aggregate
from ..domain.records import ActionRecord, Lane, RequestRecord, SubscriptionRecord
from ..domain.values import Goods, Instant, Value
from . import statements as sql
from .documents import aggregate_of
from .recent import Names, Recent, Used
from .rows import Row, action_of_row, lane_of, request_of_row


class Cursor(Protocol):
    def execute(self, statement: str, parameters: Sequence[Any] = ..., /) -> Any: ...
    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]], /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Needs(Value, frozen=True, kw_only=True):
    """What a command reads, so that a whole group is loaded with a few statements."""

    subscriptions: frozenset[str] = frozenset()
    goods: frozenset[Goods] = frozenset()
    request_ids: frozenset[str] = frozenset()
    requests: frozenset[int] = frozenset()


class Loaded:
    """Everything that was read, as the commands of the group have changed it since."""

    def __init__(self, cursor: Cursor, *, now: Instant, recent: Recent) -> None:
        self.cursor = cursor
        self.now = now
        self._recent = recent
        self.subscriptions: dict[str, SubscriptionRecord | None] = {}
        self.lanes: dict[str, dict[str, Lane]] = {}
        self.requests: dict[int, RequestRecord | None] = {}
        self.actions: dict[int, ActionRecord] = {}
        self.request_ids: dict[str, tuple[str, bytes]] = {}
        self.reserved: dict[Goods, str] = {}
        self.stored: dict[str, Aggregate | None] = {}
        self.names: dict[str, Names | None] = {}

    def load(self, needs: Sequence[Needs]) -> None:
        self._load_request_ids({i for need in needs for i in need.request_ids})
        self._load_goods({g for need in needs for g in need.goods})
        found = self.load_requests({n for need in needs for n in need.requests})
        numbers = {number for need in needs for number in need.subscriptions}
        self.load_subscriptions(numbers | {record.subscription for record in found})

    def load_subscriptions(self, numbers: Iterable[str]) -> None:
        missing = [
            number
            for number in numbers
            if number not in self.subscriptions and not self._recall(number)
        ]
        for number in missing:
            self.subscriptions[number] = self.stored[number] = None
            self.lanes[number] = {}
        for number, document, create_time, update_time, revision in self._select(
            sql.SUBSCRIPTIONS, missing
        ):
            aggregate = aggregate_of(document)
            self.stored[number] = aggregate
            self.subscriptions[number] = SubscriptionRecord(
                aggregate=aggregate,
                create_time=create_time,
                update_time=update_time,
                revision=revision,
            )
        for row in self._select(sql.LANES, missing):
            lane = lane_of(row)
            self.lanes[lane.subscription][lane.provider] = lane

    def _recall(self, number: str) -> bool:
        used = self._recent.get(number)
        if used is None:
            return False
        self.subscriptions[number] = used.record
        self.stored[number] = used.record.aggregate
        self.lanes[number] = dict(used.lanes)
        self.names[number] = used.names
        return True

    def keep_recent(self) -> None:
        """Once everything is committed."""
        for number, record in self.subscriptions.items():
            if record is not None:
                used = Used(record, self.lanes[number], self.names.get(number))
                self._recent.keep(number, used)

    def load_requests(self, numbers: Iterable[int]) -> list[RequestRecord]:
        missing = [number for number in numbers if number not in self.requests]
        found = [request_of_row(row) for row in self._select(sql.REQUESTS, missing)]
        self.requests.update(dict.fromkeys(missing))
        self.requests.update({record.number: record for record in found})
        return found

    def request(self, number: int) -> RequestRecord | None:
        if number not in self.requests:
            self.load_requests([number])
        return self.requests[number]

    def action(self, number: int) -> ActionRecord:
        """An action that exists, with the numbers of its requests."""
        if number not in self.actions:
            row = self.select(sql.ACTION, (number,))[0]
            numbers = self.select(sql.REQUESTS_OF_ACTION, (row[1], number))
            self.actions[number] = action_of_row(row, tuple([n for (n,) in numbers]))
        return self.actions[number]

    def handed_over_after(self, record: RequestRecord) -> list[RequestRecord]:
        """Requests of the same lane, later in its order, that were answered under a lease."""
        place = record.subscription, record.provider, record.unit, record.unit, record.index
        return [request_of_row(row) for row in self.select(sql.LATER_REQUESTS, place)]

    def select(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        self.cursor.execute(statement, parameters)
        return self.cursor.fetchall()

    def _load_request_ids(self, ids: Iterable[str]) -> None:
        for request_id, created, digest in self._select(sql.REQUEST_IDS, list(ids)):
            self.request_ids[request_id] = created, bytes(digest)

    def _load_goods(self, goods: Iterable[Goods]) -> None:
        serials = list({item.serial_number for item in goods})
        for serial, goods_type, owner in self._select(sql.ITEMS, serials):
            self.reserved.setdefault(Goods(goods_type, serial), owner)

    def _select(self, statement: str, keys: Sequence[Any]) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(keys), sql.MOST_KEYS):
            chunk = keys[start : start + sql.MOST_KEYS]
            marks = ",".join("?" * len(chunk))
            rows.extend(self.select(statement.format(marks), chunk))
        return rows
