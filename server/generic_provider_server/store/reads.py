"""Questions to the committed state; each runs on a reader's thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from peewee import SQL, Database, Expression, fn

from ..domain.records import (
    ActionRecord,
    RequestRecord,
    SubscriptionRecord,
    WaitingFor,
)
from ..domain.values import Instant, RequestState, RequestType, State, SyncState, Value
from .documents import aggregate_of, encode
from .models import (
    DELAYED,
    LEASED,
    ActionRow,
    ItemRow,
    LaneRow,
    LinkRow,
    RequestIdRow,
    RequestRow,
    SubscriptionRow,
)
from .rows import action_of_row, request_of_row
from .writer import Known


class SubscriptionFilter(Value, frozen=True, kw_only=True):
    provider: str = ""
    type: str = ""
    states: tuple[State, ...] = ()
    sync_states: tuple[SyncState, ...] = ()
    created_from: Instant | None = None
    created_to: Instant | None = None
    item_serial: str = ""
    account_number: str = ""
    holder_number: str = ""


class ActionFilter(Value, frozen=True, kw_only=True):
    subscription: str = ""
    reference: str = ""
    kinds: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    performed_by: str = ""
    created_from: Instant | None = None
    created_to: Instant | None = None


class RequestFilter(Value, frozen=True, kw_only=True):
    provider: str = ""
    subscription: str = ""
    account_number: str = ""
    types: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    origins: tuple[int, ...] = ()
    action: int = 0
    reference: str = ""
    last_adapter: str = ""
    error_code: str = ""
    item_serial: str = ""
    created_from: Instant | None = None
    created_to: Instant | None = None
    settled_from: Instant | None = None
    settled_to: Instant | None = None
    oldest_first: bool = False


class Backlog(Value, frozen=True, kw_only=True):
    """What is pending at a provider; `by_age`: (up to microseconds, None = all; count)."""

    pending: int
    leased: int
    waiting_for_retry: int
    blocked_subscriptions: int
    oldest: RequestRecord | None
    oldest_age: int
    by_type: tuple[tuple[RequestType, int], ...]
    by_age: tuple[tuple[int | None, int], ...]
    out_of_sync_subscriptions: int


class Due(Value, frozen=True, kw_only=True):
    """What the clock has to do at `now`; `overdue`: providers with requests past their window."""

    now: Instant
    leases: bool
    retries: bool
    overdue: tuple[str, ...]
    subscriptions: tuple[str, ...]


MINUTE = 60_000_000
MOST_DUE = 200
AGES = (MINUTE, 10 * MINUTE, 60 * MINUTE, 1_440 * MINUTE)


class Reads:
    def __init__(self, database: Database, known: Known) -> None:
        self._database = database
        self._known = known

    def subscription(self, number: str) -> SubscriptionRecord | None:
        found = self._subscriptions(SubscriptionRow.number == number, limit=1)
        return found[0] if found else None

    def subscriptions(
        self, wanted: SubscriptionFilter, *, after: str, limit: int
    ) -> list[SubscriptionRecord]:
        """In the order of their numbers, those behind `after`."""
        conditions: list[Expression] = [SubscriptionRow.number > after]
        conditions += _equal(
            (
                (SubscriptionRow.type, wanted.type),
                (SubscriptionRow.holder_number, wanted.holder_number),
            )
        )
        conditions += _period(SubscriptionRow.create_time, wanted.created_from, wanted.created_to)
        if wanted.states:
            conditions.append(SubscriptionRow.state.in_([int(s) for s in wanted.states]))
        if wanted.item_serial:
            owners = ItemRow.select(ItemRow.subscription).where(
                ItemRow.serial_number == wanted.item_serial
            )
            conditions.append(SubscriptionRow.number.in_(owners))
        if links := _link_conditions(wanted):
            linked = LinkRow.select(LinkRow.subscription).where(*links)
            conditions.append(SubscriptionRow.number.in_(linked))
        return self._subscriptions(*conditions, limit=limit)

    def action(self, action: int) -> ActionRecord | None:
        found = self._actions(ActionRow.select().where(ActionRow.id == action))
        return found[0] if found else None

    def created_by(self, request_id: str) -> str | None:
        """What a call with that `request_id` created."""
        query = RequestIdRow.select(RequestIdRow.created).where(RequestIdRow.id == request_id)
        rows = self._rows(query)
        return str(rows[0][0]) if rows else None

    def actions(self, wanted: ActionFilter, *, before: int, limit: int) -> list[ActionRecord]:
        """The newest first, those before the id `before` (0: from the newest)."""
        conditions: list[Any] = [ActionRow.id < before] if before else []
        texts = (
            (ActionRow.subscription, wanted.subscription),
            (ActionRow.reference, wanted.reference),
            (ActionRow.performed_by, wanted.performed_by),
        )
        conditions += _equal(texts)
        conditions += _any_of(((ActionRow.kind, wanted.kinds), (ActionRow.state, wanted.states)))
        conditions += _period(ActionRow.create_time, wanted.created_from, wanted.created_to)
        query = ActionRow.select().where(*conditions) if conditions else ActionRow.select()
        return self._actions(query.order_by(ActionRow.id.desc()).limit(limit))

    def request(self, number: int) -> RequestRecord | None:
        found = self._requests(RequestRow.select().where(RequestRow.number == number))
        return found[0] if found else None

    def requests_of(self, numbers: Iterable[int]) -> list[RequestRecord]:
        query = RequestRow.select().where(RequestRow.number.in_(list(numbers)))
        return self._requests(query.order_by(RequestRow.number))

    def requests(self, wanted: RequestFilter, *, after: int, limit: int) -> list[RequestRecord]:
        """Newest or oldest first, those behind the number `after` (0: from the end)."""
        conditions = _request_conditions(wanted)
        number = RequestRow.number
        if after:
            conditions.append(number > after if wanted.oldest_first else number < after)
        query = RequestRow.select()
        if conditions:
            query = query.where(*conditions)
        order = number.asc() if wanted.oldest_first else number.desc()
        return self._requests(query.order_by(order).limit(limit))

    def backlog(self, provider: str) -> Backlog:
        mine = LaneRow.provider == provider
        now = self._known.now()
        row = self._rows(
            LaneRow.select(
                fn.COALESCE(fn.SUM(LaneRow.pending), 0),
                fn.COALESCE(fn.SUM(LaneRow.count), 0),
                fn.COALESCE(fn.SUM(LaneRow.status == DELAYED), 0),
                fn.COALESCE(fn.SUM((LaneRow.status != 0) & (LaneRow.pending > LaneRow.count)), 0),
                fn.MIN(LaneRow.age),
            ).where(mine)
        )[0]
        pending = (RequestRow.provider == provider) & SQL("state = 1")
        oldest = self._requests(
            RequestRow.select().where(pending).order_by(RequestRow.create_time).limit(1)
        )
        by_type = self._rows(
            RequestRow.select(RequestRow.type, fn.COUNT(RequestRow.number))
            .where(pending)
            .group_by(RequestRow.type)
        )
        return Backlog(
            pending=row[0],
            leased=row[1],
            waiting_for_retry=row[2],
            blocked_subscriptions=row[3],
            oldest=oldest[0] if oldest else None,
            oldest_age=max(0, now - row[4]) if row[4] is not None else 0,
            by_type=tuple((RequestType(kind), count) for kind, count in by_type),
            by_age=self._by_age(pending, now),
            out_of_sync_subscriptions=self._count(
                (LinkRow.provider == provider) & (LinkRow.sync_state == SyncState.OUT_OF_SYNC)
            ),
        )

    def due(self) -> Due:
        now = self._known.now()
        leased = LaneRow.select(LaneRow.subscription).where(
            SQL("status = 1"), LaneRow.lease_until <= now
        )
        delayed = LaneRow.select(LaneRow.subscription).where(
            SQL("status = 2"), LaneRow.ready_time <= now
        )
        ends = (
            SubscriptionRow.select(SubscriptionRow.number)
            .where(SQL("due_time IS NOT NULL"), SubscriptionRow.due_time <= now)
            .order_by(SubscriptionRow.due_time)
            .limit(MOST_DUE)
        )
        return Due(
            now=now,
            leases=bool(self._rows(leased.limit(1))),
            retries=bool(self._rows(delayed.limit(1))),
            overdue=tuple([code for code in self._known.catalogues if self._overdue(code, now)]),
            subscriptions=tuple([number for (number,) in self._rows(ends)]),
        )

    def _overdue(self, provider: str, now: Instant) -> bool:
        settings = self._known.catalogues[provider].provider.delivery_settings
        oldest = (
            RequestRow.select(RequestRow.create_time)
            .where(RequestRow.provider == provider, SQL("state = 1"))
            .order_by(RequestRow.create_time)
            .limit(1)
        )
        return any(time < now - settings.pending_window for (time,) in self._rows(oldest))

    def oldest_leases(self, streams: Sequence[str]) -> dict[str, Instant]:
        """When the oldest live lease of each of these streams was given."""
        query = (
            LaneRow.select(LaneRow.stream, fn.MIN(LaneRow.lease_start))
            .where(SQL("status = 1"), LaneRow.stream.in_(list(streams)))
            .group_by(LaneRow.stream)
        )
        return {stream: Instant(start) for stream, start in self._rows(query)}

    def backlog_size(self, provider: str) -> tuple[int, int]:
        """How many requests are pending, and the age of the oldest in microseconds."""
        query = LaneRow.select(fn.COALESCE(fn.SUM(LaneRow.pending), 0), fn.MIN(LaneRow.age)).where(
            LaneRow.provider == provider
        )
        pending, oldest = self._rows(query)[0]
        return pending, max(0, self._known.now() - oldest) if oldest is not None else 0

    def _by_age(self, pending: Expression, now: int) -> tuple[tuple[int | None, int], ...]:
        counts = []
        younger = now + 1
        for age in (*AGES, None):
            condition = pending & (RequestRow.create_time < younger)
            if age is not None:
                condition &= RequestRow.create_time >= now - age
                younger = now - age
            counts.append(
                (
                    age,
                    self._rows(RequestRow.select(fn.COUNT(RequestRow.number)).where(condition))[0][
                        0
                    ],
                )
            )
        return tuple(counts)

    def _count(self, condition: Expression) -> int:
        query = LinkRow.select(fn.COUNT(LinkRow.subscription)).where(condition)
        return int(self._rows(query)[0][0])

    def _rows(self, query: Any) -> list[Sequence[Any]]:
        return list(query.tuples().execute(self._database))

    def _subscriptions(self, *conditions: Expression, limit: int) -> list[SubscriptionRecord]:
        query = (
            SubscriptionRow.select(
                SubscriptionRow.document,
                SubscriptionRow.create_time,
                SubscriptionRow.update_time,
                SubscriptionRow.revision,
            )
            .where(*conditions)
            .order_by(SubscriptionRow.number)
            .limit(limit)
        )
        return [
            SubscriptionRecord(
                aggregate=aggregate_of(bytes(document)),
                create_time=created,
                update_time=updated,
                revision=revision,
            )
            for document, created, updated, revision in self._rows(query)
        ]

    def _actions(self, query: Any) -> list[ActionRecord]:
        rows = self._rows(query)
        subscriptions = {row[1] for row in rows}
        actions = {row[0] for row in rows}
        numbers: dict[int, list[int]] = {}
        created = RequestRow.select(RequestRow.action, RequestRow.number).where(
            RequestRow.subscription.in_(list(subscriptions)), RequestRow.action.in_(list(actions))
        )
        for action, number in self._rows(created.order_by(RequestRow.number)) if rows else ():
            numbers.setdefault(action, []).append(number)
        return [action_of_row(row, tuple(numbers.get(row[0], ()))) for row in rows]

    def _requests(self, query: Any) -> list[RequestRecord]:
        records = [request_of_row(row) for row in self._rows(query)]
        places = {r.subscription for r in records}
        lanes: dict[tuple[str, str], Sequence[Any]] = {}
        accounts: dict[tuple[str, str], str] = {}
        if records:
            accounts = {
                (row[0], row[1]): row[2]
                for row in self._rows(
                    LinkRow.select(
                        LinkRow.provider, LinkRow.subscription, LinkRow.account_number
                    ).where(LinkRow.subscription.in_(list(places)))
                )
            }
            lanes = {
                (row[0], row[1]): row
                for row in self._rows(
                    LaneRow.select(
                        LaneRow.provider,
                        LaneRow.subscription,
                        LaneRow.status,
                        LaneRow.head,
                        LaneRow.head_unit,
                        LaneRow.ready_time,
                        LaneRow.unit,
                        LaneRow.first,
                        LaneRow.last,
                        LaneRow.adapter,
                        LaneRow.lease_start,
                    ).where(LaneRow.subscription.in_(list(places)))
                )
            }
        return [
            self._shown(
                replace(r, account_number=accounts.get((r.provider, r.subscription), "")),
                lanes.get((r.provider, r.subscription)),
            )
            for r in records
        ]

    def _shown(self, record: RequestRecord, lane: Sequence[Any] | None) -> RequestRecord:
        """A pending request with what it waits for."""
        if record.state is not RequestState.PENDING or lane is None:
            return record
        status, head, head_unit, ready_time, unit, first, last, adapter, start = lane[2:]
        leased = status == LEASED and record.unit == unit and first <= record.index <= last
        if leased:
            return replace(
                record,
                waiting_for=WaitingFor.ANSWER,
                attempts=record.attempts + 1,
                last_adapter=adapter,
                last_delivery_time=start,
            )
        if not self._known.catalogues[record.provider].effective:
            return replace(record, waiting_for=WaitingFor.PROVIDER)
        if record.unit != head_unit or (status != 0 and record.number != head):
            return replace(record, waiting_for=WaitingFor.EARLIER_REQUEST)
        if ready_time > self._known.now():
            return replace(record, waiting_for=WaitingFor.RETRY, next_delivery_time=ready_time)
        return replace(record, waiting_for=WaitingFor.ADAPTER)


def _period(column: Any, start: Instant | None, end: Instant | None) -> list[Expression]:
    conditions = [] if start is None else [column >= start]
    return conditions if end is None else [*conditions, column < end]


def _equal(pairs: Iterable[tuple[Any, object]]) -> list[Expression]:
    return [column == value for column, value in pairs if value]


def _any_of(pairs: Iterable[tuple[Any, Sequence[int]]]) -> list[Expression]:
    return [column.in_([int(v) for v in values]) for column, values in pairs if values]


def _link_conditions(wanted: SubscriptionFilter) -> list[Expression]:
    conditions: list[Expression] = []
    if wanted.provider:
        conditions.append(LinkRow.provider == wanted.provider)
    if wanted.sync_states:
        conditions.append(LinkRow.sync_state.in_([int(s) for s in wanted.sync_states]))
    if wanted.account_number:
        conditions.append(LinkRow.account_number == wanted.account_number)
    return conditions


def _request_conditions(wanted: RequestFilter) -> list[Expression]:
    texts = (
        (RequestRow.provider, wanted.provider),
        (RequestRow.subscription, wanted.subscription),
        (RequestRow.action, wanted.action),
        (RequestRow.reference, wanted.reference),
        (RequestRow.last_adapter, wanted.last_adapter),
        (RequestRow.error_code, wanted.error_code),
    )
    numbers = (
        (RequestRow.type, wanted.types),
        (RequestRow.state, wanted.states),
        (RequestRow.origin, wanted.origins),
    )
    conditions = _equal(texts) + _any_of(numbers)
    if wanted.account_number:
        linked = LinkRow.select(LinkRow.subscription).where(
            LinkRow.account_number == wanted.account_number
        )
        conditions.append(RequestRow.subscription.in_(linked))
    if wanted.item_serial:
        named = f'"serial_number":{encode(wanted.item_serial).decode()}'
        conditions.append(RequestRow.document.cast("TEXT").contains(named))
    conditions += _period(RequestRow.create_time, wanted.created_from, wanted.created_to)
    return conditions + _period(RequestRow.settle_time, wanted.settled_from, wanted.settled_to)
