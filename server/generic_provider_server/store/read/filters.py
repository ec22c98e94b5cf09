"""Defines the filters of lists, and their SQL conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from peewee import SQL, Expression, Field, fn

from ...domain.lane import LaneState
from ...domain.subscription.records import ActionState
from ...domain.values import Instant, RequestState, State, SyncState, Value
from ..database.documents import encode
from ..database.models import ActionRow, ItemRow, LaneRow, LinkRow, RequestRow, SubscriptionRow


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

    def scans(self) -> bool:
        """Tells whether the filter has no suitable index, so that the query examines many rows."""
        out_of_sync = self.sync_states == (SyncState.OUT_OF_SYNC,)
        indexed = self.item_serial or self.account_number or self.holder_number or out_of_sync
        return not indexed and self != SubscriptionFilter()


class ActionFilter(Value, frozen=True, kw_only=True):
    subscription: str = ""
    reference: str = ""
    kinds: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    performed_by: str = ""
    created_from: Instant | None = None
    created_to: Instant | None = None

    def scans(self) -> bool:
        """Tells whether the filter has no suitable index, so that the query examines many rows."""
        scheduled = self.states == (ActionState.SCHEDULED,)
        return not (self.subscription or self.reference or scheduled) and self != ActionFilter()


class RequestFilter(Value, frozen=True, kw_only=True):
    provider: str = ""
    subscription: str = ""
    account_number: str = ""
    types: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    origins: tuple[int, ...] = ()
    action: int = 0
    reset_run: int = 0
    reference: str = ""
    last_adapter: str = ""
    error_code: str = ""
    item_serial: str = ""
    created_from: Instant | None = None
    created_to: Instant | None = None
    settled_from: Instant | None = None
    settled_to: Instant | None = None
    oldest_first: bool = False

    def scans(self) -> bool:
        """Tells whether the filter has no suitable index, so that the query examines many rows.

        The index of pending requests suits a filter only if the query does not have to read much of
        each request, because very many requests may be pending.
        """
        named = self.subscription or self.account_number or self.reference
        if named or self.action or self.reset_run:
            return False
        if self.item_serial or self.error_code or self.last_adapter:
            return True
        everything = RequestFilter(oldest_first=self.oldest_first)
        return not self.only_pending and self != everything

    @property
    def only_pending(self) -> bool:
        return self.states == (RequestState.PENDING,)


def subscription_conditions(
    wanted: SubscriptionFilter, *, after: str, until: str | None
) -> list[Expression]:
    """Returns the conditions of the filter, for the numbers after `after`. `until`: the last number
    that the query examines.
    """
    conditions: list[Any] = _between(SubscriptionRow.number, after, until)
    conditions += _equal(((SubscriptionRow.type, wanted.type),))
    conditions += _named(SubscriptionRow.holder_number, wanted.holder_number)
    conditions += _any_of(((SubscriptionRow.state, wanted.states),))
    conditions += _period(SubscriptionRow.create_time, wanted.created_from, wanted.created_to)
    if wanted.item_serial:
        owners = ItemRow.select(ItemRow.subscription).where(
            ItemRow.serial_number == wanted.item_serial
        )
        conditions.append(SubscriptionRow.number.in_(owners))
    if links := _link_conditions(wanted, after=after, until=until):
        if wanted.scans():
            # With IN, SQLite would first collect all links that fulfil these conditions. Without
            # the limits, PostgreSQL would read the links of all subscriptions.
            links += _between(LinkRow.subscription, after, until)
            links.append(LinkRow.subscription == SubscriptionRow.number)
            conditions.append(fn.EXISTS(LinkRow.select(SQL("1")).where(*links)))
        else:
            linked = LinkRow.select(LinkRow.subscription).where(*links)
            conditions.append(SubscriptionRow.number.in_(linked))
    return conditions


def action_conditions(wanted: ActionFilter) -> list[Expression]:
    texts = (
        (ActionRow.subscription, wanted.subscription),
        (ActionRow.performed_by, wanted.performed_by),
    )
    conditions: list[Any] = _equal(texts) + _any_of(((ActionRow.kind, wanted.kinds),))
    conditions += _named(ActionRow.reference, wanted.reference)
    if wanted.states == (ActionState.SCHEDULED,):
        # a subquery, because SQLite would otherwise read all actions in the order of their ids
        waiting = ActionRow.select(ActionRow.id).where(SQL("due_time IS NOT NULL"), *_equal(texts))
        conditions.append(ActionRow.id.in_(waiting))
    else:
        conditions += _any_of(((ActionRow.state, wanted.states),))
    return conditions + _period(ActionRow.create_time, wanted.created_from, wanted.created_to)


def request_conditions(
    wanted: RequestFilter, *, contains: Callable[[Field, str], Any]
) -> list[Expression]:
    """Returns the conditions of the filter.

    `contains` returns the condition that a column of bytes contains a text, in the SQL of this
    database.
    """
    texts = (
        (RequestRow.provider, wanted.provider),
        (RequestRow.subscription, wanted.subscription),
        (RequestRow.action, wanted.action),
        (RequestRow.error_code, wanted.error_code),
    )
    numbers = (RequestRow.type, wanted.types), (RequestRow.origin, wanted.origins)
    conditions: list[Any] = _equal(texts) + _any_of(numbers)
    conditions += _named(RequestRow.reference, wanted.reference)
    if wanted.only_pending:
        conditions.append(SQL("state = 1"))  # a literal, so that the partial index is used
    else:
        conditions += _any_of(((RequestRow.state, wanted.states),))
    if wanted.action:
        # the requests of an action have an index only by their subscription
        owner = ActionRow.select(ActionRow.subscription).where(ActionRow.id == wanted.action)
        conditions.append(RequestRow.subscription.in_(owner))
    if wanted.reset_run:
        conditions.append(RequestRow.reset_run == wanted.reset_run)
        # without this condition, the database would not use the partial index of these requests
        conditions.append(RequestRow.reset_run != SQL("0"))
    if wanted.last_adapter:
        conditions.append(_last_had_by(wanted.last_adapter))
    if wanted.account_number:
        conditions += _of_account(wanted.account_number)
    if wanted.item_serial:
        named = f'"serial_number":{encode(wanted.item_serial).decode()}'
        conditions.append(contains(RequestRow.document, named))
    conditions += _period(RequestRow.create_time, wanted.created_from, wanted.created_to)
    return conditions + _period(RequestRow.settle_time, wanted.settled_from, wanted.settled_to)


def _last_had_by(adapter: str) -> Any:
    """Returns the condition that the adapter has the request on a live lease, or, if no lease is
    live, was the last adapter that had the request.
    """
    leased = _on_lease()
    in_work = fn.EXISTS(leased.where(LaneRow.adapter == adapter))
    return in_work | (RequestRow.last_adapter == adapter) & ~fn.EXISTS(leased)


def _of_account(number: str) -> list[Any]:
    """Returns the conditions that select the requests whose subscription has this account number
    at the provider of the request.
    """
    has_it = _named(LinkRow.account_number, number)
    subscriptions = LinkRow.select(LinkRow.subscription).where(*has_it)
    # at other providers, the subscription has other account numbers
    link = LinkRow.select(SQL("1")).where(
        LinkRow.subscription == RequestRow.subscription,
        LinkRow.provider == RequestRow.provider,
        *has_it,
    )
    return [RequestRow.subscription.in_(subscriptions), fn.EXISTS(link)]


def _on_lease() -> Any:
    """Returns the query that finds a row if a request is on a live lease."""
    return LaneRow.select(SQL("1")).where(
        RequestRow.state == int(RequestState.PENDING),
        LaneRow.subscription == RequestRow.subscription,
        LaneRow.provider == RequestRow.provider,
        LaneRow.status == int(LaneState.LEASED),
        LaneRow.unit == RequestRow.unit,
        RequestRow.position.between(LaneRow.first, LaneRow.last),
    )


def _link_conditions(wanted: SubscriptionFilter, *, after: str, until: str | None) -> list[Any]:
    conditions: list[Any] = []
    if wanted.provider:
        conditions.append(LinkRow.provider == wanted.provider)
    if wanted.sync_states == (SyncState.OUT_OF_SYNC,):
        conditions.append(SQL("sync_state = 3"))  # a literal, so that the partial index is used
    elif wanted.sync_states:
        # without the limits, PostgreSQL may read all lanes
        lanes = _between(LaneRow.subscription, after, until)
        conditions.append(_in_states(set(wanted.sync_states), lanes=lanes))
    return conditions + _named(LinkRow.account_number, wanted.account_number)


def _in_states(states: set[SyncState], *, lanes: Sequence[Expression]) -> Any:
    """Returns the condition for these sync states. `lanes`: conditions that all lanes of the page
    fulfil.

    The column `sync_state` does not distinguish PENDING from IN_SYNC. A PENDING link has a lane,
    because requests are pending; an IN_SYNC link has no lane.
    """
    lane = LaneRow.select().where(
        LaneRow.subscription == LinkRow.subscription, LaneRow.provider == LinkRow.provider, *lanes
    )
    alternatives: list[Any] = []
    synchronised = LinkRow.sync_state != int(SyncState.OUT_OF_SYNC)
    if SyncState.OUT_OF_SYNC in states:
        alternatives.append(LinkRow.sync_state == int(SyncState.OUT_OF_SYNC))
    if SyncState.PENDING in states:
        alternatives.append(synchronised & fn.EXISTS(lane))
    if SyncState.IN_SYNC in states:
        alternatives.append(synchronised & ~fn.EXISTS(lane))
    return reduce(or_, alternatives)


def _between(number: Any, after: str, until: str | None) -> list[Expression]:
    return [number > after] if until is None else [number > after, number <= until]


def _period(column: Any, start: Instant | None, end: Instant | None) -> list[Expression]:
    conditions = [] if start is None else [column >= start]
    return conditions if end is None else [*conditions, column < end]


def _equal(pairs: Iterable[tuple[Any, object]]) -> list[Expression]:
    return [column == value for column, value in pairs if value]


def _named(column: Any, value: str) -> list[Expression]:
    """Returns conditions on a column whose partial index contains only non-empty values.

    The second condition repeats that the value is not empty, so that the database uses the index.
    """
    return [column == value, column != SQL("''")] if value else []


def _any_of(pairs: Iterable[tuple[Any, Sequence[int]]]) -> list[Expression]:
    return [column.in_([int(v) for v in values]) for column, values in pairs if values]
