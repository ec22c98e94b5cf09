"""Contains the queries of the committed state. The queries run on the threads of `Readers`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import MsgspecError
from peewee import SQL, Expression, Field, PostgresqlDatabase, fn

from ...domain.subscription.records import ActionRecord, SubscriptionRecord
from ...domain.subscription.request_records import RequestRecord
from ...domain.values import Instant
from ..database import statements as sql
from ..database.models import ActionRow, LinkRow, RequestIdRow, RequestRow, SubscriptionRow
from ..database.rows import action_of_row, first_of, subscription_of_row
from .archivable import Archivable
from .archives import ArchiveQueries
from .audit import AuditQueries
from .duties import DutyQueries
from .events import EventQueries
from .filters import (
    ActionFilter,
    RequestFilter,
    SubscriptionFilter,
    action_conditions,
    request_conditions,
    subscription_conditions,
)
from .gauges import GaugeQueries
from .resets import ResetReads

NUMBER = re.compile("[0-9]{1,18}")


class Queries(
    ResetReads, DutyQueries, ArchiveQueries, Archivable, AuditQueries, EventQueries, GaugeQueries
):
    def subscription(self, number: str) -> SubscriptionRecord | None:
        return first_of(self._select(sql.SUBSCRIPTION, number), subscription_of_row)

    def subscriptions(
        self, wanted: SubscriptionFilter, *, after: str, limit: int, until: str | None = None
    ) -> list[SubscriptionRecord]:
        """Returns the subscriptions after the number `after`, in the order of their numbers.

        `until`: the last number that the query examines.
        """
        conditions = subscription_conditions(wanted, after=after, until=until)
        found = SubscriptionRow.select().where(*conditions).order_by(SubscriptionRow.number)
        return [subscription_of_row(row) for row in self._rows(found.limit(limit))]

    def end_of_subscriptions(self, wanted: SubscriptionFilter, *, after: str) -> str | None:
        """Returns the number of the last subscription that the query for one page examines; None if
        the query examines all later subscriptions.
        """
        if not wanted.scans():
            return None
        number = SubscriptionRow.number
        last: str | None = self._last_examined(number, [number > after], number.asc())
        return last

    def linked(self, provider: str) -> int:
        """Returns the number of subscriptions that are linked to the provider."""
        query = LinkRow.select(fn.COUNT(LinkRow.subscription)).where(LinkRow.provider == provider)
        return int(self._rows(query)[0][0])

    def with_accounts(self, provider: str, accounts: Iterable[str]) -> dict[str, list[str]]:
        """Returns, for each of these account numbers, the subscriptions that have the number at the
        provider.
        """
        found: defaultdict[str, list[str]] = defaultdict(list)
        query = LinkRow.select(LinkRow.account_number, LinkRow.subscription).where(
            LinkRow.provider == provider,
            LinkRow.account_number.in_(list(accounts)),
            LinkRow.account_number != SQL("''"),
        )
        for row in self._rows(query):
            found[row.account_number].append(row.subscription)
        return found

    def unnamed(
        self, provider: str, *, report_time: Instant, after: str, limit: int
    ) -> list[tuple[str, SubscriptionRecord | None]]:
        """Returns the next linked subscriptions, in the order of their numbers. Leaves out
        subscriptions that a complete report has named, if the report began at `report_time` or
        later. Only subscriptions with numbers greater than `after` are returned. The record is None
        if a subscription cannot be read.
        """
        query = LinkRow.select(LinkRow.subscription).where(
            LinkRow.provider == provider,
            LinkRow.report_time < report_time,
            LinkRow.subscription > after,
        )
        found = self._rows(query.order_by(LinkRow.subscription).limit(limit))
        numbers = [row.subscription for row in found]
        records = self.readable(numbers)
        return [(number, records.get(number)) for number in numbers]

    def readable(self, numbers: Sequence[str]) -> dict[str, SubscriptionRecord]:
        """Returns the subscriptions by their numbers, without subscriptions that cannot be read."""
        query = SubscriptionRow.select().where(SubscriptionRow.number.in_(numbers))
        records: dict[str, SubscriptionRecord] = {}
        for row in self._rows(query) if numbers else ():
            with suppress(MsgspecError):
                records[row.number] = subscription_of_row(row)
        return records

    def action(self, action: int) -> ActionRecord | None:
        found = self._actions(ActionRow.select().where(ActionRow.id == action))
        return found[0] if found else None

    def actions_of(self, numbers: Sequence[int]) -> list[ActionRecord]:
        return self._actions(ActionRow.select().where(ActionRow.id.in_(numbers))) if numbers else []

    def action_of_call(self, request_id: str) -> int:
        """Returns the number of the action that a call with this `request_id` performed, or 0.

        The action itself must contain the request id, because another kind of call may have created
        an object whose id has the same text as an action's id.
        """
        rows = self._rows(RequestIdRow.select().where(RequestIdRow.id == request_id))
        if not rows or not NUMBER.fullmatch(rows[0].created):
            return 0
        action = ActionRow.select(ActionRow.id).where(
            ActionRow.id == int(rows[0].created), ActionRow.request_id == request_id
        )
        return next((row.id for row in self._rows(action)), 0)

    def actions(
        self, wanted: ActionFilter, *, before: int, limit: int, until: int | None = None
    ) -> list[ActionRecord]:
        """Returns the newest actions.

        If `before` is not 0, only actions with smaller ids are returned. `until`: the last id that
        the query examines.
        """
        conditions = action_conditions(wanted)
        if before:
            conditions.append(ActionRow.id < before)
        if until is not None:
            conditions.append(ActionRow.id >= until)
        query = ActionRow.select()
        if conditions:
            query = query.where(*conditions)
        return self._actions(query.order_by(ActionRow.id.desc()).limit(limit))

    def end_of_actions(self, wanted: ActionFilter, *, before: int) -> int | None:
        """Returns the id of the oldest action that the query for one page examines; None if the
        query examines all older actions.
        """
        if not wanted.scans():
            return None
        older = [ActionRow.id < before] if before else []
        last: int | None = self._last_examined(ActionRow.id, older, ActionRow.id.desc())
        return last

    def request(self, number: int) -> RequestRecord | None:
        found = self._requests(self._select(sql.REQUEST, number))
        return found[0] if found else None

    def requests_of(self, numbers: Iterable[int]) -> list[RequestRecord]:
        query = RequestRow.select().where(RequestRow.number.in_(list(numbers)))
        return self._requests(self._rows(query.order_by(RequestRow.number)))

    def requests(
        self, wanted: RequestFilter, *, after: int, limit: int, until: int | None = None
    ) -> list[RequestRecord]:
        """Returns requests in the order that the filter chooses: either the newest or the oldest
        request comes first.

        If `after` is not 0, only requests that follow this number in the chosen order are returned.
        `until`: the last number that the query examines.
        """
        number, oldest_first = RequestRow.number, wanted.oldest_first
        conditions = request_conditions(wanted, contains=self._contains) + _after(wanted, after)
        if wanted.only_pending and not self._on_postgresql:
            # a subquery, because SQLite would otherwise read all requests in the order of numbers
            pending = RequestRow.select(number).where(SQL("state = 1"))
            conditions.append(number.in_(pending))
        if until is not None:
            conditions.append(number <= until if oldest_first else number >= until)
        query = RequestRow.select()
        if conditions:
            query = query.where(*conditions)
        return self._requests(self._rows(query.order_by(_order(wanted)).limit(limit)))

    def end_of_requests(self, wanted: RequestFilter, *, after: int) -> int | None:
        """Returns the number of the last request that the query for one page examines; None if the
        query examines all requests that follow.
        """
        if not wanted.scans():
            return None
        last: int | None = self._last_examined(
            RequestRow.number, _after(wanted, after), _order(wanted)
        )
        return last

    @property
    def _on_postgresql(self) -> bool:
        return isinstance(self._database, PostgresqlDatabase)

    def _contains(self, column: Field, text: str) -> Any:
        """Returns the condition that the column contains the text. The condition has no LIKE,
        because LIKE does not distinguish capital letters from small letters in SQLite.
        """
        if self._on_postgresql:
            return fn.STRPOS(fn.CONVERT_FROM(column, "UTF8"), text) > 0
        return fn.INSTR(column.cast("TEXT"), text) > 0

    def _actions(self, query: Any) -> list[ActionRecord]:
        rows = self._rows(query)
        subscriptions = {row.subscription for row in rows}
        actions = {row.id for row in rows}
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        created = RequestRow.select(RequestRow.action, RequestRow.number).where(
            RequestRow.subscription.in_(list(subscriptions)), RequestRow.action.in_(list(actions))
        )
        for request in self._rows(created.order_by(RequestRow.number)) if rows else ():
            numbers[request.action].append(request.number)
        return [action_of_row(row, requests=tuple(numbers[row.id])) for row in rows]


def _after(wanted: RequestFilter, after: int) -> list[Expression]:
    number = RequestRow.number
    if not after:
        return []
    return [number > after if wanted.oldest_first else number < after]


def _order(wanted: RequestFilter) -> Any:
    return RequestRow.number.asc() if wanted.oldest_first else RequestRow.number.desc()
