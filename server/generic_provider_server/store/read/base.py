"""What every question needs: rows, and requests as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import replace
from peewee import Database

from ...domain.subscription.records import RequestRecord, WaitingFor
from ...domain.values import RequestState
from ..database import statements as sql
from ..database.models import LEASED, READY, LaneRow, LinkRow
from ..database.rows import request_of_row
from ..memory.providers import Known, refresh


class Reading:
    def __init__(self, database: Database, known: Known) -> None:
        self._database = database
        self._known = known

    def close(self) -> None:
        """Closes the connection of this thread, if it has one."""
        cast(Any, self._database).close()

    def refresh(self) -> None:
        """Brings the providers up to date with what other processes did."""
        refresh(self._known, cast(Any, self._database).execute_sql, sql.ETAGS_AS_THEY_ARE)

    def _rows(self, query: Any) -> list[Sequence[Any]]:
        return list(query.tuples().execute(self._database))

    def _requests(self, query: Any) -> list[RequestRecord]:
        """Each with its account number and what it waits for."""
        records = [request_of_row(row) for row in self._rows(query)]
        if not records:
            return []
        subscriptions = list({record.subscription for record in records})
        accounts = {
            (provider, subscription): account
            for provider, subscription, account in self._rows(
                LinkRow.select(
                    LinkRow.provider, LinkRow.subscription, LinkRow.account_number
                ).where(LinkRow.subscription.in_(subscriptions))
            )
        }
        lanes = {(row[0], row[1]): row[2:] for row in self._lanes(subscriptions)}
        return [
            self._shown(replace(record, account_number=accounts.get(place, "")), lanes.get(place))
            for record in records
            for place in ((record.provider, record.subscription),)
        ]

    def _lanes(self, subscriptions: list[str]) -> list[Sequence[Any]]:
        query = LaneRow.select(
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
        )
        return self._rows(query.where(LaneRow.subscription.in_(subscriptions)))

    def _shown(self, record: RequestRecord, lane: Sequence[Any] | None) -> RequestRecord:
        """A pending request with what it waits for."""
        if record.state is not RequestState.PENDING or lane is None:
            return record
        status, head, head_unit, ready_time, unit, first, last, adapter, start = lane
        leased = status == LEASED and record.unit == unit and first <= record.index <= last
        if leased:
            return replace(
                record,
                waiting_for=WaitingFor.ANSWER,
                attempts=record.attempts + 1,
                last_adapter=adapter,
                last_delivery_time=start,
            )
        if not self._known.set_up.catalogues[record.provider].effective:
            return replace(record, waiting_for=WaitingFor.PROVIDER)
        if record.unit != head_unit or (status != READY and record.number != head):
            return replace(record, waiting_for=WaitingFor.EARLIER_REQUEST)
        if ready_time > self._known.now():
            return replace(record, waiting_for=WaitingFor.RETRY, next_delivery_time=ready_time)
        return replace(record, waiting_for=WaitingFor.ADAPTER)
