"""Runs the statements of queries, and returns requests in the form in which callers see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from msgspec.structs import replace
from peewee import Database, Expression

from ...domain.catalogue import Catalogues
from ...domain.lane import LaneState
from ...domain.subscription.request_records import RequestRecord, WaitingFor
from ...domain.values import RequestState
from ..database import statements as sql
from ..database.connections import cancel
from ..database.rows import lane_of_row, request_of_row, rows_of
from ..memory.memory import Memory
from ..memory.providers import Providers

MOST_EXAMINED = 50_000
"""If no index suits the filter of a list, the query examines at most this number of rows for one
page.
"""


class BaseQueries:
    def __init__(self, database: Database, memory: Memory) -> None:
        self._database = database
        self._memory = memory

    def ender(self) -> Callable[[], None]:
        """Returns a function that cancels the running statement on the connection of this
        thread.
        """
        connection = cast(Any, self._database).connection()
        end: Callable[[], None] = getattr(connection, "interrupt", None) or partial(
            cancel, connection
        )
        return end

    def close(self) -> None:
        """Closes the connection of this thread, if the thread has a connection."""
        cast(Any, self._database).close()

    def refresh(self) -> Providers:
        """Updates the providers with the changes of other processes, and returns them."""
        former = self._memory.providers
        stored = former.as_stored(self._select, sql.ETAGS_AS_THEY_ARE)
        if stored is not former:
            self._memory.providers = stored
        return stored

    def catalogues(self) -> Catalogues:
        """Returns the catalogues of all providers. Call this function after reading the rows that
        need the catalogues: the rows may name a service that another process has just added.
        """
        return (self.refresh() if self._memory.shared else self._memory.providers).catalogues

    def _select(self, statement: str, *parameters: Any) -> list[Any]:
        """Runs a statement, in which `?` marks each parameter. A fixed statement saves the time to
        build a query.
        """
        database = cast(Any, self._database)
        marked = statement.replace("?", database.param)
        return rows_of(database.execute_sql(marked, parameters or None))

    def _rows(self, query: Any) -> list[Any]:
        return rows_of(cast(Any, self._database).execute(query))

    def _last_examined(self, key: Any, conditions: list[Expression], order: Any) -> Any:
        """Returns the key of row number MOST_EXAMINED in this order; None if fewer rows fulfil the
        conditions.
        """
        rows = key.model.select(key).order_by(order)
        if conditions:
            rows = rows.where(*conditions)
        found = self._rows(rows.offset(MOST_EXAMINED - 1).limit(1))
        return found[0][0] if found else None

    def _requests(self, rows: Iterable[Any]) -> list[RequestRecord]:
        """Returns the requests, each with its account number and, if pending, with the reason why
        the request waits.
        """
        records = [request_of_row(row) for row in rows]
        if not records:
            return []
        subscriptions = {record.subscription for record in records}
        marks = ",".join("?" * len(subscriptions))
        accounts = {
            (link.provider, link.subscription): link.account_number
            for link in self._select(sql.ACCOUNTS.format(marks), *subscriptions)
        }
        lanes = {
            (lane.provider, lane.subscription): lane
            for lane in self._select(sql.WHOLE_LANES.format(marks), *subscriptions)
        }
        catalogues = self.catalogues() if lanes else {}
        return [
            self._shown(
                replace(record, account_number=accounts.get(place, "")),
                lanes.get(place),
                catalogues,
            )
            for record in records
            for place in ((record.provider, record.subscription),)
        ]

    def _shown(
        self, record: RequestRecord, lane: Any | None, catalogues: Catalogues
    ) -> RequestRecord:
        """Returns the request with additional facts: a pending request gets the reason why the
        request waits. A request on a live lease also gets the adapter, the start of the lease, and
        one attempt more.

        `lane`: the row of the request's lane.
        """
        if record.state is not RequestState.PENDING or lane is None:
            return record
        if lane.status == LaneState.LEASED and lane_of_row(lane).lease.covers(
            unit=record.unit, index=record.index
        ):
            return replace(
                record,
                waiting_for=WaitingFor.ANSWER,
                attempts=record.attempts + 1,
                last_adapter=lane.adapter,
                last_delivery_time=lane.lease_start,
            )
        if not catalogues[record.provider].effective:
            return replace(record, waiting_for=WaitingFor.PROVIDER)
        if record.unit != lane.head_unit or (
            lane.status != LaneState.READY and record.number != lane.head
        ):
            return replace(record, waiting_for=WaitingFor.EARLIER_REQUEST)
        if lane.status == LaneState.DELAYED and lane.ready_time > self._memory.now():
            next_time = lane.ready_time
            return replace(record, waiting_for=WaitingFor.RETRY, next_delivery_time=next_time)
        return replace(record, waiting_for=WaitingFor.ADAPTER)
